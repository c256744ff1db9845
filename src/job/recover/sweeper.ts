import {
  declareDead,
  deleteStaleWorkers,
  findOrphans,
  freeQueues,
  holdsFlags,
  lookAtWorkers,
  noteAbsences,
  noteSwept,
  SWEPT,
  type WorkerSightings,
} from "../../postgres/queries/sweep.ts";
import type { Executor } from "../../postgres/driver.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { RecoverySettings } from "./options.ts";
import { recoverJobs, type Deceased, type RecoverJobsOptions, type Recovered } from "./recover-jobs.ts";
import { Retries } from "./retries.ts";
import { isAbsent, lifeLeftMs, observe, withAbsences, type Watch, type Watched } from "./watch.ts";

/** What a sweeper needs, and whom it tells. */
export interface SweeperOptions extends RecoverJobsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: RecoverySettings;
  /** The session to look over; another object is another session. `undefined`: any connection. */
  session(): Executor | undefined;
  /** The ids of the sweeper itself. */
  own(): readonly string[];
  /** Whether {@link session} is the first one that its process has ever had. */
  isFirstSession(): boolean;
  /** Whether the process that was stored like this was one of this machine and is certainly gone. */
  isProcessGone(stored: string): boolean;
  /** A look or a recovery failed, for the first time in a row; it is tried again. */
  sweepFailed(error: unknown): void;
}

/** A look at all workers that somebody else has made for a sweeper. */
export interface BroughtLook {
  /** What it went over: a session, or any connection. */
  readonly executor: Executor;
  /** When it was asked and when it was answered, by the monotonic clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly sightings: WorkerSightings;
}

/** One look may take so long. */
const LOOK_TIMEOUT_MS = 5_000;

/** What is left after a recovery, because somebody has it locked, is tried again after a look's time, then twice that, up to this. */
const LONGEST_RETRY_MS = 60_000;

const OUR_ID = /^howdah_[0-9a-f]{18}$/;

/**
 * Watches the workers of a schema and recovers what the dead held, in stages:
 *
 *   found dead                     declared: it beats in vain from now on
 *   declared                       its jobs are given back
 *   silent for queueDelay, or its
 *   process is certainly gone      its queues are freed
 *   silent for twice queueDelay    what a claim of it had still locked is given
 *                                  back, and its registration goes
 *
 * Every worker has a sweeper, and each decides for itself; the database sees to
 * it that two do not recover at the same moment. How far a recovery has gone
 * stands in the row of the dead, so any other can go on.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #retries: Retries;
  readonly #resilient = new Set<string>();
  #watch: Watch | undefined;
  #lookedOver: Executor | undefined;
  #server = "";
  #orphansAt = Number.NEGATIVE_INFINITY;
  #loop: Loop | undefined;
  /** When it looks again; never, while it is at work or after a failure. */
  #restsUntil = Number.POSITIVE_INFINITY;
  #brought: BroughtLook | undefined;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#retries = new Retries(options.clock, { firstMs: options.settings.sweepIntervalMs, maxMs: LONGEST_RETRY_MS });
  }

  /** Begins to watch. Returns the end of it. */
  start(): () => Promise<void> {
    const { clock, settings, sweepFailed } = this.#options;
    const loop = startLoop({
      name: "sweep",
      clock,
      backoff: { firstMs: settings.sweepIntervalMs, maxMs: 4 * settings.sweepIntervalMs },
      round: (signal) => this.#round(signal),
      onError(error, { failures }) {
        if (failures === 1) sweepFailed(error);
      },
    });
    this.#loop = loop;
    return () => loop.stop();
  }

  /** True when it rests and will look within so long: whoever asks the database anyway may look for it. */
  wantsLook(withinMs: number): boolean {
    return this.#restsUntil <= this.#options.clock.monotonic() + withinMs;
  }

  /** Takes a look that somebody has made for it, unless it has begun one itself meanwhile. */
  bring(look: BroughtLook): void {
    const isLate = look.sentAt < (this.#watch?.answeredAt ?? Number.NEGATIVE_INFINITY);
    if (isLate || this.#restsUntil === Number.POSITIVE_INFINITY) return;
    this.#brought = look;
    this.#loop?.wake();
  }

  /** A look that was made for it has failed: the watch begins anew, with a look of its own. */
  missed(): void {
    if (this.#restsUntil === Number.POSITIVE_INFINITY) return;
    this.#watch = undefined;
    this.#restsUntil = Number.POSITIVE_INFINITY;
    this.#loop?.wake();
  }

  /** There is another session, or the first one: it looks over that at once. */
  lookNow(): void {
    if (this.#restsUntil === Number.POSITIVE_INFINITY) return;
    this.#restsUntil = Number.POSITIVE_INFINITY;
    this.#loop?.wake();
  }

  async #round(stopping: AbortSignal): Promise<number> {
    this.#restsUntil = Number.POSITIVE_INFINITY;
    const restMs = await this.#sweep(stopping);
    this.#restsUntil = this.#options.clock.monotonic() + restMs;
    return restMs;
  }

  async #sweep(stopping: AbortSignal): Promise<number> {
    const before = this.#watch;
    const { watch: seen, swept } = await this.#look();
    const watch = await this.#countAbsences(seen);
    this.#retries.keepOnly(watch.workers);
    const others = [...watch.workers.values()].filter(({ workerId }) => !this.#options.own().includes(workerId));
    const revived = others.filter((worker) => worker.declared && hasMoved(before, worker));
    if (revived.length > 0) await this.#revive(revived);
    const living = others.filter(({ declared }) => !declared);
    const { dead, soonestMs } = await this.#judge(watch, living);
    const declared = await this.#declare(dead);
    for (const worker of others) {
      if (stopping.aborted) return 0;
      const stage = declared.has(worker.workerId) ? SWEPT.declared : (swept.get(worker.workerId) ?? SWEPT.no);
      if (stage !== SWEPT.no && !revived.includes(worker))
        await this.#advance(worker, stage, declared.has(worker.workerId));
    }
    if (watch.watchedMs >= this.#options.settings.watchTimeMs) await this.#recoverOrphans();
    return Math.min(this.#options.settings.sweepIntervalMs, soonestMs);
  }

  /** Looks once. A look that fails, another session or another server begin the watch anew. */
  async #look(): Promise<{ readonly watch: Watch; readonly swept: ReadonlyMap<string, number> }> {
    const { settings } = this.#options;
    const brought = this.#brought;
    this.#brought = undefined;
    const { executor, sentAt, answeredAt, sightings } = brought ?? (await this.#lookItself());
    if (executor !== this.#lookedOver || sightings.server !== this.#server) this.#watch = undefined;
    this.#lookedOver = executor;
    this.#server = sightings.server;
    const own = new Set(this.#options.own());
    const workers = sightings.workers.map(({ process, ...worker }) => ({
      ...worker,
      declared: worker.swept !== SWEPT.no,
      isOwn: own.has(worker.workerId),
      process: process ?? worker.workerId,
      isProcessGone: process !== null && !own.has(worker.workerId) && this.#options.isProcessGone(process),
    }));
    this.#watch = observe(this.#watch, { sentAt, answeredAt, workers }, 2 * settings.sweepIntervalMs);
    return { watch: this.#watch, swept: new Map(workers.map(({ workerId, swept }) => [workerId, swept])) };
  }

  /** What processes that had just started have seen counts for the next one, as long as that has not watched for itself. */
  async #countAbsences(watch: Watch): Promise<Watch> {
    if (!this.#isFirst(watch)) return watch;
    const absent = [...watch.workers.values()].filter((worker) => isAbsent(worker));
    if (absent.length === 0) return watch;
    const { target, settings } = this.#options;
    const executor = this.#lookedOver ?? target.executor;
    const absences = await noteAbsences({ ...target, executor }, absent, settings.heartbeatIntervalMs);
    this.#watch = withAbsences(watch, absences);
    return this.#watch;
  }

  #isFirst({ watchedMs }: Watch): boolean {
    const { settings, session, isFirstSession } = this.#options;
    return watchedMs < settings.watchTimeMs && this.#lookedOver === session() && isFirstSession();
  }

  async #lookItself(): Promise<BroughtLook> {
    const { clock, target, session } = this.#options;
    const executor = session() ?? target.executor;
    const sentAt = clock.monotonic();
    try {
      const sightings = await lookAtWorkers({ executor, schema: target.schema }, LOOK_TIMEOUT_MS);
      return { executor, sentAt, answeredAt: clock.monotonic(), sightings };
    } catch (error) {
      this.#watch = undefined;
      // A session that is lost meanwhile is told of by others; there is another way.
      if (executor !== (session() ?? target.executor)) return this.#lookItself();
      throw error;
    }
  }

  /** Who is dead, and how soon somebody else may be. */
  async #judge(
    watch: Watch,
    living: readonly Watched[],
  ): Promise<{ readonly dead: Watched[]; readonly soonestMs: number }> {
    const { settings } = this.#options;
    const dead: Watched[] = [];
    let soonestMs = Number.POSITIVE_INFINITY;
    const isFirstSession = this.#isFirst(watch);
    for (const worker of living) {
      const { workerId, lock, silentMs, isProcessGone } = worker;
      if (silentMs === 0) this.#resilient.delete(workerId);
      const limits = {
        ...settings,
        resilientFactor: settings.resilientSweepThresholdMultiplier,
        isResilient: this.#resilient.has(workerId),
        isFirstSession,
      };
      const leftMs = lifeLeftMs(watch, worker, limits);
      if (leftMs > 0) {
        if (silentMs > 0) soonestMs = Math.min(soonestMs, leftMs);
        // A process that does not live for long has to look more often.
        if (isFirstSession && isAbsent(worker)) soonestMs = Math.min(soonestMs, settings.heartbeatIntervalMs / 2);
        // The server takes a moment to notice.
        if (isProcessGone === true) soonestMs = Math.min(soonestMs, settings.heartbeatTimeoutMs);
      } else if (
        lock === "none" &&
        isProcessGone !== true &&
        !limits.isResilient &&
        (await this.#holdsResilientJobs(workerId))
      ) {
        this.#resilient.add(workerId);
      } else {
        dead.push(worker);
      }
    }
    return { dead, soonestMs };
  }

  /** Reads all jobs, and only when a worker has been silent for that long. */
  async #holdsResilientJobs(workerId: string): Promise<boolean> {
    const { target, settings } = this.#options;
    const { resilientJobFlags: flags } = settings;
    return flags.length > 0 && holdsFlags(target, workerId, flags);
  }

  async #declare(dead: readonly Watched[]): Promise<ReadonlySet<string>> {
    if (dead.length === 0) return new Set();
    return declareDead(this.#options.target, dead);
  }

  /** Takes a recovery one stage further, if it is time for that. */
  async #advance(worker: Watched, stage: number, isOurCase: boolean): Promise<void> {
    const { settings } = this.#options;
    const { workerId, isProcessGone } = worker;
    const silentMs = Math.max(worker.silentMs, worker.absentMs);
    if (!this.#retries.isDue(workerId)) return;
    if (stage === SWEPT.declared) {
      // Whoever declared it is at it, unless it has died, too.
      if (!isOurCase && isProcessGone !== true && silentMs < 2 * settings.sweepIntervalMs) return;
      const isDone = await this.#recoverJobs(worker, isOurCase);
      // No handler of a process that is gone is still at it.
      if (isDone && isProcessGone === true) await this.#freeQueues([workerId]);
    } else if (stage === SWEPT.jobsRecovered) {
      if (isProcessGone === true || silentMs >= settings.queueDelayMs) await this.#freeQueues([workerId]);
    } else if (silentMs >= 2 * settings.queueDelayMs) {
      await this.#bury(workerId);
    }
  }

  async #recoverJobs({ workerId, lock, isProcessGone }: Watched, isOurCase: boolean): Promise<boolean> {
    const { target } = this.#options;
    const { jobs, isDone } = await this.#recover({ workerIds: [workerId], olderMs: null });
    if (jobs.length > 0 || (isDone && isOurCase)) this.#report(workerId, jobs, { lock, processGone: isProcessGone });
    if (!isDone) this.#retries.later(workerId);
    else {
      await noteSwept(target, [workerId], SWEPT.jobsRecovered);
      this.#retries.done(workerId);
    }
    return isDone;
  }

  async #freeQueues(workerIds: readonly string[]): Promise<void> {
    const { target, logger } = this.#options;
    const count = await freeQueues(target, workerIds, null);
    if (count > 0) logger.info("The queues of a dead worker are free", { worker: workerIds.join(","), queues: count });
    await noteSwept(target, workerIds, SWEPT.queuesFreed);
  }

  /** A claim may have committed after the first look. The row goes only when nothing is left. */
  async #bury(workerId: string): Promise<void> {
    const { target } = this.#options;
    const { jobs } = await this.#recover({ workerIds: [workerId], olderMs: null });
    if (jobs.length > 0) this.#report(workerId, jobs, {});
    await freeQueues(target, [workerId], null);
    await deleteStaleWorkers(target, [workerId]);
    // If it is still there at the next look, something was left.
    this.#retries.later(workerId);
  }

  async #recoverOrphans(): Promise<void> {
    const { clock, settings, target } = this.#options;
    const { orphanIntervalMs, queueDelayMs, orphanThresholdMs } = settings;
    const now = clock.monotonic();
    if (now - this.#orphansAt < orphanIntervalMs) return;
    this.#orphansAt = now;
    // Whoever claims is registered first, but for a moment when it changes its id.
    const age = { intervalMs: orphanIntervalMs, oursMs: 2 * queueDelayMs, foreignMs: orphanThresholdMs };
    for (const { id, isOurs } of await findOrphans(target, age)) {
      const olderMs = isOurs ? null : orphanThresholdMs;
      const { jobs } = await this.#recover({ workerIds: [id], olderMs });
      await freeQueues(target, [id], olderMs);
      this.#report(id, jobs, { registered: false });
    }
  }

  /** Workers of another kind beat whether or not they were declared dead. */
  async #revive(moved: readonly Watched[]): Promise<void> {
    const ids = moved.map(({ workerId }) => workerId).filter((id) => !OUR_ID.test(id));
    if (ids.length > 0) await noteSwept(this.#options.target, ids, SWEPT.no);
  }

  #recover(deceased: Deceased): Promise<Recovered> {
    return recoverJobs(this.#options, deceased);
  }

  #report(previousWorkerId: string, jobs: Recovered["jobs"], about: Readonly<Record<string, unknown>>): void {
    const { logger, hooks, workerId } = this.#options;
    const fields = { worker: previousWorkerId, jobs: jobs.length, ...about, recoveredBy: workerId() };
    logger.warn("A worker is dead; its jobs were given back", fields);
    for (const { id, task, attempts, failed } of jobs) {
      if (failed) logger.error("A job of a dead worker has no attempt left", { task, job: id, attempts });
    }
    hooks.emit("workerRecovered", { workerId: workerId(), previousWorkerId, jobCount: jobs.length });
  }
}

function hasMoved(watch: Watch | undefined, { workerId, beat }: Watched): boolean {
  const before = watch?.workers.get(workerId);
  return before !== undefined && before.beat !== beat;
}
