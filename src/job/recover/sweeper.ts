import {
  declareDead,
  deleteStaleWorkers,
  findOrphans,
  freeQueues,
  holdsFlags,
  lookAtWorkers,
  noteAbsences,
  noteSwept,
  type RefusedRow,
  SWEPT,
  type WorkerSightings,
} from "../../postgres/queries/sweep.ts";
import { isHowdahError } from "../../errors.ts";
import type { Executor } from "../../postgres/driver.ts";
import { isRefused, isSessionOver, sqlStateOf } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { Logger } from "../../runtime/logger.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { RecoverySettings } from "./options.ts";
import { recoverJobs, type Deceased, type RecoverJobsOptions, type Recovered } from "./recover-jobs.ts";
import type { Refusals } from "./refusals.ts";
import { Retries } from "./retries.ts";
import { isAbsent, lifeLeftMs, observe, withAbsences, withCompany, type Watch, type Watched } from "./watch.ts";

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
  /** What cannot be given back; others of the same worker may know of more. */
  readonly refusals: Refusals;
  /** A row of the dead cannot be changed although others can; it is tried again. Told once for each reason. */
  refused(row: RefusedRow): void;
  /** Statements about these of the dead are refused as a whole; they are tried again. Told once for each reason. */
  heldUp(workerIds: readonly string[], error: unknown): void;
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
 *
 * What a trigger or constraint refuses to have changed holds up nothing else: not
 * the other jobs and queues of the same holder, nor other holders. It is tried
 * again with the rest of what its holder has, each time after twice as long, and
 * as long as there is something the registration stays.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #retries: Retries;
  readonly #resilient = new Set<string>();
  #watch: Watch | undefined;
  #lookedOver: Executor | undefined;
  #server = "";
  #orphansAt = Number.NEGATIVE_INFINITY;
  /** Holders that are not registered and that something was refused of. */
  readonly #orphans = new Set<string>();
  /** What has failed for one holder in this round, and is news. */
  readonly #heldUp: { readonly workerId: string; readonly error: unknown }[] = [];
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
    const restMs = await this.#sweep(stopping).finally(() => this.#tellHeldUp());
    this.#restsUntil = this.#options.clock.monotonic() + restMs;
    return restMs;
  }

  async #sweep(stopping: AbortSignal): Promise<number> {
    const before = this.#watch;
    const { watch: seen, swept } = await this.#look();
    const watch = this.#keepCompany(await this.#countAbsences(seen));
    this.#retries.keepOnly(watch.workers);
    this.#options.refusals.keepOnly((id) => watch.workers.has(id) || this.#orphans.has(id));
    const others = [...watch.workers.values()].filter(({ workerId }) => !this.#options.own().includes(workerId));
    const revived = others.filter((worker) => worker.declared && hasMoved(before, worker));
    for (const worker of revived) await this.#apart(worker.workerId, () => this.#revive(worker));
    const living = others.filter(({ declared }) => !declared);
    const { dead, soonestMs } = await this.#judge(watch, living);
    const declared = await this.#declare(dead);
    for (const worker of others) {
      if (stopping.aborted) return 0;
      const stage = declared.has(worker.workerId) ? SWEPT.declared : (swept.get(worker.workerId) ?? SWEPT.no);
      if (stage !== SWEPT.no && !revived.includes(worker))
        await this.#apart(worker.workerId, () => this.#advance(worker, stage, declared.has(worker.workerId)));
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
    const limits = { longestGapMs: settings.heartbeatIntervalMs, timeoutMs: settings.contactTimeoutMs };
    const absences = new Map<string, number>();
    await this.#together(absent, async (workers) => {
      for (const [id, ms] of await noteAbsences({ ...target, executor }, workers, limits)) absences.set(id, ms);
    });
    this.#watch = withAbsences(watch, absences);
    return this.#watch;
  }

  /** Those that are one of many stay so when the others come back before them. */
  #keepCompany(watch: Watch): Watch {
    const { sweepIntervalMs } = this.#options.settings;
    this.#watch = withCompany(watch, { sweepIntervalMs, isFirstSession: this.#isFirst(watch) });
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
    const declared = new Set<string>();
    await this.#together(dead, async (workers) => {
      for (const id of await declareDead(this.#options.target, workers)) declared.add(id);
    });
    return declared;
  }

  /** Does something about several of the dead at once; when that is refused, about each of them. */
  async #together(workers: readonly Watched[], work: (workers: readonly Watched[]) => Promise<void>): Promise<void> {
    const due = workers.filter(({ workerId }) => this.#retries.isDue(workerId));
    if (due.length === 0) return;
    try {
      await work(due);
    } catch (error) {
      if (!isForRows(error)) throw error;
      for (const worker of due) await this.#apart(worker.workerId, () => work([worker]));
    }
  }

  /**
   * Does something about one holder. When its rows are refused, as by a trigger,
   * that holds up no other: it is tried again later. A server that cannot be
   * reached, or written to, is not for this holder alone.
   */
  async #apart(workerId: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isForRows(error)) throw error;
      this.#retries.later(workerId);
      const [state, message] = [sqlStateOf(error) ?? "", errorMessage(error)];
      const row: RefusedRow = { kind: "worker", id: workerId, workerId, state, message };
      const news = this.#options.refusals.tried(workerId, "worker", [row]);
      if (news.length > 0) this.#heldUp.push({ workerId, error });
    }
  }

  /** One line for each reason, however many are held up by it. */
  #tellHeldUp(): void {
    const all = this.#heldUp.splice(0);
    const firsts = new Map(all.toReversed().map(({ error }) => [errorMessage(error), error]));
    for (const [reason, first] of firsts) {
      const held = all.filter(({ error }) => errorMessage(error) === reason);
      this.#options.heldUp(
        held.map(({ workerId }) => workerId),
        first,
      );
    }
  }

  /** What a holder has of one kind was tried. */
  #tried(workerId: string, kind: "job" | "queue", refused: readonly RefusedRow[]): void {
    const { refusals } = this.#options;
    for (const row of refusals.tried(workerId, kind, refused)) this.#options.refused(row);
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
      if (isDone && isProcessGone === true) await this.#freeQueues(workerId);
    } else if (stage === SWEPT.jobsRecovered) {
      if (isProcessGone === true || silentMs >= settings.queueDelayMs) await this.#freeQueues(workerId);
    } else if (silentMs >= 2 * settings.queueDelayMs) {
      await this.#bury(workerId);
    }
    this.#options.refusals.tried(workerId, "worker", []);
  }

  async #recoverJobs({ workerId, lock, isProcessGone }: Watched, isOurCase: boolean): Promise<boolean> {
    const { target } = this.#options;
    const { jobs, isDone } = await this.#recover({ workerId, olderMs: null });
    if (jobs.length > 0 || (isDone && isOurCase)) this.#report(workerId, jobs, { lock, processGone: isProcessGone });
    if (!isDone) this.#retries.later(workerId);
    else {
      await noteSwept(target, workerId, SWEPT.jobsRecovered);
      this.#retries.done(workerId);
    }
    return isDone;
  }

  async #freeQueues(workerId: string): Promise<void> {
    const { target, logger } = this.#options;
    const { count, refused } = await freeQueues(target, [workerId], null);
    if (count > 0) logger.info("The queues of a dead worker are free", { worker: workerId, queues: count });
    this.#tried(workerId, "queue", refused);
    await noteSwept(target, workerId, SWEPT.queuesFreed);
  }

  /** A claim may have committed after the first look. The row goes only when nothing is left. */
  async #bury(workerId: string): Promise<void> {
    const { target } = this.#options;
    const { jobs } = await this.#recover({ workerId, olderMs: null });
    if (jobs.length > 0) this.#report(workerId, jobs, {});
    const { refused } = await freeQueues(target, [workerId], null);
    this.#tried(workerId, "queue", refused);
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
    const orphans = await findOrphans(target, age);
    for (const { id, isOurs } of orphans) {
      this.#orphans.add(id);
      await this.#apart(id, () => this.#recoverOrphan(id, isOurs ? null : orphanThresholdMs));
    }
  }

  async #recoverOrphan(id: string, olderMs: number | null): Promise<void> {
    const { target } = this.#options;
    const { jobs, refused } = await this.#recover({ workerId: id, olderMs });
    const queues = await freeQueues(target, [id], olderMs);
    this.#tried(id, "queue", queues.refused);
    if (refused.length + queues.refused.length === 0) this.#orphans.delete(id);
    this.#report(id, jobs, { registered: false });
  }

  /** Workers of another kind beat whether or not they were declared dead. */
  async #revive({ workerId }: Watched): Promise<void> {
    if (!OUR_ID.test(workerId)) await noteSwept(this.#options.target, workerId, SWEPT.no);
  }

  async #recover(deceased: Deceased): Promise<Recovered> {
    const recovered = await recoverJobs(this.#options, deceased);
    // Somebody else was at it when nothing was answered.
    if (recovered.isDone || recovered.refused.length > 0) this.#tried(deceased.workerId, "job", recovered.refused);
    return recovered;
  }

  #report(previousWorkerId: string, jobs: Recovered["jobs"], about: Readonly<Record<string, unknown>>): void {
    const { logger, hooks, workerId } = this.#options;
    const fields = { worker: previousWorkerId, jobs: jobs.length, ...about, recoveredBy: workerId() };
    logger.warn("A worker is dead; its jobs were returned", fields);
    for (const { id, task, attempts, failed } of jobs) {
      if (failed) logger.error("A job of a dead worker has no attempt left", { task, job: id, attempts });
    }
    hooks.emit("workerRecovered", { workerId: workerId(), previousWorkerId, jobCount: jobs.length });
  }
}

/** Whether the rows may be to blame that a statement was about: a server that cannot be used is not for them. */
function isForRows(error: unknown): boolean {
  return isHowdahError(error, "HOWDAH_QUERY_TIMEOUT") || (isRefused(error) && !isSessionOver(error));
}

function hasMoved(watch: Watch | undefined, { workerId, beat }: Watched): boolean {
  const before = watch?.workers.get(workerId);
  return before !== undefined && before.beat !== beat;
}
