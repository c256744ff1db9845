import { toNullableDate } from "../job/row.ts";
import { listPools, type PoolRecord } from "../postgres/queries/list-pools.ts";

/** What a pool leaves to the jobs of its queues, as it was when it was read. */
export interface PoolLoad {
  readonly name: string;
  /** How many jobs of its queues may run at once. */
  readonly concurrency: number | "unlimited";
  /** How many of them run; null for a pool without a limit, which does not count them. */
  readonly running: number | null;
  /** When its rate lets the next job start; null when that may be now, or it has none. */
  readonly nextStartAt: Date | null;
}

/** Reads the pools with these names, or else the hundred that were made first. */
export async function readPoolLoads(...[target, names]: Parameters<typeof listPools>): Promise<PoolLoad[]> {
  return (await listPools(target, names)).map(toPoolLoad);
}

function toPoolLoad({ name, width, held, nextAt }: PoolRecord): PoolLoad {
  return {
    name,
    concurrency: width === 0 ? "unlimited" : width,
    running: width === 0 ? null : held,
    nextStartAt: toNullableDate(nextAt),
  };
}
