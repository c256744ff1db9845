import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { lanesHeld, nextTokenAt } from "./queue-limits.ts";

/**
 * What pools leave to the jobs of their queues: of those with these names, or else of the {@link MOST_POOLS} that
 * were made first. Lanes and tokens are found by key, pool by pool.
 */
export async function listPools(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  names?: readonly string[],
): Promise<PoolRecord[]> {
  const where = names === undefined ? "" : "where pool.name operator(pg_catalog.=) any ($1::pg_catalog.text[])";
  const owner = "(operator(pg_catalog.-) pool.id)";
  const text = `
select pool.name, pool.width, ${lanesHeld(schema, owner)}, ${nextTokenAt(schema, owner)}
from ${schema.of("_howdah_pools")} as pool ${where}
order by pool.id limit ${MOST_POOLS}`;
  const { rows } = await executor.query({ text, ...(names && { values: [textArray(names)] }) });
  return rows.map(([name, width, held, nextAt = null]) => ({
    name: name ?? "",
    width: Number(width),
    held: Number(held),
    nextAt,
  }));
}

/** A pool. */
export interface PoolRecord {
  readonly name: string;
  /** 0 for no limit. */
  readonly width: number;
  /** How many of its lanes are locked. */
  readonly held: number;
  /** When its rate lets the next job start, in microseconds since 1970; null when that may be now. */
  readonly nextAt: string | null;
}

/** The pools that are looked at, at most. */
const MOST_POOLS = 100;
