import type { PgPool } from "./pg-pool.ts";

/** How many drivers use a pool: it has one listener of ours, however many they are. */
const users = new WeakMap<PgPool, number>();

/**
 * Takes the errors of idle clients of a pool, which would end the process: the
 * lost connection shows up again as the error of whoever uses it next. Returns
 * how to stop.
 */
export function takeErrorsOf(pool: PgPool): () => void {
  const before = users.get(pool) ?? 0;
  users.set(pool, before + 1);
  if (before === 0) pool.on?.("error", ignore);
  return () => {
    const left = (users.get(pool) ?? 1) - 1;
    users.set(pool, left);
    if (left === 0) pool.removeListener?.("error", ignore);
  };
}

function ignore(): void {}
