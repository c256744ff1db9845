import { formatSeconds } from "../views/amounts.ts";

/** A time that has passed, or will: `12 ms`, `3.4 s`, `2 min 5 s`, `7 h`, `12 d`. */
export function formatSpan(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 1_000) return `${Math.round(span)} ms`;
  if (span < HOUR_MS) return formatSeconds(span / 1_000);
  if (span < 2 * 24 * HOUR_MS) return `${Math.floor(span / HOUR_MS)} h`;
  return `${Math.floor(span / 24 / HOUR_MS)} d`;
}

/** Whether this date stands for infinity. */
export function isEndless(date: Date): boolean {
  return date.getTime() >= LAST_MS;
}

const HOUR_MS = 3_600_000;

/** The last date that there is. */
const LAST_MS = 8.64e15;
