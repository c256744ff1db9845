import type { Cell, Executor } from "../driver.ts";
import { numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** The channel on which workers are told to look at what was cancelled, paused or resumed. */
export const CONTROL_CHANNEL = "howdah:control";

/** Where to pause. */
export interface ControlTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** A queue that is paused. */
export interface PausedQueue {
  readonly id: number;
  readonly name: string;
  /** In microseconds; the largest number when it has no end. */
  readonly until: string;
}

/** A task that is paused. */
export interface PausedTask {
  /** Its identifier. */
  readonly name: string;
  readonly until: string;
}

/** A job that was cancelled while it was locked. */
export interface CancelledJob {
  readonly id: string;
  readonly reason: string;
  readonly workerId: string;
  /** In microseconds. */
  readonly lockedAt: string;
}

/** Who has locked a job, and its queue if it has one. */
export interface JobLock {
  readonly workerId: string;
  /** In microseconds. */
  readonly lockedAt: string;
}

/** What is paused, and which of the jobs that were asked for are locked and cancelled. */
export interface ControlAnswer {
  readonly queues: readonly PausedQueue[];
  readonly tasks: readonly PausedTask[];
  readonly cancelled: readonly CancelledJob[];
  /** Of the jobs that were asked for, by their id. Those that are not locked, or whose queue another worker has, are not here. */
  readonly locks: ReadonlyMap<string, JobLock>;
  /** When it was read, in microseconds: jobs that were claimed later have seen all pauses that are told here. */
  readonly readAt: string;
}

/** Pauses a queue by its name until a time as PostgreSQL reads it; null for no end. Returns the end in microseconds. */
export async function pauseQueue(target: ControlTarget, name: string, until: string | null): Promise<string> {
  // $1 queue name   $2 until
  return pause(target, "_howdah_pause_queue_v1", [name, until]);
}

/** Ends the pause of a queue. False when it was not paused. */
export async function resumeQueue(target: ControlTarget, name: string): Promise<boolean> {
  // $1 queue name
  return resume(target, "_howdah_resume_queue_v1", [name]);
}

/** Pauses a task by its identifier; otherwise as {@link pauseQueue}. */
export async function pauseTask(target: ControlTarget, identifier: string, until: string | null): Promise<string> {
  // $1 identifier   $2 until
  return pause(target, "_howdah_pause_task_v1", [identifier, until]);
}

/** Ends the pause of a task. False when it was not paused. */
export async function resumeTask(target: ControlTarget, identifier: string): Promise<boolean> {
  // $1 identifier
  return resume(target, "_howdah_resume_task_v1", [identifier]);
}

/** Reads everything that is paused, who has locked these jobs, and which of those were cancelled. */
export async function readControl(
  { executor, schema }: ControlTarget,
  jobIds: readonly string[],
): Promise<ControlAnswer> {
  // $1 job ids
  const text = `select kind, id, name, at, worker from ${schema.of("_howdah_control_v1")}($1::pg_catalog.int8[])`;
  const { rows } = await executor.query({ name: "howdah_control_1", text, values: [numberArray(jobIds)] });
  const queues: PausedQueue[] = [];
  const tasks: PausedTask[] = [];
  const cancelled: CancelledJob[] = [];
  const locks = new Map<string, JobLock>();
  let readAt = "0";
  for (const row of rows) {
    const [kind, id, name, at, worker] = row.map(String) as [string, string, string, string, string];
    if (kind === "q") queues.push({ id: Number(id), name, until: at });
    else if (kind === "t") tasks.push({ name, until: at });
    else if (kind === "c") cancelled.push({ id, reason: name, workerId: worker, lockedAt: at });
    else if (kind === "l") locks.set(id, { workerId: worker, lockedAt: at });
    else readAt = at;
  }
  return { queues, tasks, cancelled, locks, readAt };
}

async function pause({ executor, schema }: ControlTarget, name: string, values: readonly Cell[]): Promise<string> {
  const text = `select ${schema.of("_howdah_us")}(${schema.of(name)}($1::pg_catalog.text, $2::pg_catalog.timestamptz))`;
  return String((await executor.query({ text, values })).rows[0]?.[0]);
}

async function resume({ executor, schema }: ControlTarget, name: string, values: readonly Cell[]): Promise<boolean> {
  const text = `select ${schema.of(name)}($1::pg_catalog.text)`;
  return (await executor.query({ text, values })).rows[0]?.[0] === "t";
}
