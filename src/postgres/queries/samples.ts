import type { Cell, Executor } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { sqlStateOf } from "../sqlstate.ts";

/** Where samples are stored. */
export interface SampleTarget {
  readonly executor: Executor;
  readonly schema: Schema;
  /** Aborted when the sample is not wanted any more, see `lost` of a query. */
  readonly lost?: AbortSignal | undefined;
}

/** Takes the sample that is due, if another worker has not. What this does beside another stands at the function. */
export async function takeSample({ executor, schema, lost }: SampleTarget, timeoutMs: number): Promise<SampleAttempt> {
  const text = `select taken, next_ms from ${schema.of("_howdah_sample_v1")}()`;
  const [[taken, nextMs] = []] = (await executor.query({ name: "howdah_sample", text, timeoutMs, lost })).rows;
  return { isTaken: taken === "t", nextMs: Number(nextMs) };
}

/** What came of an attempt to take a sample. */
export interface SampleAttempt {
  readonly isTaken: boolean;
  /** In how long there may be another one to take. */
  readonly nextMs: number;
}

/** Adds what handlers did to the present minute. */
export async function addTaskSamples(
  { executor, schema }: SampleTarget,
  counts: readonly TaskCounts[],
  timeoutMs: number,
): Promise<void> {
  // $1 tasks   $2 completed   $3 failed   $4 milliseconds   $5 buckets of runs   $6 buckets of waits
  const text = `
insert into ${schema.of("_howdah_task_samples")} as sample (at, task, completed, failed, run_ms, buckets, waits)
select pg_catalog.date_trunc('minute', pg_catalog.now(), 'UTC'), task, completed, failed, run_ms,
  buckets::pg_catalog.int8[], waits::pg_catalog.int8[]
from rows from (
  pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.int8[]), pg_catalog.unnest($3::pg_catalog.int8[]),
  pg_catalog.unnest($4::pg_catalog.float8[]), pg_catalog.unnest($5::pg_catalog.text[]), pg_catalog.unnest($6::pg_catalog.text[])
) as counted(task, completed, failed, run_ms, buckets, waits)
order by task
on conflict (at, task) do update set
  completed = sample.completed operator(pg_catalog.+) excluded.completed,
  failed = sample.failed operator(pg_catalog.+) excluded.failed,
  run_ms = sample.run_ms operator(pg_catalog.+) excluded.run_ms,
  buckets = ${sumOfBuckets("buckets")},
  waits = ${sumOfBuckets("waits")}`;
  const values = [
    textArray(counts.map(({ task }) => task)),
    numberArray(counts.map(({ completed }) => completed)),
    numberArray(counts.map(({ failed }) => failed)),
    numberArray(counts.map(({ runMs }) => runMs)),
    textArray(counts.map(({ buckets }) => numberArray(buckets))),
    textArray(counts.map(({ waits }) => numberArray(waits))),
  ];
  await executor.query({ text, values, timeoutMs });
}

/** What a column of buckets has together with what is added to it. */
function sumOfBuckets(column: "buckets" | "waits"): string {
  return `array(
    select coalesce(bucket.one, 0) operator(pg_catalog.+) coalesce(bucket.other, 0)
    from rows from (pg_catalog.unnest(sample.${column}), pg_catalog.unnest(excluded.${column})) with ordinality as bucket(one, other, place)
    order by bucket.place
  )`;
}

/** What the handlers of one task did. */
export interface TaskCounts {
  readonly task: string;
  readonly completed: number;
  readonly failed: number;
  readonly runMs: number;
  /** Of runs. */
  readonly buckets: readonly number[];
  readonly waits: readonly number[];
}

/** Returns the newest samples of one resolution, in the order of time. */
export async function listSamples(
  { executor, schema }: SampleTarget,
  { resolution, since, until, limit }: SampleRange & { readonly resolution: number; readonly until: string },
): Promise<SampleRecord[]> {
  const columns = SAMPLE_COLUMNS.map((column) => `sample.${column}`).join(", ");
  // $1 resolution   $2 since, $3 until, times as PostgreSQL reads them   $4 limit
  const text = `
select ${schema.of("_howdah_us")}(sample.at), ${columns}, sample.top from ${schema.of("_howdah_samples")} as sample
where sample.resolution operator(pg_catalog.=) $1::pg_catalog.int2 and sample.at operator(pg_catalog.>=) $2::pg_catalog.timestamptz
  and sample.at operator(pg_catalog.<) $3::pg_catalog.timestamptz and sample.taken_at operator(pg_catalog.<=) pg_catalog.now()
order by sample.at desc limit $4::pg_catalog.int4`;
  const { rows } = await executor.query({ text, values: [String(resolution), since, until, String(limit)] });
  return rows.toReversed().map(([at, ...cells]) => ({
    at: at ?? "0",
    numbers: SAMPLE_COLUMNS.map((_, index) => (cells[index] == null ? null : Number(cells[index]))),
    top: cells[SAMPLE_COLUMNS.length] ?? null,
  }));
}

/**
 * The counts of the newest sample of ten seconds that was taken within this
 * time, by the database's clock; `undefined` without one, or without the right to see it.
 */
export async function readFreshCounts(
  { executor, schema }: SampleTarget,
  maxAgeMs: number,
): Promise<SampledCounts | undefined> {
  // $1 milliseconds
  const since = `(pg_catalog.now() operator(pg_catalog.-) ($1::pg_catalog.float8 operator(pg_catalog.*) interval '1 millisecond'))`;
  const text = `
select ${schema.of("_howdah_us")}(sample.taken_at), sample.ready, sample.scheduled, sample.running, sample.failed
from ${schema.of("_howdah_samples")} as sample
where sample.resolution operator(pg_catalog.=) 10 and sample.at operator(pg_catalog.>) (${since} operator(pg_catalog.-) interval '10 seconds')
  and sample.taken_at operator(pg_catalog.>=) ${since} and sample.taken_at operator(pg_catalog.<=) pg_catalog.now()
order by sample.at desc limit 1`;
  const { rows } = await executor.query({ text, values: [String(maxAgeMs)] }).catch((error: unknown) => {
    // Roles that got their rights before there were samples.
    if (sqlStateOf(error) === "42501") return { rows: [] };
    throw error;
  });
  const [row] = rows;
  if (!row) return undefined;
  const [takenAt, ...counts] = row;
  const [ready = 0, scheduled = 0, running = 0, failed = 0] = counts.map((count) => Math.round(Number(count)));
  return { asOf: takenAt ?? "0", ready, scheduled, running, failed };
}

/** Jobs by state; `asOf` in microseconds since 1970. */
export interface SampledCounts {
  readonly asOf: string;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly failed: number;
}

/** Which samples to return. */
export interface SampleRange {
  readonly since: string;
  readonly limit: number;
}

/** A stored sample. */
export interface SampleRecord {
  /** Microseconds since 1970. */
  readonly at: string;
  /** In the order of {@link SAMPLE_COLUMNS}. */
  readonly numbers: readonly (number | null)[];
  /** JSON. */
  readonly top: string | null;
}

/** The numbers of a sample, as their columns are called. */
export const SAMPLE_COLUMNS = [
  "ready",
  "scheduled",
  "running",
  "failed",
  "workers",
  "slots",
  "busy",
  "dead_rows",
  "oldest_due_ms",
  "oldest_snapshot_ms",
  "took_ms",
  "inserted",
  "updated",
  "deleted",
] as const;

/** Returns what handlers did in the last minutes, in the order of time. */
export async function listTaskSamples(
  { executor, schema }: SampleTarget,
  { since, limit, task }: SampleRange & { readonly task: string | undefined },
): Promise<TaskSampleRecord[]> {
  // $1 since, a time as PostgreSQL reads it   $2 limit   $3 task
  const text = `
select ${schema.of("_howdah_us")}(sample.at), sample.task, sample.completed, sample.failed, sample.run_ms, sample.buckets, sample.waits
from ${schema.of("_howdah_task_samples")} as sample
where sample.at operator(pg_catalog.>=) $1::pg_catalog.timestamptz
  and ($3::pg_catalog.text is null or sample.task operator(pg_catalog.=) $3::pg_catalog.text)
order by sample.at desc, sample.task desc limit $2::pg_catalog.int4`;
  const { rows } = await executor.query({ text, values: [since, String(limit), task ?? null] });
  return rows.toReversed().map(([at, name, completed, failed, runMs, buckets, waits]) => ({
    at: at ?? "0",
    task: name ?? "",
    completed: Number(completed),
    failed: Number(failed),
    runMs: Number(runMs),
    buckets: readBuckets(buckets),
    waits: readBuckets(waits),
  }));
}

function readBuckets(cell: Cell | undefined): number[] {
  return cell == null || cell === "{}" ? [] : cell.slice(1, -1).split(",").map(Number);
}

/** What the handlers of a task did in a minute. */
export interface TaskSampleRecord extends TaskCounts {
  /** Microseconds since 1970. */
  readonly at: string;
}
