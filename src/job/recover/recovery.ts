import { deleteStaleWorkers, freeQueues, noteSwept } from "../../postgres/queries/recover.ts";
import { SWEPT } from "../../postgres/queries/sweep.ts";
import type { WorkerContext } from "../worker-context.ts";
import type { Isolation } from "./isolation.ts";
import type { ObservedWorker } from "./worker-observer.ts";
import type { RecoverySettings } from "./options.ts";
import { recoverJobs, type Holder, type Recovered } from "./recover-jobs.ts";

/**
 * Recovers what a dead worker held, in stages:
 *
 *   found dead                     declared: its heartbeats are rejected from now on
 *   declared                       its jobs are returned
 *   silent for queueDelay, or its
 *   process is certainly gone      its queues are freed
 *   silent for twice queueDelay    what a claim of it had still locked is
 *                                  returned, and its registration is removed
 *
 * How far a recovery has gone stands in the row of the dead, so any other
 * worker can go on. What is refused stays with its holder, and is tried again
 * with the rest of what that has: as long as there is something, its
 * registration stays.
 */
export class Recovery {
  readonly #context: RecoveryContext;
  readonly #parts: RecoveryParts;

  constructor(context: RecoveryContext, parts: RecoveryParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Takes a recovery one stage further, if it is time for that. `isOurCase`: this worker has declared it dead just now. */
  async advance(worker: ObservedWorker, stage: number, isOurCase: boolean): Promise<void> {
    const { settings, isolation } = this.#parts;
    const { workerId, isProcessGone } = worker;
    const silentMs = Math.max(worker.silentMs, worker.absentMs);
    if (!isolation.isDue(workerId)) return;
    if (stage === SWEPT.declared) {
      // The worker that declared it is at it, unless it has died, too.
      if (!isOurCase && isProcessGone !== true && silentMs < 2 * settings.sweepIntervalMs) return;
      const isDone = await this.#recoverJobs(worker, isOurCase);
      // No handler of a process that is gone is still at work.
      if (isDone && isProcessGone === true) await this.#freeQueues(workerId);
    } else if (stage === SWEPT.jobsRecovered) {
      if (isProcessGone === true || silentMs >= settings.queueDelayMs) await this.#freeQueues(workerId);
    } else if (silentMs >= 2 * settings.queueDelayMs) {
      await this.#remove(workerId);
    }
    isolation.tried(workerId, "worker", []);
  }

  /** A worker of another kind sends heartbeats again; it does so whether or not it was declared dead. */
  async cancel(workerId: string): Promise<void> {
    if (!OUR_ID.test(workerId)) await noteSwept(this.#target, workerId, SWEPT.no);
  }

  /** Returns the jobs of a holder, and remembers what is refused. */
  async returnJobs(holder: Holder): Promise<Recovered> {
    const { settings, isolation } = this.#parts;
    const recovered = await recoverJobs(this.#context, holder, settings);
    // Another worker was at it when nothing was answered.
    if (recovered.isDone || recovered.refused.length > 0) {
      isolation.tried(holder.workerId, "job", recovered.refused);
    }
    return recovered;
  }

  /** Logs what was returned, and tells hooks of it. */
  report(previousWorkerId: string, jobs: Recovered["jobs"], about: Readonly<Record<string, unknown>>): void {
    const { logger, hooks, identity } = this.#context;
    const workerId = identity.current;
    const fields = { worker: previousWorkerId, jobs: jobs.length, ...about, recoveredBy: workerId };
    logger.warn("A worker is dead; its jobs were returned", fields);
    for (const { id, task, attempts, failed } of jobs) {
      if (failed) logger.error("A job of a dead worker has no attempt left", { task, job: id, attempts });
    }
    hooks.emit("workerRecovered", { workerId, previousWorkerId, jobCount: jobs.length });
  }

  async #recoverJobs({ workerId, lock, isProcessGone }: ObservedWorker, isOurCase: boolean): Promise<boolean> {
    const { isolation } = this.#parts;
    const { jobs, isDone } = await this.returnJobs({ workerId, olderMs: null });
    if (jobs.length > 0 || (isDone && isOurCase)) this.report(workerId, jobs, { lock, processGone: isProcessGone });
    if (!isDone) isolation.later(workerId);
    else {
      await noteSwept(this.#target, workerId, SWEPT.jobsRecovered);
      isolation.done(workerId);
    }
    return isDone;
  }

  async #freeQueues(workerId: string): Promise<void> {
    const { count, refused } = await freeQueues(this.#target, [workerId], null);
    if (count > 0) {
      this.#context.logger.info("The queues of a dead worker are free", { worker: workerId, queues: count });
    }
    this.#parts.isolation.tried(workerId, "queue", refused);
    await noteSwept(this.#target, workerId, SWEPT.queuesFreed);
  }

  /** A claim may have committed after the jobs were returned. The row goes only when nothing is left. */
  async #remove(workerId: string): Promise<void> {
    const { isolation } = this.#parts;
    const { jobs } = await this.returnJobs({ workerId, olderMs: null });
    if (jobs.length > 0) this.report(workerId, jobs, {});
    const { refused } = await freeQueues(this.#target, [workerId], null);
    isolation.tried(workerId, "queue", refused);
    await deleteStaleWorkers(this.#target, [workerId]);
    // If it is still there at the next look, something was left.
    isolation.later(workerId);
  }

  get #target() {
    const { driver, schema } = this.#context;
    return { executor: driver, schema };
  }
}

type RecoveryContext = Pick<WorkerContext, "driver" | "hooks" | "identity" | "logger" | "reporter" | "schema">;

/** By which limits a worker is recovered, and what keeps that from holding up others. */
export interface RecoveryParts {
  readonly settings: RecoverySettings;
  readonly isolation: Isolation;
}

const OUR_ID = /^howdah_[0-9a-f]{18}$/;
