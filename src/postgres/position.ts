/** A place in an index over (run_at, id): microseconds since 1970 and a job id, both as PostgreSQL writes them. */
export interface Position {
  readonly at: string;
  readonly id: string;
}

/** Before every job: the smallest bigint stands for `-infinity`. */
export const START: Position = { at: "-9223372036854775808", id: "0" };

/** Negative when `a` comes before `b`, positive when after, 0 when they are the same. */
export function comparePositions(a: Position, b: Position): number {
  return compareIntegers(a.at, b.at) || compareIntegers(a.id, b.id);
}

/** The earlier one of two positions. */
export function earlier(a: Position, b: Position): Position {
  return comparePositions(a, b) <= 0 ? a : b;
}

/** The later one of two positions. */
export function later(a: Position, b: Position): Position {
  return comparePositions(a, b) >= 0 ? a : b;
}

/** Compares two integers in decimal notation; of the same length and sign, as nearly all are, their texts compare alike. */
export function compareIntegers(a: string, b: string): number {
  if (a === b) return 0;
  if (a.length === b.length && a.charCodeAt(0) !== MINUS && b.charCodeAt(0) !== MINUS) return a < b ? -1 : 1;
  return BigInt(a) < BigInt(b) ? -1 : 1;
}

const MINUS = 45;
