import { formatCount } from "../views/amounts.ts";
import { isAlive, type JobFacts, type WaitingJob, type WorkerFacts } from "./facts.ts";
import type { JobReason } from "./reason.ts";
import { formatSpan, isEndless } from "./times.ts";

/** There is no such job. */
export function gone({ id, job }: JobFacts): JobReason | undefined {
  if (job) return undefined;
  return {
    code: "gone",
    message: `There is no job ${id}: it is done, was removed, or never existed.`,
    remedy: "Nothing has to be done. If its work has to be done again, add another job.",
  };
}

/** A worker holds it. */
export function locked(facts: JobFacts): JobReason | undefined {
  const { job, workers } = facts;
  if (!job || job.lockedForMs === null) return undefined;
  const holder = workers.find(({ id }) => id === job.lockedBy);
  if (!holder) return lockedByUnknown(job, job.lockedForMs);
  if (!isAlive(holder)) return holderDead(holder);
  return inMemory(holder, job.id, job.lockedForMs) ?? running(facts, holder, job.lockedForMs);
}

/** It has no attempts left. */
export function failed({ job }: JobFacts): JobReason | undefined {
  if (!job || job.attempts < job.maxAttempts) return undefined;
  const remedy = "Retry it when the cause is mended.";
  if (job.cancelReason !== null) {
    return { code: "cancelled", message: `It was cancelled while it ran: ${quotedLine(job.cancelReason)}`, remedy };
  }
  const { attempts, maxAttempts, lastError } = job;
  const error = lastError === null ? "no error is stored." : `the last error was: ${quotedLine(lastError)}`;
  const message = `It failed for good, no attempts are left (${attempts} of ${maxAttempts}); ${error}`;
  return { code: "failed", message, remedy };
}

/** It is not due. */
export function scheduled({ job }: JobFacts): JobReason | undefined {
  if (!job || job.dueInMs <= 0) return undefined;
  const until = job.runAt;
  if (isEndless(until)) {
    return { code: "scheduled", message: "It is never due.", remedy: "Reschedule it to a time at which it can run." };
  }
  const attempt = job.attempts > 0 ? `, for attempt ${job.attempts + 1} of ${job.maxAttempts}` : "";
  return {
    code: "scheduled",
    message: `It is due in ${formatSpan(job.dueInMs)}, at ${until.toISOString()}${attempt}.`,
    remedy: "Wait, or reschedule it to run now.",
    until,
  };
}

/** Its task is paused. */
export function taskPaused({ job }: JobFacts): JobReason | undefined {
  if (!job?.taskPausedUntil) return undefined;
  return paused("task_paused", `Its task ${job.task}`, job.taskPausedUntil);
}

/** Its queue is paused. */
export function queuePaused({ job }: JobFacts): JobReason | undefined {
  if (!job?.queuePausedUntil) return undefined;
  return paused("queue_paused", `Its queue ${job.queueName}`, job.queuePausedUntil);
}

/** Another job of its queue runs. */
export function queueLocked({ job, workers }: JobFacts): JobReason | undefined {
  if (!job || job.queueLockedForMs === null) return undefined;
  const { queueLockedBy, queueName, before } = job;
  const holder = workers.find(({ id }) => id === queueLockedBy);
  const workerId = queueLockedBy ?? undefined;
  const since = `Its queue ${queueName} has been locked for ${formatSpan(job.queueLockedForMs)}`;
  if (!holder || !isAlive(holder)) {
    const who = holder ? `worker ${holder.id}, which is dead` : `${queueLockedBy}, which is not registered`;
    return { code: "queue_locked", message: `${since} by ${who}.`, remedy: freedBy(holder, queueLockedBy), workerId };
  }
  const work = holder.report?.running.find((running) => running.queueName === queueName);
  const runs = work ? `, which runs job ${work.id} of task ${work.task}` : "";
  const chain = before.locked > 1 ? ` It holds ${formatCount(before.locked, "job")} of the queue before this one.` : "";
  return {
    code: "queue_locked",
    message: `${since} by worker ${holder.id}, alive ${formatSpan(holder.silentMs)} ago${runs}.${chain}`,
    remedy: `The queue is free when ${before.locked > 1 ? "these have" : "that has"} ended: wait for it, or cancel it.`,
    workerId,
    jobId: work?.id,
  };
}

/** Others of its queue come first. */
export function notFirst({ job }: JobFacts): JobReason | undefined {
  if (!job || job.queueName === null || job.before.count === 0) return undefined;
  const { count, isExact, firstId } = job.before;
  const jobs = isExact ? formatCount(count, "due job") : `at least ${formatCount(count, "due job")}`;
  return {
    code: "not_first",
    message: `Before it ${count === 1 ? "comes" : "come"} ${jobs} of its queue ${job.queueName}, the first is job ${firstId}.`,
    remedy: `${atOnce(job)} Ask the same about job ${firstId} if it does not run.`,
    jobId: firstId ?? undefined,
    jobsBefore: count,
  };
}

/** How many jobs of its queue run at once. */
function atOnce({ queueLimits }: WaitingJob): string {
  const width = queueLimits?.width ?? 1;
  if (width === 0) return "A queue starts its jobs in their order.";
  return width === 1 ? "A queue runs one job after another." : `The queue runs ${width} jobs at once, in their order.`;
}

function running({ job }: JobFacts, holder: WorkerFacts, lockedForMs: number): JobReason {
  const { report, silentMs } = holder;
  const work = report?.running.find(({ id }) => id === job?.id);
  const where = report ? ` (process ${report.pid} on ${report.host})` : "";
  const told = job?.cancelReason == null ? "" : ` It was told to stop: ${quotedLine(job.cancelReason)}.`;
  const does = work ? "runs it" : "holds it";
  return {
    code: "running",
    message: `Worker ${holder.id}${where} ${does}, claimed ${formatSpan(lockedForMs)} ago; alive ${formatSpan(silentMs)} ago.${told}`,
    remedy: "Wait for it, or cancel it.",
    workerId: holder.id,
  };
}

/** A holder that has said since that it does not run the job. */
function inMemory({ id: workerId, report, silentMs }: WorkerFacts, id: string, lockedForMs: number) {
  const hasSaid = report !== null && report.moreRunning === 0 && silentMs < lockedForMs;
  if (!hasSaid || report.running.some((running) => running.id === id)) return undefined;
  const { busy, slots, cached, unwritten } = report;
  if (cached + unwritten === 0) return undefined;
  const waits = cached > 0 ? `it waits for a slot (${busy} of ${slots} are at work, ${cached} jobs wait)` : "";
  const ended = unwritten > 0 ? `it has ended and is not written yet (${unwritten} are not)` : "";
  return {
    code: "in_memory",
    message: `Worker ${workerId} holds it, claimed ${formatSpan(lockedForMs)} ago, and does not run it: ${[waits, ended].filter((part) => part !== "").join(", or ")}.`,
    remedy:
      cached > 0
        ? "Wait for a slot. If other workers are idle meanwhile, make the local queue of this one smaller."
        : "Wait. If it stays so, look for errors of the worker when it writes outcomes.",
    workerId,
  } satisfies JobReason;
}

function lockedByUnknown({ lockedBy }: WaitingJob, lockedForMs: number): JobReason {
  const isDead = isRegisteredForm(lockedBy) || lockedForMs > FORGOTTEN_MS;
  const who = lockedBy ?? "something without a name";
  return {
    code: isDead ? "holder_dead" : "running",
    message: `It has been locked for ${formatSpan(lockedForMs)} by ${who}, which is not registered${isDead ? "" : ": whether that lives is not known"}.`,
    remedy: isDead ? freedBy(undefined, lockedBy) : "Wait for it. If you know that it is gone, unlock it by force.",
    workerId: lockedBy ?? undefined,
  };
}

function holderDead(holder: WorkerFacts): JobReason {
  return {
    code: "holder_dead",
    message: `Worker ${holder.id} claimed it and is dead: its last heartbeat came ${formatSpan(holder.silentMs)} ago.`,
    remedy: freedBy(holder, holder.id),
    workerId: holder.id,
  };
}

/** What ends the locks of something that is dead, or not known. */
function freedBy(holder: WorkerFacts | undefined, lockedBy: string | null): string {
  if (holder)
    return "Any worker that lives recovers it, a queue after about half a minute. If none runs, start one or sweep.";
  if (isRegisteredForm(lockedBy))
    return "Workers that live look for such locks every ten minutes; a sweep ends them at once.";
  return "If you know that it is gone, unlock it by force. A worker that stays ends such locks after four hours.";
}

/** An id that a worker has registered before it claimed anything; see `createWorkerId`. */
function isRegisteredForm(id: string | null): boolean {
  return id?.startsWith("howdah_") === true;
}

function paused(code: "task_paused" | "queue_paused", what: string, until: Date): JobReason {
  const remedy = "Wait for the end of the pause, or resume it.";
  if (isEndless(until)) return { code, message: `${what} is paused without an end.`, remedy: "Resume it." };
  return { code, message: `${what} is paused until ${until.toISOString()}.`, remedy, until };
}

/** What a reason says of an error. */
export function quotedLine(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.length > LINE ? `${line.slice(0, LINE)}...` : line;
}

const LINE = 200;

/** Locks of workers of other kinds that never registered are left alone for so long. */
const FORGOTTEN_MS = 4 * 3_600_000;
