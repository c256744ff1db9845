import type { Executor } from "../../driver.ts";
import { textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";

/** Erases what belongs to these keys. What it does beside other statements stands at the function in `new-erasing.sql`. */
export async function eraseKeys(
  { executor, schema }: EraseTarget,
  keys: readonly string[],
  batchSize: number,
): Promise<EraseAnswer> {
  // $1 keys   $2 batch size
  const text = `select jobs, history, attempts, lines, pg_catalog.to_json(running::pg_catalog.text[]), more
from ${schema.of("_howdah_erase_v1")}($1::pg_catalog.text[], $2::pg_catalog.int4)`;
  const { rows } = await executor.query({ text, values: [textArray(keys), String(batchSize)] });
  const [jobs, history, attempts, lines, running, more] = rows[0] ?? [];
  return {
    jobs: Number(jobs),
    history: Number(history),
    attempts: Number(attempts),
    lines: Number(lines),
    running: JSON.parse(running ?? "[]") as string[],
    hasMore: more === "t",
  };
}

/** Where something is erased. */
export interface EraseTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** What one call has erased. */
export interface EraseAnswer {
  readonly jobs: number;
  readonly history: number;
  readonly attempts: number;
  readonly lines: number;
  /** The ids of the jobs that run, and were told to stop. */
  readonly running: readonly string[];
  readonly hasMore: boolean;
}

/** Where keys are. */
export type KeySource = "jobs" | "history" | "recent";

/** Returns the keys of one page that begin with a prefix, and where the next page begins. All keys are looked at, in their order. */
export async function listKeys(
  { executor, schema }: EraseTarget,
  source: KeySource,
  { prefix, after }: { readonly prefix: string; readonly after: string },
): Promise<{ readonly keys: readonly string[]; readonly next: string | undefined }> {
  // $1 prefix   $2 the last key of the page before
  const text = `
select pg_catalog.max(page.key), pg_catalog.count(*), pg_catalog.to_json(pg_catalog.array_agg(distinct page.key)
  filter (where pg_catalog.starts_with(page.key, $1::pg_catalog.text)))
from (
  select key from ${schema.of(TABLES[source])} where key is not null and key operator(pg_catalog.>) $2::pg_catalog.text
  order by key limit ${PAGE}
) as page`;
  const [[last = null, quantity, keys = null] = []] = (await executor.query({ text, values: [prefix, after] })).rows;
  return {
    keys: JSON.parse(keys ?? "[]") as string[],
    next: Number(quantity) < PAGE ? undefined : (last ?? undefined),
  };
}

const TABLES = { jobs: "_private_jobs", history: "_howdah_history", recent: "_howdah_recent" } as const;

const PAGE = 10_000;
