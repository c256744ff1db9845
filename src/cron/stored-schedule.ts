import type { JobKeyMode } from "../job/job.ts";
import { toDate, toFlags, toNullableDate } from "../job/row.ts";
import type { ScheduleRecord } from "../postgres/queries/schedules.ts";
import { parseDuration } from "../runtime/duration.ts";
import { parseExpression } from "./expression.ts";
import type { CronSpec } from "./cron.ts";
import type { MissedTicks, RecurringJob } from "./recurring-job.ts";
import { createTimetable } from "./timetable.ts";

/** A {@link Schedule} with properties that only workers need. */
export interface StoredSchedule extends Omit<Schedule, "nextTick"> {
  readonly sinceMs: number;
  /** When its pause began; null when it is not paused. */
  readonly pausedAt: Date | null;
  readonly hasBeenSeen: boolean;
  readonly version: string;
}

/** A schedule that is stored in the database, as it was when it was read. */
export interface Schedule {
  readonly id: string;
  /** The identifier of the task. */
  readonly task: string;
  /** The cron expression. */
  readonly schedule: string;
  readonly timeZone: string;
  /** How far back missed ticks are looked for, in milliseconds. */
  readonly fill: number;
  readonly missed: MissedTicks;
  /** Without the `_cron` that every job gets. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** With the defaults of the task, as they were when it was stored. */
  readonly spec: CronSpec;
  /** Whether no ticks are added now. */
  readonly isPaused: boolean;
  /** The end of the pause; null when it has none, or the schedule is not paused. */
  readonly pausedUntil: Date | null;
  /** The last tick that was added. */
  readonly lastTick: Date | null;
  /** The next one by the clock of this machine; null when paused without an end. */
  readonly nextTick: Date | null;
  /** False when no running worker has reported within five minutes that it knows the task. */
  readonly isTaskKnown: boolean;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Converts a stored schedule for workers and applications. */
export function toStoredSchedule(record: ScheduleRecord): StoredSchedule {
  return {
    id: record.id,
    task: record.task,
    schedule: record.expression,
    timeZone: record.timeZone,
    fill: record.fillMs,
    missed: record.missed as MissedTicks,
    payload: JSON.parse(record.payload) as Readonly<Record<string, unknown>>,
    spec: toSpec(record),
    sinceMs: toDate(record.since).getTime(),
    lastTick: toNullableDate(record.lastTick),
    isPaused: record.isPaused,
    pausedAt: toNullableDate(record.pausedAt),
    pausedUntil: toNullableDate(record.pausedUntil),
    hasBeenSeen: record.taskSeenAt !== null,
    isTaskKnown: record.isTaskKnown,
    createdAt: toDate(record.createdAt),
    updatedAt: toDate(record.updatedAt),
    version: record.version,
  };
}

/** The public form of a schedule. `nextTick` is null also when the stored expression is invalid. */
export function toSchedule(stored: StoredSchedule, nowMs: number): Schedule {
  const { sinceMs: _since, pausedAt: _pausedAt, hasBeenSeen: _seen, version: _version, ...schedule } = stored;
  const [nextTick = null] = upcomingTicks(stored, nowMs, 1);
  return { ...schedule, pausedUntil: stored.isPaused ? stored.pausedUntil : null, nextTick };
}

/** The next ticks of a schedule after `nowMs`, those of a pause left out. */
export function upcomingTicks(stored: StoredSchedule, nowMs: number, count: number): Date[] {
  const { isPaused, pausedUntil } = stored;
  if (isPaused && pausedUntil === null) return [];
  const fromMs = isPaused && pausedUntil ? Math.max(nowMs, pausedUntil.getTime() - 1) : nowMs;
  try {
    return ticksAfter(createTimetable(parseExpression(stored.schedule), stored.timeZone), fromMs, count);
  } catch {
    // It was written into the table by hand; workers report it.
    return [];
  }
}

/** The first `count` instants of a timetable after `afterMs`. */
export function ticksAfter(timetable: RecurringJob["timetable"], afterMs: number, count: number): Date[] {
  const ticks: Date[] = [];
  for (let atMs = timetable.next(afterMs); atMs !== undefined && ticks.length < count; atMs = timetable.next(atMs)) {
    ticks.push(new Date(atMs));
  }
  return ticks;
}

/** The recurring job of a schedule. Throws `HOWDAH_CRON_INVALID` when the schedule is invalid. */
export function toRecurringJob(stored: StoredSchedule): RecurringJob {
  const { id, task, fill: fillMs, missed, payload, spec } = stored;
  return {
    id,
    source: "schedule",
    fillMs,
    missed,
    payload,
    timetable: createTimetable(parseExpression(stored.schedule), stored.timeZone),
    // How the job is stored is read from the table when the tick is added.
    job: {
      identifier: task,
      queueName: spec.queueName ?? null,
      maxAttempts: spec.maxAttempts ?? null,
      jobKey: spec.jobKey ?? null,
      jobKeyMode: spec.jobKeyMode ?? "replace",
      priority: spec.priority ?? null,
      flags: spec.flags ?? null,
      timeoutMs: spec.timeout === undefined ? null : parseDuration(spec.timeout, "timeout"),
    },
  };
}

function toSpec(record: ScheduleRecord): CronSpec {
  const { queueName, maxAttempts, jobKey, jobKeyMode, priority, flags, timeoutMs } = record;
  return {
    ...(queueName === null ? {} : { queueName }),
    ...(maxAttempts === null ? {} : { maxAttempts }),
    ...(jobKey === null ? {} : { jobKey }),
    ...(jobKeyMode === null ? {} : { jobKeyMode: jobKeyMode as Exclude<JobKeyMode, "unsafe_dedupe"> }),
    ...(priority === null ? {} : { priority }),
    ...(flags === null ? {} : { flags: toFlags(flags) }),
    ...(timeoutMs === null ? {} : { timeout: timeoutMs }),
  };
}
