import type { Executor } from "../driver.ts";
import { quoteLiteral, type Schema } from "../schema.ts";
import { stateConditions } from "./job-columns.ts";

/** Counts the first `limit` jobs that it meets. */
export function countJobs(executor: Executor, schema: Schema, limit: number): Promise<JobCountAnswer> {
  // $1 the most jobs to count
  const from = `(select * from ${schema.of("_private_jobs")} limit $1::bigint) as job`;
  return count({ executor, schema }, { name: "count_jobs", from, value: limit });
}

/** Counts the jobs on `percentage` of the pages of their table, chosen at random. */
export function countSampledJobs(executor: Executor, schema: Schema, percentage: number): Promise<JobCountAnswer> {
  // $1 percentage of the pages
  const from = `${schema.of("_private_jobs")} as job tablesample pg_catalog.system ($1::double precision)`;
  return count({ executor, schema }, { name: "count_sampled_jobs", from, value: percentage });
}

/** An answer of {@link countJobs}. */
export interface JobCountAnswer {
  readonly counts: JobCounts;
  /** Microseconds since 1970. */
  readonly asOf: string;
  /** The pages that the table of jobs has. */
  readonly pages: number;
}

/** How many jobs there are in each state. */
export interface JobCounts {
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly failed: number;
}

interface Source {
  readonly name: string;
  readonly from: string;
  readonly value: number;
}

async function count(
  { executor, schema }: { executor: Executor; schema: Schema },
  { name, from, value }: Source,
): Promise<JobCountAnswer> {
  const counts = (["ready", "scheduled", "running", "failed"] as const).map(
    (state) => `pg_catalog.count(*) filter (where ${stateConditions[state]})`,
  );
  const text = `
select ${counts.join(",\n  ")},
  ${schema.of("_howdah_us")}(pg_catalog.now()),
  pg_catalog.pg_relation_size(${quoteLiteral(schema.of("_private_jobs"))})
    operator(pg_catalog./) pg_catalog.current_setting('block_size')::bigint
from ${from}`;
  const [row = []] = (await executor.query({ name, text, values: [String(value)] })).rows;
  const [ready, scheduled, running, failed, asOf, pages] = row;
  return {
    counts: { ready: Number(ready), scheduled: Number(scheduled), running: Number(running), failed: Number(failed) },
    asOf: asOf ?? "0",
    pages: Number(pages),
  };
}
