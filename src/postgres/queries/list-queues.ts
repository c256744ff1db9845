import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { Values } from "./job-selection.ts";
import { stateConditions } from "./job-columns.ts";
import { lanesHeld, limitsOfQueue, lockOfQueue, type QueueLimitsRecord, readQueueLimits } from "./queue-limits.ts";

/**
 * Returns one page of the named queues by name, in the order that the database
 * gives texts. At most {@link QUEUE_WINDOW} queues are looked at.
 */
export async function listQueues(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  filter: QueueFilter,
  { after, limit }: QueuePageRequest,
): Promise<QueuePage> {
  const values = new Values();
  const conditions = queueConditions(schema, filter, values);
  const where = boundsOf(filter, after, values);
  const window = (columns: string): string =>
    `select ${columns} from ${schema.of("_private_job_queues")} as queue ${where} order by queue.queue_name`;
  const us = schema.of("_howdah_us");
  const edge = `
union all
select null, edge.queue_name, null, null, null, null, null, ${us}(pg_catalog.now()), null, null
from (select * from (${window("queue.queue_name")}) as queue offset ${QUEUE_WINDOW - 1} limit 1) as edge
where (select pg_catalog.count(*) from page) operator(pg_catalog.<=) ${limit}`;
  const text = `
with page as materialized (
  select queue.*, pg_catalog.row_number() over () as place from (
    select queue.* from (${window("queue.*")} limit ${QUEUE_WINDOW}) as queue
    ${conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`}
    order by queue.queue_name limit ${limit + 1}
  ) as queue
)
select queue.place, queue.queue_name, held.jobs, held.ready,
  ${us}(${lockOfQueue("queue", "locked_at")}), ${lockOfQueue("queue", "locked_by")},
  case when queue._howdah_paused_until operator(pg_catalog.>) pg_catalog.now() then ${us}(queue._howdah_paused_until) end,
  ${us}(pg_catalog.now()), held.running, ${limitsOfQueue(schema, "queue", { pool: false })}::pg_catalog.text
from page as queue cross join lateral (
  select pg_catalog.count(*) as jobs, pg_catalog.count(*) filter (where ${stateConditions.ready}) as ready,
    pg_catalog.count(*) filter (where job.locked_at is not null) as running
  from (
    select * from ${schema.of("_private_jobs")} as job
    where job.job_queue_id operator(pg_catalog.=) queue.id and not job._howdah_exhausted
    order by job.priority, job.run_at, job.id limit ${COUNTED + 1}
  ) as job
) as held${conditions.length === 0 ? "" : edge}
order by 1`;
  const { rows } = await executor.query({ text, values: values.cells });
  const found = rows.filter(([place]) => place !== null);
  const last = rows.find(([place]) => place === null);
  return {
    queues: found
      .slice(0, limit)
      .map(([, name, jobs, ready, lockedAt = null, lockedBy = null, pausedUntil = null, , running, limits]) => ({
        name: name ?? "",
        jobs: Number(jobs),
        ready: Number(ready),
        lockedAt,
        lockedBy,
        pausedUntil,
        running: Number(running),
        limits: readQueueLimits(limits),
      })),
    hasMore: found.length > limit,
    searchedTo: last?.[1] ?? undefined,
    asOf: rows[0]?.[7] ?? "0",
  };
}

/** Which queues to list; what is left out does not matter. */
export interface QueueFilter {
  /** A part of the name. */
  readonly search?: string | undefined;
  readonly isPaused?: boolean | undefined;
  readonly isLocked?: boolean | undefined;
  /** Whether it has jobs that may still run. */
  readonly hasJobs?: boolean | undefined;
  /** Only these. */
  readonly names?: readonly string[] | undefined;
}

/** Which page of the queues. */
export interface QueuePageRequest {
  /** The name that the page before ended with. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** One page of the queues. */
export interface QueuePage {
  readonly queues: readonly QueueRecord[];
  readonly hasMore: boolean;
  /** Where the search ended for now; `undefined` when it found a full page, or came to the end. */
  readonly searchedTo: string | undefined;
  /** Microseconds since 1970. */
  readonly asOf: string;
}

/** A named queue. Times are microseconds since 1970. */
export interface QueueRecord {
  readonly name: string;
  /** Of the first {@link COUNTED} and one more. */
  readonly jobs: number;
  readonly ready: number;
  readonly lockedAt: string | null;
  readonly lockedBy: string | null;
  /** Null for a queue that is not paused. */
  readonly pausedUntil: string | null;
  /** Of those that are counted, how many are locked. */
  readonly running: number;
  /** Null for a queue without rules. */
  readonly limits: QueueLimitsRecord | null;
}

/** The jobs of one queue that are counted, at most. */
export const COUNTED = 1_000;

/** The queues that one page looks at, at most. */
const QUEUE_WINDOW = 50_000;

/** The names of all queues, without a look at their jobs. */
export async function listQueueNames(executor: Executor, schema: Schema): Promise<string[]> {
  const text = `select queue.queue_name from ${schema.of("_private_job_queues")} as queue`;
  return (await executor.query({ text })).rows.map(([name]) => name ?? "");
}

/** Where the window begins; and with names it has no others. */
function boundsOf({ names }: QueueFilter, after: string | undefined, values: Values): string {
  const bounds: string[] = [];
  if (after !== undefined) bounds.push(`queue.queue_name operator(pg_catalog.>) ${values.add(after)}::pg_catalog.text`);
  if (names !== undefined)
    bounds.push(`queue.queue_name operator(pg_catalog.=) any (${values.add(textArray(names))}::pg_catalog.text[])`);
  return bounds.length === 0 ? "" : `where ${bounds.join(" and ")}`;
}

/** A worker holds the queue, or, when it has rules, a lane of it. */
function isHeld(schema: Schema): string {
  return `((${lockOfQueue("queue", "locked_at")}) is not null
      or queue._howdah_width operator(pg_catalog.>) 0 and ${lanesHeld(schema, "queue.id")} operator(pg_catalog.>) 0)`;
}

function queueConditions(schema: Schema, filter: QueueFilter, values: Values): string[] {
  const { search, isPaused, isLocked, hasJobs } = filter;
  const written = (condition: string, isTrue: boolean): string => (isTrue ? condition : `(${condition}) is not true`);
  const conditions = [
    search === undefined
      ? undefined
      : `pg_catalog.strpos(queue.queue_name, ${values.add(search)}::pg_catalog.text) operator(pg_catalog.>) 0`,
    isPaused === undefined
      ? undefined
      : written("queue._howdah_paused_until operator(pg_catalog.>) pg_catalog.now()", isPaused),
    isLocked === undefined ? undefined : written(isHeld(schema), isLocked),
    hasJobs === undefined
      ? undefined
      : written(
          // Not "exists", of which the planner could make a join with all jobs.
          `(select true from ${schema.of("_private_jobs")} as job
      where job.job_queue_id operator(pg_catalog.=) queue.id and not job._howdah_exhausted limit 1)`,
          hasJobs,
        ),
  ];
  return conditions.filter((condition) => condition !== undefined);
}
