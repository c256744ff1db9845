import { sweepAttempts } from "../../postgres/queries/list-attempts.ts";
import { sweepRules } from "../../postgres/queries/queue-rules.ts";
import { declareDead, holdsFlags, SWEPT } from "../../postgres/queries/sweep.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { WorkerContext } from "../worker-context.ts";
import { Isolation } from "./isolation.ts";
import {
  type LookAnswer,
  type Observation,
  type ObservedWorker,
  WorkerObserver,
  type WorkerObserverParts,
} from "./worker-observer.ts";
import type { RecoverySettings } from "./options.ts";
import { Orphans } from "./orphans.ts";
import { Recovery } from "./recovery.ts";
import { isAbsent, lifeLeftMs } from "./watch.ts";

/**
 * Watches the workers of a schema, declares the dead, and has recovered what
 * they held. Every worker has a sweeper, and each decides for itself; the
 * database sees to it that two do not recover at the same moment.
 */
export class Sweeper {
  readonly #context: SweeperContext;
  readonly #settings: RecoverySettings;
  readonly #isolation: Isolation;
  readonly #observer: WorkerObserver;
  readonly #recovery: Recovery;
  readonly #orphans: Orphans;
  /** Workers that were seen to send another heartbeat than before, and were not silent for long since. */
  readonly #heard = new Set<string>();
  #isAtEase = false;
  /** Workers that hold resilient jobs, and were silent when that was read. */
  readonly #resilient = new Set<string>();

  constructor(context: SweeperContext, { settings, sessionLock, mark }: SweeperParts) {
    this.#context = context;
    this.#settings = settings;
    this.#isolation = new Isolation(context, settings);
    const isolation = this.#isolation;
    this.#observer = new WorkerObserver(context, { settings, sessionLock, mark, isolation });
    this.#recovery = new Recovery(context, { settings, isolation });
    this.#orphans = new Orphans(context, { settings, isolation, recovery: this.#recovery });
  }

  /** True when the last sweep has found that all other workers send heartbeats. */
  get isAtEase(): boolean {
    return this.#isAtEase;
  }

  /** Begins to watch anew with the next look. */
  forget(): void {
    this.#isAtEase = false;
    this.#observer.forget();
  }

  /**
   * Goes by a look that a heartbeat has brought, or looks, and takes every
   * recovery as far as it can go now. Resolves to when it wants to look again.
   */
  async sweep(stopping: AbortSignal, look?: LookAnswer): Promise<number> {
    this.#isAtEase = false;
    try {
      return await this.#sweep(stopping, look);
    } finally {
      this.#isolation.report();
    }
  }

  async #sweep(stopping: AbortSignal, look: LookAnswer | undefined): Promise<number> {
    const observation = await this.#observer.look(look);
    const { watch, others } = observation;
    this.#isolation.keepOnly(watch.workers, this.#orphans.known);
    const returned = others.filter((worker) => worker.declared && worker.hasMoved);
    for (const { workerId } of returned) {
      await this.#isolation.apart(workerId, () => this.#recovery.cancel(workerId));
    }
    const { dead, soonestMs } = await this.#judge(observation);
    const declared = await this.#declare(dead);
    for (const worker of others) {
      if (stopping.aborted) return 0;
      if (!returned.includes(worker)) await this.#recover(worker, declared.has(worker.workerId));
    }
    if (watch.watchedMs >= this.#settings.watchTimeMs) await this.#orphans.recover();
    if (observation.hasRules) await this.#sweepRules();
    if (observation.hasAttempts) await this.#sweepAttempts();
    this.#isAtEase = this.#hear(others, declared);
    return Math.min(this.#settings.sweepIntervalMs, soonestMs);
  }

  /** Gives queues the shape of their rules that were missed when these were set; one worker of the schema does. */
  async #sweepRules(): Promise<void> {
    const { driver, schema, logger } = this.#context;
    try {
      // A little less, or every second sweep would come too early.
      await sweepRules({ executor: driver, schema }, 0.9 * this.#settings.sweepIntervalMs);
    } catch (error) {
      logger.warn("Queues could not be compared with their rules; that is tried again", { error: errorMessage(error) });
    }
  }

  /** Deletes what is recorded of failed attempts of jobs that are gone; one worker of the schema does. */
  async #sweepAttempts(): Promise<void> {
    const { driver, schema, logger } = this.#context;
    try {
      // As long as there is much to delete, at once, but not for ever.
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const intervalMs = round === 0 ? 0.9 * this.#settings.sweepIntervalMs : 0;
        if ((await sweepAttempts({ executor: driver, schema }, intervalMs)) < WORTH_GOING_ON) return;
      }
    } catch (error) {
      logger.warn("Attempts of jobs that are gone could not be deleted; that is tried again", {
        error: errorMessage(error),
      });
    }
  }

  /** Notes who was heard of. Returns whether that is true of all. */
  #hear(others: readonly ObservedWorker[], dead: ReadonlySet<string>): boolean {
    const heardBefore = new Set(this.#heard);
    this.#heard.clear();
    for (const { workerId, hasMoved, silentMs } of others) {
      const isHeard = hasMoved || (heardBefore.has(workerId) && silentMs < this.#settings.lockLossTimeoutMs);
      if (isHeard) this.#heard.add(workerId);
    }
    return others.every(({ workerId, declared }) => !declared && !dead.has(workerId) && this.#heard.has(workerId));
  }

  /** Which workers are dead, and how soon another one may be. */
  async #judge(observation: Observation): Promise<Judgement> {
    const dead: ObservedWorker[] = [];
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const worker of observation.others) {
      if (worker.declared) continue;
      const leftMs = this.#lifeLeftMs(observation, worker);
      if (leftMs > 0) soonestMs = Math.min(soonestMs, this.#lookInMs(observation, worker, leftMs));
      else if (await this.#isSpared(worker)) this.#resilient.add(worker.workerId);
      else dead.push(worker);
    }
    return { dead, soonestMs };
  }

  #lifeLeftMs({ watch, isFirstSession }: Observation, worker: ObservedWorker): number {
    const { workerId, silentMs } = worker;
    if (silentMs === 0) this.#resilient.delete(workerId);
    return lifeLeftMs(watch, worker, {
      ...this.#settings,
      resilientFactor: this.#settings.resilientSweepThresholdMultiplier,
      isResilient: this.#resilient.has(workerId),
      isFirstSession,
    });
  }

  /** How soon to look again for the sake of a worker that still counts as alive. */
  #lookInMs({ isFirstSession }: Observation, worker: ObservedWorker, leftMs: number): number {
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = this.#settings;
    return Math.min(
      worker.silentMs > 0 ? leftMs : Number.POSITIVE_INFINITY,
      // A process that does not live for long has to look more often.
      isFirstSession && isAbsent(worker) ? heartbeatIntervalMs / 2 : Number.POSITIVE_INFINITY,
      // The server takes a moment to notice.
      worker.isProcessGone === true ? heartbeatTimeoutMs : Number.POSITIVE_INFINITY,
    );
  }

  /** Resilient jobs give their worker more time. Reads all jobs, and only when a worker has been silent for that long. */
  async #isSpared({ workerId, lock, isProcessGone }: ObservedWorker): Promise<boolean> {
    const { driver, schema } = this.#context;
    const { resilientJobFlags: flags } = this.#settings;
    if (lock !== "none" || isProcessGone === true || this.#resilient.has(workerId)) return false;
    return flags.length > 0 && holdsFlags({ executor: driver, schema }, workerId, flags);
  }

  async #declare(dead: readonly ObservedWorker[]): Promise<ReadonlySet<string>> {
    const { driver, schema } = this.#context;
    const declared = new Set<string>();
    await this.#isolation.together(dead, async (workers) => {
      for (const id of await declareDead({ executor: driver, schema }, workers)) declared.add(id);
    });
    return declared;
  }

  async #recover(worker: ObservedWorker, isOurCase: boolean): Promise<void> {
    const stage = isOurCase ? SWEPT.declared : worker.stage;
    if (stage === SWEPT.no) return;
    await this.#isolation.apart(worker.workerId, () => this.#recovery.advance(worker, stage, isOurCase));
  }
}

/** How often attempts are deleted at most in one sweep, and for how many it goes on. */
const MOST_ROUNDS = 10;
const WORTH_GOING_ON = 250;

type SweeperContext = Pick<
  WorkerContext,
  "clock" | "driver" | "hooks" | "identity" | "logger" | "refusals" | "reporter" | "schema"
>;

/** What a sweeper looks over, and by which limits it judges. */
export type SweeperParts = Omit<WorkerObserverParts, "isolation">;

interface Judgement {
  readonly dead: readonly ObservedWorker[];
  readonly soonestMs: number;
}
