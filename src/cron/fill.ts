import { MAX_DURATION_MS } from "../runtime/duration.ts";

const UNIT_MS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;

/**
 * Reads how far back a crontab entry catches up, `4w3d2h1m`: numbers with one
 * of the units w, d, h, m and s, in any order and added up. In milliseconds;
 * `undefined` for any other text and for more than a hundred years.
 */
export function parseFill(text: string): number | undefined {
  if (!/^(?:\d+[wdhms])+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([wdhms])/g)) {
    totalMs += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return totalMs <= MAX_DURATION_MS ? totalMs : undefined;
}

/** Writes a length of time as {@link parseFill} reads it, without parts of a second: `"1d12h"`; `"0s"` for none. */
export function formatFill(ms: number): string {
  let leftMs = ms;
  const parts = Object.entries(UNIT_MS).map(([unit, unitMs]) => {
    const amount = Math.floor(leftMs / unitMs);
    leftMs -= amount * unitMs;
    return amount === 0 ? "" : `${amount}${unit}`;
  });
  return parts.join("") || "0s";
}
