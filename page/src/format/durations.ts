const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in at most two units: `180 ms`, `0.4 s`, `12 s`, `3 m 12 s`, `2 h 7 m`, `4 d 3 h`. */
export function durationText(ms: number): string {
  if (ms < 0) return `-${durationText(-ms)}`;
  if (ms < 1_000) return ms < 250 ? `${Math.round(ms)} ms` : `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / 1_000)} s`;
  if (ms < HOUR) return two([Math.floor(ms / MINUTE), "m"], [Math.floor((ms % MINUTE) / 1_000), "s"]);
  if (ms < DAY) return two([Math.floor(ms / HOUR), "h"], [Math.floor((ms % HOUR) / MINUTE), "m"]);
  return two([Math.floor(ms / DAY), "d"], [Math.floor((ms % DAY) / HOUR), "h"]);
}

/** What attempts took at most, where there were some: the last bucket has no end. */
export function quantileText(ms: number | null, most: string): string {
  return ms === null ? `over ${most}` : `under ${bucketText(ms)}`;
}

/** The end of a bucket, rounded up: `256 ms`, `4.1 s`, `17 s`; what is below it is below this, too. */
export function bucketText(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  return ms < 10_000 ? `${(Math.ceil(ms / 100) / 10).toFixed(1)} s` : durationText(Math.ceil(ms / 1_000) * 1_000);
}

/** The same to the millisecond, for a title: `7,620,512 ms`. */
export function durationTitle(ms: number): string {
  return `${Math.round(ms).toLocaleString("en")} ms`;
}

type Part = readonly [amount: number, unit: string];

function two([amount, unit]: Part, [rest, lesser]: Part): string {
  return rest === 0 ? `${amount} ${unit}` : `${amount} ${unit} ${rest} ${lesser}`;
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: MINUTE,
  min: MINUTE,
  h: HOUR,
  d: DAY,
  w: 7 * DAY,
};

/** Reads `5m`, `2h30m`, `90 s`; undefined for what is none. */
export function readDuration(text: string): number | undefined {
  const compact = text.trim().replaceAll(/\s+/g, "");
  if (!/^(\d+(\.\d+)?(ms|s|min|m|h|d|w))+$/.test(compact)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|min|[smhdw])/g)) {
    ms += Number(amount) * (UNITS[unit ?? ""] ?? 0);
  }
  return ms;
}
