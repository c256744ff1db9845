import { type HowdahError, isHowdahError } from "../errors.ts";
import type { AttemptOutcome, InterruptionReason } from "../hooks/events.ts";
import type { HookEmitter } from "../hooks/emitter.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import type { Ending, Outcome } from "./outcome.ts";
import type { Identity } from "./identity.ts";
import { toDate } from "./row.ts";
import {
  countWait,
  FIRST_WAITS,
  LAST_BUCKET_MS,
  RUN_BUCKETS,
  type TaskCount,
  UNCOUNTED_TASKS,
  WAITS_APART,
} from "./task-tally.ts";
import type { RefusedRow } from "../postgres/queries/recover.ts";
import type { UnclaimableJob } from "../postgres/queries/find-unclaimable.ts";
import type { Clock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { errorStack } from "../runtime/error-stack.ts";
import type { Logger } from "../runtime/logger.ts";

/** Tells hooks and the log what becomes of the jobs of one worker, and counts. */
export class Reporter {
  readonly #hooks: HookEmitter;
  readonly #logger: Logger;
  readonly #identity: Identity;
  #counts: ReadonlyMap<string, TaskCount> | undefined;
  #completed = 0;
  #failed = 0;
  #snoozed = 0;
  #interruptions = 0;
  /** What about a transaction pooler was logged: each of both has a remedy of its own. */
  readonly #poolerNamed = new Set<"session" | "statements">();

  constructor(hooks: HookEmitter, logger: Logger, identity: Identity) {
    this.#hooks = hooks;
    this.#logger = logger;
    this.#identity = identity;
  }

  get tally(): Tally {
    return { completed: this.#completed, failed: this.#failed, snoozed: this.#snoozed };
  }

  /** From now on what becomes of jobs is counted here, by their tasks; `undefined` to count no longer. */
  countInto(counts: ReadonlyMap<string, TaskCount> | undefined): void {
    this.#counts = counts;
  }

  /** How many jobs were taken from their handlers, which is counted apart: the interruption is not their fault. */
  get interrupted(): number {
    return this.#interruptions;
  }

  /** A claim has brought these jobs. */
  fetched(jobs: readonly ClaimedJob[], { workerId, durationMs }: { workerId: string; durationMs: number }): void {
    if (this.#hooks.has("claimEnd")) this.#hooks.emit("claimEnd", { workerId, jobCount: jobs.length, durationMs });
    if (!this.#hooks.has("jobFetch")) return;
    for (const job of jobs) this.#hooks.emit("jobFetch", { workerId: job.lockedBy, job });
  }

  /** A claim has failed. */
  claimFailed(error: unknown, { workerId, durationMs }: { workerId: string; durationMs: number }): void {
    this.#hooks.emit("claimEnd", { workerId, jobCount: 0, durationMs, error });
  }

  /** A handler is about to be called. */
  started(job: ClaimedJob, clock: Pick<Clock, "monotonic">): void {
    if (!this.#hooks.has("jobStart")) return;
    this.#hooks.emit("jobStart", { workerId: job.lockedBy, job, waitedMs: job.waitedMs(clock.monotonic()) });
  }

  /** An outcome was written. */
  released(ending: Ending, runAt: string | undefined): void {
    const { job, outcome, durationMs, startedAt } = ending;
    const workerId = job.lockedBy;
    const count = this.#counts?.get(job.task) ?? this.#counts?.get(UNCOUNTED_TASKS);
    if (count && (outcome.kind === "completed" || outcome.kind === "failed" || outcome.kind === "cancelled")) {
      count[outcome.kind === "completed" ? "completed" : "failed"] += 1;
      count.runMs += durationMs;
      const bucket = durationMs < LAST_BUCKET_MS ? 32 - Math.clz32(durationMs) : RUN_BUCKETS - 1;
      count.buckets[bucket] = (count.buckets[bucket] ?? 0) + 1;
      const place = count.completed + count.failed;
      if (startedAt !== undefined && (place <= FIRST_WAITS || place % WAITS_APART === 0))
        countWait(count, job.waitedMs(startedAt));
    }
    switch (outcome.kind) {
      case "completed":
        this.#completed += 1;
        if (outcome.thrownAfterwards !== undefined) this.#failedAfterwards(job, outcome.thrownAfterwards);
        if (this.#hooks.has("jobComplete")) this.#hooks.emit("jobComplete", { workerId, job, durationMs });
        break;
      case "undecided":
        return this.released({ ...ending, outcome: outcome.otherwise }, runAt);
      case "failed":
        this.#failed += 1;
        this.#attemptFailed(job, outcome, { durationMs, runAt });
        break;
      case "cancelled":
        this.#failed += 1;
        this.#logger.warn("A job was cancelled", { ...describe(job), reason: outcome.reason });
        this.#permanentlyFailed(job, outcome.reason, durationMs);
        break;
      case "snoozed":
        this.#snoozed += 1;
        break;
      case "interrupted":
        this.#interrupted(job, outcome.reason);
        break;
      case "returned":
        return;
      default:
        return outcome satisfies never;
    }
    this.#settled(ending, outcome.kind === "failed" && !outcome.final ? "retried" : outcome.kind);
  }

  /** A handler was told to stop because its job may no longer be this worker's. */
  lost(job: ClaimedJob, reason: HowdahError): void {
    this.#logger.warn("A job was lost while it ran; its handler was told to stop", {
      ...describe(job),
      error: reason.message,
    });
  }

  /** A handler goes on although it was told to stop, and its slot was given to others. */
  leftBehind(job: ClaimedJob, reason: HowdahError | undefined, durationMs: number): void {
    this.#logger.warn("A handler did not stop when told to; its slot was given to others, and it goes on", {
      ...describe(job),
      durationMs: Math.round(durationMs),
      error: reason?.message,
    });
  }

  /** An outcome was not written, because the job no longer is this worker's. */
  refused(ending: Ending): void {
    const { job, lost = false } = ending;
    const outcome = ending.outcome.kind === "undecided" ? ending.outcome.otherwise : ending.outcome;
    // Nothing was to be changed but the lock, and another worker has taken that.
    if (lost && outcome.kind === "returned") return;
    if (lost && outcome.kind === "interrupted") this.#interrupted(job, outcome.reason);
    else this.#refused(job, outcome);
    this.#settled(ending, outcome.kind === "returned" ? "returned" : "lost");
  }

  #refused(job: ClaimedJob, outcome: Outcome): void {
    this.#logger.warn("The outcome of a job was refused: it no longer belongs to this worker", {
      ...describe(job),
      outcome: outcome.kind,
    });
    this.#hooks.emit("jobReleaseRefused", { workerId: job.lockedBy, job });
  }

  /** It is unknown whether an outcome was written: its answer was lost, and others have had the job since. */
  unknown(ending: Ending): void {
    const { job, outcome } = ending;
    const { kind } = outcome;
    // Nothing was to be changed but the lock, and that is no longer ours.
    if (kind === "returned") return;
    this.#logger.warn("Whether the outcome of a job was written is not known: others have had the job since", {
      ...describe(job),
      outcome: kind,
    });
    this.#hooks.emit("jobOutcomeUnknown", { workerId: job.lockedBy, job });
    this.#settled(ending, "unknown");
  }

  /** An outcome cannot be written although others can. */
  stuck(ending: Ending, error: unknown, isGivenUp: boolean): void {
    const { job, outcome } = ending;
    const { kind } = outcome;
    const message = isGivenUp
      ? "The outcome of a job cannot be written, and too many wait already: recovery returns the job"
      : "The outcome of a job cannot be written; it is tried again, and holds up no others";
    this.#logger.error(message, { ...describe(job), outcome: kind, error: errorMessage(error) });
    this.#hooks.emit("workerError", {
      workerId: job.lockedBy,
      activity: `write the outcome of job ${job.id}`,
      error,
      job,
    });
    if (isGivenUp) this.#settled(ending, kind === "returned" ? "returned" : "lost");
  }

  /** The event loop did not turn for so long; these tasks ran, in all workers of the process. */
  blocked(blockedMs: number, tasks: readonly string[]): void {
    this.#logger.warn("The event loop was blocked, or the process stood still", {
      worker: this.#identity.current,
      blockedMs: Math.round(blockedMs),
      tasks: tasks.join(", "),
    });
  }

  /** A job cannot be locked although others can. */
  unclaimable({ id, state, message }: UnclaimableJob): void {
    this.#logger.error("A job cannot be claimed; it is tried again later, and holds up no others", {
      worker: this.#identity.current,
      job: id,
      error: `${state}: ${message}`,
    });
    const error = Object.assign(new Error(message), { code: state });
    this.#backgroundError(`claim job ${id}`, error);
  }

  /** A row that a dead worker holds cannot be changed although others can. */
  unrecovered({ kind, id, workerId: holder, state, message }: RefusedRow): void {
    this.#logger.error("Something of a dead worker cannot be returned; it is tried again, and holds up no others", {
      worker: this.#identity.current,
      holder,
      [kind]: id,
      error: `${state}: ${message}`,
    });
    const error = Object.assign(new Error(message), { code: state });
    this.#backgroundError(`return ${kind} ${id} of worker ${holder}`, error);
  }

  /** Something in the background failed. */
  failure(activity: string, error: unknown): void {
    const isPooler = isHowdahError(error, "HOWDAH_TRANSACTION_POOLER");
    // A pooler shows in whatever the worker does: what to do about it is logged once.
    const level = isPooler && this.#isPoolerNamed(error) ? "debug" : "error";
    this.#logger[level](`The worker could not ${activity}; it goes on`, {
      worker: this.#identity.current,
      error: errorMessage(error),
      ...(isHowdahError(error) && { code: error.code }),
    });
    this.#backgroundError(activity, error);
  }

  /** Whether the log names this remedy already. The error of a prepared statement, which has a cause, names both. */
  #isPoolerNamed({ cause }: HowdahError): boolean {
    const named = this.#poolerNamed;
    const isNamed = named.has(cause === undefined ? "session" : "statements");
    named.add("session");
    if (cause !== undefined) named.add("statements");
    return isNamed;
  }

  #backgroundError(activity: string, error: unknown): void {
    this.#hooks.emit("workerError", { workerId: this.#identity.current, activity, error });
  }

  /** What was returned had not begun. */
  #settled({ job, durationMs, startedAt }: Ending, outcome: AttemptOutcome | "returned"): void {
    if (outcome === "returned" || !this.#hooks.has("jobSettle")) return;
    const waitedMs = startedAt === undefined ? undefined : job.waitedMs(startedAt);
    this.#hooks.emit("jobSettle", { workerId: job.lockedBy, job, outcome, durationMs, waitedMs });
  }

  #interrupted(job: ClaimedJob, reason: InterruptionReason): void {
    this.#interruptions += 1;
    this.#hooks.emit("jobInterrupted", { workerId: job.lockedBy, job, reason });
  }

  #attemptFailed(
    job: ClaimedJob,
    outcome: Extract<Outcome, { readonly kind: "failed" }>,
    { durationMs, runAt }: { readonly durationMs: number; readonly runAt: string | undefined },
  ): void {
    if (outcome.final) return this.#failedForGood(job, outcome, durationMs);
    this.#failedOnce(job, outcome.error, { durationMs, retryAt: toDate(runAt), message: outcome.message });
  }

  #failedAfterwards(job: ClaimedJob, message: string): void {
    this.#logger.error("The handler of a job failed after it had completed the job; the job is done", {
      ...describe(job),
      error: message,
    });
  }

  #failedOnce(job: ClaimedJob, error: unknown, end: { durationMs: number; retryAt: Date; message: string }): void {
    const { durationMs, retryAt, message } = end;
    this.#logger.warn("A job failed and will be tried again", {
      ...describe(job),
      retryAt,
      error: message,
      stack: errorStack(error),
    });
    this.#hooks.emit("jobFail", { workerId: job.lockedBy, job, error, durationMs, retryAt });
  }

  #failedForGood(job: ClaimedJob, failure: { readonly error: unknown; readonly message: string }, durationMs: number) {
    const { error, message } = failure;
    this.#logger.error("A job failed for good", { ...describe(job), error: message, stack: errorStack(error) });
    this.#permanentlyFailed(job, error, durationMs);
  }

  #permanentlyFailed(job: ClaimedJob, error: unknown, durationMs: number): void {
    this.#hooks.emit("jobPermanentlyFail", { workerId: job.lockedBy, job, error, durationMs });
  }
}

/** How many jobs ended in which way. */
export interface Tally {
  readonly completed: number;
  /** Failed attempts, for good or not, and cancelled jobs. */
  readonly failed: number;
  readonly snoozed: number;
}

function describe(job: ClaimedJob) {
  return { task: job.task, job: job.id, attempt: job.attempts, maxAttempts: job.maxAttempts };
}
