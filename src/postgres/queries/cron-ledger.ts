import type { Cell, Executor } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { isDelay, runTimes, type RunTimeExpression } from "./run-times.ts";
import { flagSet } from "./job-arrays.ts";

/** What is remembered of an entry of a crontab, in milliseconds since 1970. */
export interface KnownCrontab {
  readonly knownSinceMs: number;
  readonly lastExecutionMs: number | undefined;
}

/** How the job of a tick is stored. Null takes the default of the database. */
export interface TickJob {
  readonly identifier: string;
  readonly queueName: string | null;
  readonly maxAttempts: number | null;
  readonly jobKey: string | null;
  readonly jobKeyMode: string;
  readonly priority: number | null;
  readonly flags: readonly string[] | null;
  readonly timeoutMs: number | null;
}

/** A tick to add. */
export interface TickToAdd {
  /** What the ledger knows the entry as. */
  readonly id: string;
  readonly tickMs: number;
  /** JSON; null to mark the tick without adding a job. */
  readonly payload: string | null;
  readonly job: TickJob;
  /** When its job is due, as PostgreSQL reads it; null for the time of the tick. */
  readonly runAt: string | null;
}

/**
 * Makes the entries known that no worker has run before, without adding jobs, and
 * returns what is remembered of each. Works on the table that other
 * implementations share.
 */
export async function registerCrontabs(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  ids: readonly string[],
  nowMs: number,
): Promise<Map<string, KnownCrontab>> {
  const table = schema.of("_private_known_crontabs");
  // $1 identifiers   $2 known since, in microseconds
  await executor.query({
    text: `
insert into ${table} (identifier, known_since)
select wanted.identifier, ${schema.of("_howdah_at")}($2::bigint) from pg_catalog.unnest($1::pg_catalog.text[]) as wanted(identifier)
order by wanted.identifier collate pg_catalog."C"
on conflict do nothing`,
    values: [textArray(ids), microseconds(nowMs)],
  });
  const us = schema.of("_howdah_us");
  const { rows } = await executor.query({
    text: `select identifier, ${us}(known_since), ${us}(last_execution) from ${table}
where identifier operator(pg_catalog.=) any($1::pg_catalog.text[])`,
    values: [textArray(ids)],
  });
  return new Map(
    rows.map(([id, knownSince, lastExecution]) => [
      String(id),
      { knownSinceMs: milliseconds(knownSince) ?? nowMs, lastExecutionMs: milliseconds(lastExecution) },
    ]),
  );
}

/**
 * Adds the ticks that no worker has added yet, all in one transaction with their
 * marks in the ledger. Those of one entry have to ascend. Returns the id of the
 * job of each tick, in order; null when another worker was first.
 */
export async function addCronTicks(
  executor: Executor,
  schema: Schema,
  ticks: readonly TickToAdd[],
): Promise<(string | null)[]> {
  // $1 identifiers   $2 ticks   $3 to $12 as tickJobColumns has them
  const runs = tickTimes("$12", "howdah_cron_ticks_1", ticks);
  const text = `select job_id from ${schema.of("_howdah_add_cron_ticks_v1")}(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ${runs.expression}
)`;
  const values = [
    textArray(ticks.map(({ id }) => id)),
    numberArray(ticks.map(({ tickMs }) => microseconds(tickMs))),
    ...tickJobColumns(ticks),
  ];
  const { rows } = await executor.query({ name: runs.name, text, values });
  return rows.map(([jobId]) => jobId ?? null);
}

/**
 * How the jobs of ticks are stored, a column each: tasks, payloads, queue names,
 * max attempts, job keys, priorities, flag sets, key modes, timeouts, times.
 */
export function tickJobColumns(ticks: readonly TickToAdd[]): string[] {
  const jobs = ticks.map(({ job }) => job);
  return [
    textArray(jobs.map(({ identifier }) => identifier)),
    textArray(ticks.map(({ payload }) => payload)),
    textArray(jobs.map(({ queueName }) => queueName)),
    numberArray(jobs.map(({ maxAttempts }) => maxAttempts ?? "null")),
    textArray(jobs.map(({ jobKey }) => jobKey)),
    numberArray(jobs.map(({ priority }) => priority ?? "null")),
    textArray(jobs.map(({ flags }) => flags && flagSet(flags))),
    textArray(jobs.map(({ jobKey, jobKeyMode }) => (jobKey === null ? null : jobKeyMode))),
    numberArray(jobs.map(({ timeoutMs }) => timeoutMs ?? "null")),
    textArray(ticks.map(({ runAt }) => runAt)),
  ];
}

/** The statement for the last of {@link tickJobColumns}: interceptors may give a tick a delay. */
export function tickTimes(parameter: string, name: string, ticks: readonly TickToAdd[]): RunTimeExpression {
  return runTimes(parameter, { delayed: ticks.some(({ runAt }) => isDelay(runAt)), name });
}

/** A whole number of milliseconds, as the database takes it: microseconds. */
export function microseconds(ms: number): string {
  return `${Math.floor(ms)}000`;
}

function milliseconds(cell: Cell | undefined): number | undefined {
  return cell === null || cell === undefined ? undefined : Math.floor(Number(cell) / 1000);
}
