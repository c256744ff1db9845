/** A number with all its digits: `3,512,345`. */
export function exactNumber(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 3 });
}

/** A number as it fits into a tile: `6,668`, `12.3k`, `400k`, `3.5M`. */
export function shortNumber(value: number): string {
  if (Math.abs(value) < 10_000)
    return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? 1 : 0 });
  let [amount, unit] = [value / 1_000, "k"];
  for (const larger of ["M", "G"]) {
    if (Math.abs(amount) < 999.5) break;
    [amount, unit] = [amount / 1_000, larger];
  }
  const digits = Math.abs(amount) < 99.95 ? 1 : 0;
  return `${Number(amount.toFixed(digits))}${unit}`;
}

/** A number that may be an estimate, as answers have it. */
export interface Counted {
  readonly value: number;
  readonly exact: boolean;
}

/** An estimate says so: `~3.5M`. */
export function countText({ value, exact }: Counted): string {
  return `${exact ? "" : "~"}${shortNumber(value)}`;
}

/** What a count is in full: `3,512,345, estimated`. */
export function countTitle({ value, exact }: Counted): string {
  return `${exactNumber(value)}${exact ? "" : ", estimated"}`;
}

/** A count that ended at its limit says so: `1,000+`. */
export function boundText({ value, exact }: Counted): string {
  return `${shortNumber(value)}${exact ? "" : "+"}`;
}

/** What such a count is in full: `at least 1,000: it was not counted further`. */
export function boundTitle({ value, exact }: Counted): string {
  return exact ? exactNumber(value) : `at least ${exactNumber(value)}: it was not counted further`;
}

/** `1 job`, `6,668 jobs`. */
export function plural(count: number, word: string, many = `${word}s`): string {
  return `${exactNumber(count)} ${count === 1 ? word : many}`;
}

/** A text as it begins a line: `Old snapshots`. */
export function capitalized(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

/** A share of a whole: `0.2%`, `17%`; `-` of nothing. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return "-";
  const share = (part / whole) * 100;
  if (share > 0 && share < 0.1) return "<0.1%";
  return `${Number(share.toFixed(share < 10 ? 1 : 0))}%`;
}

const BYTE_UNITS = ["B", "kB", "MB", "GB"];

/** `412 B`, `1.2 kB`. */
export function bytesText(bytes: number): string {
  let [amount, unit] = [bytes, 0];
  for (; amount >= 999.5 && unit < BYTE_UNITS.length - 1; unit += 1) amount /= 1_000;
  return `${unit > 0 && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${BYTE_UNITS[unit]}`;
}
