import type { Count } from "../../client/counts.ts";

/** A number for a narrow column: `3.5M~`, with `~` when it is an estimate. */
export function formatAmount({ value, exact }: Pick<Count, "value" | "exact">): string {
  const units = ["", "k", "M", "G"];
  let amount = value;
  let unit = 0;
  while (amount >= (unit === 0 ? 9_999.5 : 999.5) && unit < units.length - 1) {
    amount /= 1_000;
    unit += 1;
  }
  const text = unit > 0 && amount < 99.95 ? amount.toFixed(1) : String(Math.round(amount));
  return `${text}${units[unit]}${exact ? "" : "~"}`;
}

/** Blocks of one to eight eighths. */
const BARS = {
  fancy: Array.from({ length: 8 }, (_, index) => String.fromCodePoint(0x2581 + index)),
  plain: Array.from(".:-=+*#@"),
};

/** Eight bars, each the mean of a part of the looks. */
export function trendOf(values: readonly number[], isPlain: boolean): string {
  if (values.length < 2) return "";
  const size = Math.ceil(values.length / 8);
  const means = Array.from({ length: Math.ceil(values.length / size) }, (_, index) => {
    const part = values.slice(index * size, (index + 1) * size);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const most = Math.max(1, ...means);
  const bars = isPlain ? BARS.plain : BARS.fancy;
  return means.map((mean) => bars[Math.min(7, Math.floor((mean / most) * 8))]).join("");
}

/** A number of things a second. */
export function rateOf(rate: number): string {
  return rate < 9.95 ? rate.toFixed(1) : formatAmount({ value: rate, exact: true });
}
