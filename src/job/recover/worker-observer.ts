import type { Executor } from "../../postgres/driver.ts";
import { lookAtWorkers, noteAbsences, SWEPT, type WorkerSightings } from "../../postgres/queries/sweep.ts";
import { isProcessGone, type ProcessMark } from "../../runtime/process-mark.ts";
import type { WorkerContext } from "../worker-context.ts";
import type { Isolation } from "./isolation.ts";
import type { RecoverySettings } from "./options.ts";
import type { SessionLockKeeper } from "./session-lock.ts";
import { isAbsent, observe, withAbsences, withCompany, type Watch, type Watched } from "./watch.ts";

/**
 * What one worker has seen of all others. `watch.ts` says what follows from it;
 * a look that fails, another session and another server begin the watch anew.
 */
export class WorkerObserver {
  readonly #context: WorkerObserverContext;
  readonly #parts: WorkerObserverParts;
  #watch: Watch | undefined;
  /** What the last look went over, and on which server. */
  #executor: Executor | undefined;
  #server = "";

  constructor(context: WorkerObserverContext, parts: WorkerObserverParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Begins the watch anew with the next look. */
  forget(): void {
    this.#watch = undefined;
  }

  /** Adds a look that a heartbeat has brought, or looks itself. */
  async look(brought?: LookAnswer): Promise<Observation> {
    const before = this.#watch;
    const look = brought ?? (await this.#lookItself());
    // Before anything is waited for: the ids of the worker as the look has found them.
    const own = new Set(this.#context.identity.all);
    const counted = await this.#countAbsences(this.#add(look, own));
    const isFirstSession = this.#isFirstSession(counted);
    // Those that are one of many stay so when the others come back before them.
    const watch = withCompany(counted, { sweepIntervalMs: this.#parts.settings.sweepIntervalMs, isFirstSession });
    this.#watch = watch;
    const stages = new Map(look.sightings.workers.map(({ workerId, swept }) => [workerId, swept]));
    const others = [...watch.workers.values()].filter(({ workerId }) => !own.has(workerId));
    return {
      watch,
      isFirstSession,
      hasRules: look.sightings.hasRules,
      hasAttempts: look.sightings.hasAttempts,
      others: others.map((worker) => ({
        ...worker,
        stage: stages.get(worker.workerId) ?? SWEPT.no,
        hasMoved: (before?.workers.get(worker.workerId)?.beat ?? worker.beat) !== worker.beat,
      })),
    };
  }

  async #lookItself(): Promise<LookAnswer> {
    const { clock, schema } = this.#context;
    const executor = this.#usual;
    const sentAt = clock.monotonic();
    try {
      const sightings = await lookAtWorkers({ executor, schema }, LOOK_TIMEOUT_MS);
      return { executor, sentAt, answeredAt: clock.monotonic(), sightings };
    } catch (error) {
      this.#watch = undefined;
      // A session that is lost meanwhile is reported by others; there is another way.
      if (executor !== this.#usual) return this.#lookItself();
      throw error;
    }
  }

  get #usual(): Executor {
    return this.#parts.sessionLock.session ?? this.#context.driver;
  }

  #add({ executor, sentAt, answeredAt, sightings }: LookAnswer, own: ReadonlySet<string>): Watch {
    if (executor !== this.#executor || sightings.server !== this.#server) this.#watch = undefined;
    this.#executor = executor;
    this.#server = sightings.server;
    const workers = sightings.workers.map(({ process, ...worker }) => ({
      ...worker,
      declared: worker.swept !== SWEPT.no,
      isOwn: own.has(worker.workerId),
      process: process ?? worker.workerId,
      isProcessGone: process !== null && !own.has(worker.workerId) && isProcessGone(process, this.#parts.mark),
    }));
    const seen = observe(this.#watch, { sentAt, answeredAt, workers }, 2 * this.#parts.settings.sweepIntervalMs);
    this.#watch = seen;
    return seen;
  }

  /** What processes that had just started have seen counts for the next one, as long as that has not watched for itself. */
  async #countAbsences(watch: Watch): Promise<Watch> {
    const { settings, isolation } = this.#parts;
    const absent = this.#isFirstSession(watch) ? [...watch.workers.values()].filter((worker) => isAbsent(worker)) : [];
    if (absent.length === 0) return watch;
    const target = { executor: this.#executor ?? this.#context.driver, schema: this.#context.schema };
    const limits = { longestGapMs: settings.heartbeatIntervalMs, timeoutMs: settings.contactTimeoutMs };
    const absences = new Map<string, number>();
    await isolation.together(absent, async (workers) => {
      for (const [id, ms] of await noteAbsences(target, workers, limits)) absences.set(id, ms);
    });
    return withAbsences(watch, absences);
  }

  #isFirstSession({ watchedMs }: Watch): boolean {
    const { settings, sessionLock } = this.#parts;
    return watchedMs < settings.watchTimeMs && this.#executor === sessionLock.session && sessionLock.isFirstSession;
  }
}

type WorkerObserverContext = Pick<WorkerContext, "clock" | "driver" | "identity" | "schema">;

/** What an observer looks over. */
export interface WorkerObserverParts {
  readonly settings: RecoverySettings;
  /** Its session is looked over while there is one; else any connection. */
  readonly sessionLock: Pick<SessionLockKeeper, "session" | "isFirstSession">;
  readonly isolation: Isolation;
  /** The process of the observer. */
  readonly mark: ProcessMark;
}

/** A look at all registered workers. */
export interface LookAnswer {
  /** What it went over: a session, or any connection. */
  readonly executor: Executor;
  /** When it was asked and when it was answered, by the monotonic clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly sightings: WorkerSightings;
}

/** What was seen up to a look. */
export interface Observation {
  readonly watch: Watch;
  /** The looks went over the first session of the process, and not for long yet. */
  readonly isFirstSession: boolean;
  /** Queues may have to be compared with the rules that are stored for them. */
  readonly hasRules: boolean;
  /** Attempts may be recorded of jobs that are gone. */
  readonly hasAttempts: boolean;
  /** All workers but the own. */
  readonly others: readonly ObservedWorker[];
}

/** A worker as it was found. */
export interface ObservedWorker extends Watched {
  /** How far its recovery has gone, one of `SWEPT`. */
  readonly stage: number;
  /** Its heartbeat is another one than in the look before. */
  readonly hasMoved: boolean;
}

/** How long one look may take. */
const LOOK_TIMEOUT_MS = 5_000;
