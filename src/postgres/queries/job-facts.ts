import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { idleSessions } from "./idle-workers.ts";
import { limitsOfQueue, lockOfQueue, type QueueLimitsRecord, readQueueLimits } from "./queue-limits.ts";
import { levels, PLAIN } from "./running-jobs.ts";

/**
 * Reads what decides when a job runs, in one statement that goes through
 * indexes: the job, its task and queue, the jobs before it, and who could take it.
 */
export async function readJobFacts(executor: Executor, schema: Schema, id: string): Promise<JobFactsRecord> {
  const us = schema.of("_howdah_us");
  const inMs = (at: string): string =>
    `(${us}(${at}) operator(pg_catalog.-) ${us}(pg_catalog.now()))::pg_catalog.float8 operator(pg_catalog./) 1000`;
  // $1 job id
  const text = `
with recursive job as materialized (
  select job.*, task.identifier as task, queue.queue_name, ${lockOfQueue("queue", "locked_at")} as queue_locked_at,
    ${lockOfQueue("queue", "locked_by")} as queue_locked_by, queue._howdah_paused_until as queue_paused_until,
    ${limitsOfQueue(schema, "queue", { pool: true })}::pg_catalog.text as queue_limits
  from ${schema.of("_private_jobs")} as job
  left join ${schema.of("_private_tasks")} as task on task.id operator(pg_catalog.=) job.task_id
  left join ${schema.of("_private_job_queues")} as queue on queue.id operator(pg_catalog.=) job.job_queue_id
  where job.id operator(pg_catalog.=) $1::pg_catalog.int8
), ${levels(schema)},
before as materialized (${jobsBefore(schema)}),
worker as materialized (${workersOf(schema)})
select ${us}(pg_catalog.now()), job.id, coalesce(job.task, ''), job.queue_name, job.attempts, job.max_attempts, job.last_error,
  job.flags, ${us}(job.run_at), ${inMs("job.run_at")}, ${inMs("greatest(job.run_at, job.created_at, job.updated_at)")},
  job.locked_by, ${inMs("job.locked_at")}, job._howdah_cancelled::pg_catalog.text,
  (select ${us}(paused.paused_until) from ${schema.of("_howdah_paused_tasks")} as paused
    where paused.identifier operator(pg_catalog.=) job.task and paused.paused_until operator(pg_catalog.>) pg_catalog.now()),
  case when job.queue_paused_until operator(pg_catalog.>) pg_catalog.now() then ${us}(job.queue_paused_until) end,
  job.queue_locked_by, ${inMs("job.queue_locked_at")},
  (select pg_catalog.count(*) from before where before.locked_at is null and before.run_at operator(pg_catalog.<=) pg_catalog.now()),
  (select pg_catalog.count(*) from before),
  (select before.id from before where before.locked_at is null and before.run_at operator(pg_catalog.<=) pg_catalog.now()
    order by before.priority, before.run_at, before.id limit 1),
  (select pg_catalog.count(*) from before where before.locked_at is not null),
  (select (pg_catalog.max(sample.deleted) operator(pg_catalog.-) pg_catalog.min(sample.deleted))
      operator(pg_catalog./) nullif(extract(epoch from pg_catalog.max(sample.taken_at) operator(pg_catalog.-) pg_catalog.min(sample.taken_at)), 0)
    from ${schema.of("_howdah_samples")} as sample
    where sample.resolution operator(pg_catalog.=) 10 and sample.at operator(pg_catalog.>) (pg_catalog.now() operator(pg_catalog.-) interval '2 minutes')),
  (select pg_catalog.json_agg(pg_catalog.json_build_array(worker.id, worker.beat, worker.silent_ms, worker.lock,
    worker.is_dead, worker.metadata)) from worker),
  (select pg_catalog.count(*) from (${idleSessions(schema)}) as idle), job.queue_limits
from (values (1)) as one(row) left join job on true`;
  const [row = []] = (await executor.query({ name: "job_facts", text, values: [id] })).rows;
  return toFacts(row);
}

/** What decides when a job runs. Times are microseconds since 1970, what ends in Ms is counted from now. */
export interface JobFactsRecord {
  readonly now: string;
  /** `undefined` when there is none. */
  readonly job: JobFactsOfRow | undefined;
  readonly workers: readonly WorkerFactsRecord[];
  /** How many listen and are not registered. */
  readonly idleWorkers: number;
}

/** A job, and what its task and queue add. */
export interface JobFactsOfRow {
  readonly id: string;
  readonly task: string;
  readonly queueName: string | null;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly flags: readonly string[];
  readonly runAt: string;
  /** Negative when it is due. */
  readonly dueInMs: number;
  /** Since when it could run, as far as its own row says; negative. */
  readonly changedInMs: number;
  readonly lockedBy: string | null;
  /** Null while it is not locked. */
  readonly lockedForMs: number | null;
  /** Why it was cancelled while it ran. */
  readonly cancelReason: string | null;
  readonly taskPausedUntil: string | null;
  readonly queuePausedUntil: string | null;
  readonly queueLockedBy: string | null;
  /** Null while its queue is not locked. */
  readonly queueLockedForMs: number | null;
  /** What the rules of its queue leave to its jobs; null without rules. */
  readonly queueLimits: QueueLimitsRecord | null;
  readonly before: JobsBefore;
}

/** Jobs that are due and not locked, and come before a job: in its queue, or without one where it has none. */
export interface JobsBefore {
  readonly count: number;
  /** False when there may be more. */
  readonly isExact: boolean;
  /** The first of them. */
  readonly firstId: string | null;
  /** How many jobs before it are locked: in a queue those of the chain that a worker holds. */
  readonly locked: number;
  /** How many jobs left the table each second in the last two minutes, as samples have it; null without any. */
  readonly donePerSecond: number | null;
}

/** A registered worker. */
export interface WorkerFactsRecord {
  readonly id: string;
  /** Its last heartbeat. */
  readonly beat: string;
  readonly silentMs: number;
  /** Whether the session's lock is there that stands for it. */
  readonly lock: "held" | "lost" | "none";
  readonly isDeclaredDead: boolean;
  /** What is stored about it, of any form. */
  readonly metadata: unknown;
}

/** The jobs before a job that are looked at, at most. */
const LOOKED = 1_000;

/** The workers that are looked at, at most: those that know the task first. */
const WORKERS = 100;

/** Only of a job that waits and is due: no other asks who is before it. */
function jobsBefore(schema: Schema): string {
  const jobs = schema.of("_private_jobs");
  const columns = "other.id, other.priority, other.run_at, other.locked_at";
  const waits = `job.locked_at is null and job.run_at operator(pg_catalog.<=) pg_catalog.now()`;
  const plain = PLAIN.replaceAll("job.", "other.");
  return `
  select * from (
    (select found.* from job cross join lateral (
      select ${columns} from ${jobs} as other
      where other.job_queue_id operator(pg_catalog.=) job.job_queue_id and not other._howdah_exhausted
        and row(other.priority, other.run_at, other.id) operator(pg_catalog.<) row(job.priority, job.run_at, job.id)
      order by other.priority, other.run_at, other.id limit ${LOOKED + 1}
    ) as found where ${waits} and job.job_queue_id is not null)
    union all
    (select found.* from job cross join level cross join lateral (
      select ${columns} from ${jobs} as other
      where ${plain} and other.priority operator(pg_catalog.=) level.priority
        and other.run_at operator(pg_catalog.<=) pg_catalog.now()
      order by other.run_at, other.id limit ${LOOKED + 1}
    ) as found where ${waits} and job.job_queue_id is null and level.priority operator(pg_catalog.<) job.priority)
    union all
    (select found.* from job cross join lateral (
      select ${columns} from ${jobs} as other
      where ${plain} and other.priority operator(pg_catalog.=) job.priority
        and row(other.run_at, other.id) operator(pg_catalog.<) row(job.run_at, job.id)
      order by other.run_at, other.id limit ${LOOKED + 1}
    ) as found where ${waits} and job.job_queue_id is null)
  ) as found limit ${LOOKED + 1}`;
}

/** What a worker runs is left out, but for those that hold the job or its queue: it is most of a report. */
function workersOf(schema: Schema): string {
  const isHolder = `exists (select from job where worker.id operator(pg_catalog.=) job.locked_by or worker.id operator(pg_catalog.=) job.queue_locked_by)`;
  const knows = `coalesce(pg_catalog.jsonb_exists(worker.metadata operator(pg_catalog.->) 'tasks', (select job.task from job)), false)`;
  return `
  select worker.id, ${schema.of("_howdah_us")}(worker.last_heartbeat_at)::pg_catalog.text as beat,
    (extract(epoch from pg_catalog.now() operator(pg_catalog.-) worker.last_heartbeat_at) operator(pg_catalog.*) 1000)::pg_catalog.int8 as silent_ms,
    seen.lock, worker._howdah_swept operator(pg_catalog.>) 0 as is_dead,
    case when ${isHolder} or pg_catalog.jsonb_typeof(worker.metadata operator(pg_catalog.->) 'running') is null then worker.metadata
      else pg_catalog.jsonb_set(worker.metadata, '{running}', '[]') end as metadata
  from ${schema.of("_private_workers")} as worker
  join ${schema.of("_howdah_workers_v1")}() as seen on seen.id operator(pg_catalog.=) worker.id
  order by ${isHolder} desc, ${knows} desc, worker.last_heartbeat_at desc limit ${WORKERS}`;
}

function toFacts(row: readonly (string | null)[]): JobFactsRecord {
  const [now, id, task, queueName, attempts, maxAttempts, lastError, flags, runAt, dueInMs, changedInMs] = row;
  const [lockedBy = null, lockedInMs, cancelReason = null, taskPausedUntil = null, queuePausedUntil = null] =
    row.slice(11);
  const [
    queueLockedBy = null,
    queueLockedInMs,
    count,
    looked,
    firstId = null,
    locked,
    perSecond,
    workers,
    idle,
    limits,
  ] = row.slice(16);
  const agoMs = (inMs: string | null | undefined): number | null => (inMs == null ? null : -Number(inMs));
  const job = id != null && {
    id,
    task: task ?? "",
    queueName: queueName ?? null,
    attempts: Number(attempts),
    maxAttempts: Number(maxAttempts),
    lastError: lastError ?? null,
    flags: Object.keys((JSON.parse(flags ?? "null") ?? {}) as object),
    runAt: runAt ?? "0",
    dueInMs: Number(dueInMs),
    changedInMs: Number(changedInMs),
    lockedBy,
    lockedForMs: agoMs(lockedInMs),
    cancelReason,
    taskPausedUntil,
    queuePausedUntil,
    queueLockedBy,
    queueLockedForMs: agoMs(queueLockedInMs),
    queueLimits: readQueueLimits(limits),
    before: {
      count: Math.min(Number(count), LOOKED),
      isExact: Number(looked) <= LOOKED,
      firstId,
      locked: Number(locked),
      donePerSecond: perSecond == null ? null : Math.max(0, Number(perSecond)),
    },
  };
  const told = (JSON.parse(workers ?? "null") ?? []) as WorkerRow[];
  return { now: now ?? "0", job: job || undefined, workers: told.map(toWorker), idleWorkers: Number(idle) };
}

type WorkerRow = [string, string, number, WorkerFactsRecord["lock"], boolean, unknown];

function toWorker([id, beat, silentMs, lock, isDeclaredDead, metadata]: WorkerRow): WorkerFactsRecord {
  return { id, beat, silentMs, lock, isDeclaredDead, metadata };
}
