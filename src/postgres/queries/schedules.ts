import type { Cell, Executor, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { microseconds, type TickJob, tickJobColumns, tickTimes, type TickToAdd } from "./cron-ledger.ts";
import { flagSet } from "./job-arrays.ts";

/** The channel on which a change of the schedules is announced, with the name of the schema. */
export const SCHEDULES_CHANNEL = "howdah:schedules";

/** What a call about schedules needs. */
export interface ScheduleTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** A schedule to store. */
export interface ScheduleToStore {
  readonly id: string;
  readonly expression: string;
  readonly timeZone: string;
  readonly fillMs: number;
  readonly missed: string;
  /** JSON. */
  readonly payload: string;
  readonly job: TickJob;
}

/** A tick of a stored schedule. */
export interface ScheduleTick extends TickToAdd {
  /** Of the schedule that the tick was computed from. */
  readonly version: string;
}

/** What became of a tick. */
export interface ScheduleTickResult {
  /** Null when it was added before, or does not belong to the schedule. */
  readonly jobId: string | null;
  /** The schedule is not the one that the tick was computed from; nothing was decided about it. */
  readonly hasChanged: boolean;
}

/** Stores or changes a schedule and returns it. */
export async function upsertSchedule(
  { executor, schema }: ScheduleTarget,
  wanted: ScheduleToStore,
): Promise<ScheduleRecord> {
  const { job } = wanted;
  // $1 id        $2 task         $3 expression     $4 zone      $5 fill ms        $6 missed     $7 payload
  // $8 queue     $9 max attempts $10 job key       $11 key mode $12 priority      $13 flag set  $14 timeout
  const text = `select ${columns(schema)} from ${schema.of("_howdah_upsert_schedule_v1")}(
  $1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.int8,
  $6::pg_catalog.text, $7::pg_catalog.json, $8::pg_catalog.text, $9::pg_catalog.int4, $10::pg_catalog.text,
  $11::pg_catalog.text, $12::pg_catalog.int4, $13::pg_catalog.jsonb, $14::pg_catalog.int4
) as stored`;
  const values = [
    wanted.id,
    job.identifier,
    wanted.expression,
    wanted.timeZone,
    String(Math.floor(wanted.fillMs)),
    wanted.missed,
    wanted.payload,
    job.queueName,
    job.maxAttempts === null ? null : String(job.maxAttempts),
    job.jobKey,
    job.jobKey === null ? null : job.jobKeyMode,
    job.priority === null ? null : String(job.priority),
    job.flags && flagSet(job.flags),
    job.timeoutMs === null ? null : String(job.timeoutMs),
  ];
  const { rows } = await executor.query({ name: "upsert_schedule", text, values });
  return toScheduleRecord(rows[0] ?? []);
}

/** Returns every schedule by its id, or the one with this id. */
export async function listSchedules(
  { executor, schema }: ScheduleTarget,
  id?: string,
): Promise<readonly ScheduleRecord[]> {
  // $1 id, or null for all
  const text = `select ${columns(schema)} from ${schema.of("_howdah_schedules")} as stored
where $1::pg_catalog.text is null or stored.id operator(pg_catalog.=) $1::pg_catalog.text
order by stored.id collate pg_catalog."C"`;
  return (await executor.query({ name: "list_schedules", text, values: [id ?? null] })).rows.map(toScheduleRecord);
}

/** Pauses a schedule, for good or until a time as PostgreSQL reads it. `undefined` when it does not exist. */
export function pauseSchedule(
  target: ScheduleTarget,
  id: string,
  until: string | null,
): Promise<ScheduleRecord | undefined> {
  return changed(target, "_howdah_pause_schedule_v1($1::pg_catalog.text, $2::pg_catalog.timestamptz)", [id, until]);
}

/** Ends the pause of a schedule. `undefined` when it does not exist. */
export function resumeSchedule(target: ScheduleTarget, id: string): Promise<ScheduleRecord | undefined> {
  return changed(target, "_howdah_resume_schedule_v1($1::pg_catalog.text)", [id]);
}

/** Deletes a schedule; jobs that it has added stay. `undefined` when it does not exist. */
export async function removeSchedule(
  { executor, schema }: ScheduleTarget,
  id: string,
): Promise<ScheduleRecord | undefined> {
  // $1 id
  const text = `delete from ${schema.of("_howdah_schedules")} as stored
where stored.id operator(pg_catalog.=) $1::pg_catalog.text returning ${columns(schema)}`;
  const [row] = (await executor.query({ text, values: [id] })).rows;
  return row && toScheduleRecord(row);
}

/** Adds the ticks that no worker has added yet, as `addCronTicks` does, and says in order what became of each. */
export async function addScheduleTicks(
  { executor, schema }: ScheduleTarget,
  ticks: readonly ScheduleTick[],
): Promise<ScheduleTickResult[]> {
  // $1 ids   $2 versions   $3 ticks   $4 to $13 as tickJobColumns has them
  const runs = tickTimes("$13", "howdah_schedule_ticks_1", ticks);
  const text = `select job_id, changed from ${schema.of("_howdah_add_schedule_ticks_v1")}(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, ${runs.expression}
)`;
  const values = [
    textArray(ticks.map(({ id }) => id)),
    textArray(ticks.map(({ version }) => version)),
    numberArray(ticks.map(({ tickMs }) => microseconds(tickMs))),
    ...tickJobColumns(ticks),
  ];
  const { rows } = await executor.query({ name: runs.name, text, values });
  return rows.map(([jobId, hasChanged]) => ({ jobId: jobId ?? null, hasChanged: hasChanged === "t" }));
}

/**
 * Notes that a worker runs that knows these tasks, at most once in
 * `intervalMs` and schedule. Never waits: a caller that changes a schedule comes first.
 */
export async function seeScheduleTasks(
  { executor, schema }: ScheduleTarget,
  tasks: readonly string[],
  intervalMs: number,
): Promise<void> {
  const table = schema.of("_howdah_schedules");
  // $1 tasks   $2 interval in seconds
  const text = `
update ${table} as stored set task_seen_at = pg_catalog.now()
where stored.id operator(pg_catalog.=) any(array(
  select seen.id from ${table} as seen
  where seen.task operator(pg_catalog.=) any($1::pg_catalog.text[])
    and (
      seen.task_seen_at is null or seen.task_seen_at operator(pg_catalog.<)
        (pg_catalog.now() operator(pg_catalog.-) ($2::double precision operator(pg_catalog.*) interval '1 second'))
    )
  order by seen.id collate pg_catalog."C"
  for update skip locked
))`;
  await executor.query({ text, values: [textArray(tasks), String(intervalMs / 1000)] });
}

async function changed(
  { executor, schema }: ScheduleTarget,
  call: string,
  values: readonly (string | null)[],
): Promise<ScheduleRecord | undefined> {
  const text = `select ${columns(schema)} from ${schema.quoted}.${call} as stored`;
  const [row] = (await executor.query({ text, values })).rows;
  return row && toScheduleRecord(row);
}

/** What {@link toScheduleRecord} reads, in its order. */
function columns(schema: Schema): string {
  const us = schema.of("_howdah_us");
  return `
  stored.id, stored.task, stored.expression, stored.time_zone, stored.fill_ms, stored.missed, stored.payload,
  stored.queue_name, stored.max_attempts, stored.job_key, stored.job_key_mode, stored.priority, stored.flags,
  ${us}(stored.since), ${us}(stored.last_tick), ${us}(stored.paused_at), ${us}(stored.paused_until),
  ${us}(stored.task_seen_at), ${us}(stored.created_at), ${us}(stored.updated_at), stored.version,
  stored.paused_at is not null and (stored.paused_until is null or stored.paused_until operator(pg_catalog.>) pg_catalog.now()),
  coalesce(stored.task_seen_at operator(pg_catalog.>) (pg_catalog.now() operator(pg_catalog.-) interval '5 minutes'), false), stored.timeout_ms`;
}

/** A schedule as it is stored. Times are microseconds since 1970. */
export interface ScheduleRecord {
  readonly id: string;
  readonly task: string;
  readonly expression: string;
  readonly timeZone: string;
  readonly fillMs: number;
  readonly missed: string;
  /** JSON. */
  readonly payload: string;
  readonly queueName: string | null;
  readonly maxAttempts: number | null;
  readonly jobKey: string | null;
  readonly jobKeyMode: string | null;
  readonly priority: number | null;
  /** A JSON object whose keys they are; null for none. */
  readonly flags: string | null;
  readonly since: string;
  readonly lastTick: string | null;
  readonly pausedAt: string | null;
  readonly pausedUntil: string | null;
  readonly taskSeenAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly version: string;
  readonly isPaused: boolean;
  /** A worker that knows the task has said so within five minutes. */
  readonly isTaskKnown: boolean;
  readonly timeoutMs: number | null;
}

function toScheduleRecord([
  id,
  task,
  expression,
  timeZone,
  fillMs,
  missed,
  payload,
  queueName = null,
  maxAttempts,
  jobKey = null,
  jobKeyMode = null,
  priority,
  flags = null,
  since,
  lastTick = null,
  pausedAt = null,
  pausedUntil = null,
  taskSeenAt = null,
  createdAt,
  updatedAt,
  version,
  isPaused,
  isTaskKnown,
  timeoutMs,
]: Row): ScheduleRecord {
  const number = (cell: Cell | undefined): number | null => (cell == null ? null : Number(cell));
  return {
    id: id ?? "",
    task: task ?? "",
    expression: expression ?? "",
    timeZone: timeZone ?? "",
    fillMs: Number(fillMs),
    missed: missed ?? "all",
    payload: payload ?? "{}",
    queueName,
    maxAttempts: number(maxAttempts),
    jobKey,
    jobKeyMode,
    priority: number(priority),
    flags,
    since: since ?? "",
    lastTick,
    pausedAt,
    pausedUntil,
    taskSeenAt,
    createdAt: createdAt ?? "",
    updatedAt: updatedAt ?? "",
    version: version ?? "",
    isPaused: isPaused === "t",
    isTaskKnown: isTaskKnown === "t",
    timeoutMs: number(timeoutMs),
  };
}
