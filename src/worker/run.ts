import { CronRunner } from "../cron/cron-runner.ts";
import { createCronStore } from "../cron/cron-store.ts";
import type { RecurringJob } from "../cron/recurring-job.ts";
import type { ShutdownReason } from "../hooks/events.ts";
import type { Notification } from "../job/claim/notification.ts";
import { Liveness, type SessionWatcher } from "../job/recover/liveness.ts";
import { LostClaims } from "../job/recover/lost-claims.ts";
import type { StoredTasksWatcher } from "../job/stored-tasks.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { Executor } from "../postgres/driver.ts";
import { deafError } from "../postgres/pooler.ts";
import { systemClock } from "../runtime/clock.ts";
import { LoopDelay } from "../runtime/loop-delay.ts";
import { Control } from "./control.ts";
import { Engine, type EngineRun } from "./engine.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import { IdleMode } from "./idle-mode.ts";
import { Listener, type ListenerWatcher } from "./listener.ts";
import { Sampler } from "./sampler.ts";
import { SelfReport } from "./self-report.ts";

/**
 * One run of a worker: an engine, and the services that go on beside it. The
 * services start before the engine, in the order of their list, and begin to
 * stop together when the engine does.
 */
export class Run implements EngineRun, ListenerWatcher, SessionWatcher, StoredTasksWatcher {
  readonly engine: Engine;
  readonly maxJobs: number;
  readonly #context: WorkerContext;
  readonly #once: boolean;
  readonly #control: Control;
  readonly #listener: Listener | undefined;
  readonly #cron: CronRunner | undefined;
  readonly #sampler: Sampler | undefined;
  readonly #historyKeeper: HistoryKeeper | undefined;
  readonly #liveness: Liveness | undefined;
  readonly #idleMode: IdleMode | undefined;
  readonly #services: readonly Service[];
  /** Since when it listens or does not, by the monotonic clock. */
  #listening: { readonly isUp: boolean; readonly since: number };

  constructor(context: WorkerContext, { once, maxJobs, recurring }: RunOrder) {
    this.#context = once ? withoutWaiting(context) : context;
    this.#once = once;
    this.maxJobs = maxJobs;
    this.#sampler = !once && context.settings.samples ? new Sampler(context, this) : undefined;
    this.#historyKeeper = once ? undefined : new HistoryKeeper(context, this);
    this.engine = new Engine(this.#context, this);
    const { driver, reporter, schema, settings, storedTasks } = this.#context;
    this.#listening = { isUp: false, since: this.#context.clock.monotonic() };
    this.#control = new Control(this.#context, this.engine);
    if (!once && !settings.useNotificationDelivery) this.#control.distrust();
    this.#listener = settings.useNotificationDelivery ? new Listener(this.#context, this) : undefined;
    this.#cron = once ? undefined : new CronRunner(this.#context, recurring, createCronStore(driver, schema));
    this.#liveness = this.#createLiveness();
    this.#idleMode = this.#createIdleMode();
    // The event loop is that of the process, whatever clock the worker was given.
    const loopDelay = new LoopDelay(systemClock, this.engine.busyTasks, reporter);
    const chores: Service[] = this.#cron ? [storedTasks, this.#cron] : [];
    this.#services = [new LostClaims(this.#context), loopDelay, ...chores, this.#control];
    storedTasks.watch(this);
  }

  get startUntil(): number {
    return this.#liveness?.startUntil ?? Number.POSITIVE_INFINITY;
  }

  /** The worker is off the register and sends nothing. */
  get isIdle(): boolean {
    return this.#idleMode?.isIdle ?? false;
  }

  /** When heartbeats were answered and tried; `undefined` without recovery, and while it is idle. */
  get heartbeats(): Liveness["heartbeats"] | undefined {
    return this.isIdle ? undefined : this.#liveness?.heartbeats;
  }

  /** Whether it hears of new jobs, and since when; `undefined` where it is not to. */
  get listening(): { readonly isUp: boolean; readonly since: number } | undefined {
    return this.#listener && this.#listening;
  }

  askAgain(): void {
    this.#control.askAgain();
  }

  taskIdsChanged(): void {
    this.engine.claimer.forget();
  }

  announced(notification: Notification): void {
    this.engine.source.pulse(notification);
    this.#idleMode?.notified();
  }

  schedulesChanged(): void {
    this.#cron?.schedulesChanged();
  }

  controlled(payload: string): void {
    if (this.#control.notified(payload)) this.#idleMode?.notified();
  }

  heard(channel: string): void {
    this.#liveness?.heard(channel);
  }

  up(session: Executor): void {
    this.#setListening(true);
    this.#liveness?.up(session);
    this.engine.source.distrust();
    this.engine.reconnected();
    this.#cron?.listening(true);
    this.#control.listening(true);
    this.#idleMode?.disturbed();
  }

  down(error: unknown): void {
    this.#setListening(false);
    this.#liveness?.down();
    this.#cron?.listening(false);
    this.#control.listening(false);
    this.#idleMode?.disturbed();
    this.#context.reporter.failure("listen for new jobs, and polls for them", error);
  }

  /** Nothing arrives on the session that the worker listens on. */
  deaf(): void {
    this.#setListening(false);
    this.#cron?.listening(false);
    this.#control.listening(false);
    this.#context.reporter.failure("hear of new jobs", deafError());
  }

  /** Starts all but the engine. Resolves when other workers can know of this one, or when `stopping` is aborted. */
  async start(stopping: AbortSignal): Promise<void> {
    this.#listener?.start();
    for (const service of this.#services) service.start();
    this.#sampler?.start();
    this.#historyKeeper?.start();
    await this.#startLiveness(stopping);
    this.#idleMode?.start();
  }

  /** Ends the run. Resolves when everything is released that could be. */
  async stop(cause: ShutdownCause): Promise<void> {
    const liveness = this.#liveness;
    const isWatched = liveness?.isLocked ?? false;
    if (!isWatched && !this.#once) liveness?.down();
    // At the same time, because each may have to wait for a connection.
    const beside = Promise.all([
      this.#idleMode?.stop(),
      this.#historyKeeper?.stop(),
      ...this.#services.map((service) => service.stop()),
      isWatched ? undefined : this.#listener?.stop(),
    ]);
    await this.#stopEngine(cause);
    // A session that others watch stays until here: they notice at once when a slow shutdown is cut short.
    const notes = this.#context.notes.stop(NOTES_MS);
    await Promise.all([liveness?.stop(), this.#sampler?.stop(), notes]);
    await Promise.all([beside, this.#listener?.stop()]);
    if (this.#once) this.#context.identity.abandonHeld();
  }

  #createIdleMode(): IdleMode | undefined {
    const { idle } = this.#context.settings;
    const [engine, liveness, listener, cron] = [this.engine, this.#liveness, this.#listener, this.#cron];
    return idle && liveness && listener && new IdleMode(this.#context, idle, { engine, liveness, listener, cron });
  }

  #setListening(isUp: boolean): void {
    if (isUp !== this.#listening.isUp) this.#listening = { isUp, since: this.#context.clock.monotonic() };
  }

  /** Nothing is claimed before others can know of this worker, unless it is told to stop meanwhile. */
  async #startLiveness(stopping: AbortSignal): Promise<void> {
    if (!this.#liveness) return;
    const started = new AbortController();
    const starting = this.#liveness.start().finally(() => started.abort());
    await untilAborted(AbortSignal.any([started.signal, stopping]));
    if (started.signal.aborted) await starting;
  }

  async #stopEngine(cause: ShutdownCause): Promise<void> {
    const { hooks, logger, identity } = this.#context;
    const { abandoned, unwritten } = await this.engine.stop();
    const worker = identity.current;
    if (abandoned > 0) {
      logger.warn("Handlers did not stop when told to; their jobs were returned", { worker, abandoned });
    }
    if (unwritten > 0) {
      logger.error("Outcomes could not be written; these jobs stay locked until recovery returns them", {
        worker,
        unwritten,
      });
    }
    hooks.emit("workerShutdown", { workerId: worker, reason: cause.reason });
    await hooks.settle(HOOKS_SETTLE_MS);
  }

  #createLiveness(): Liveness | undefined {
    const { recovery: settings, useNotificationDelivery: listens } = this.#context.settings;
    if (!settings) return undefined;
    const reports = new SelfReport(this.#context, this.engine);
    return new Liveness(this.#context, { settings, listens, watcher: this.engine, session: this, reports });
  }
}

/** What a run is for. */
export interface RunOrder {
  /** It ends when there is nothing left to do. */
  readonly once: boolean;
  /** The most jobs to claim in all. */
  readonly maxJobs: number;
  /** The jobs of the worker's own crontab. */
  readonly recurring: readonly RecurringJob[];
}

/** Why a run ends; a signal may come while it does. */
export interface ShutdownCause {
  readonly reason: ShutdownReason;
}

/** Something that goes on as long as a run. */
interface Service {
  start(): void;
  stop(): Promise<void>;
}

/** How long a shutdown waits for the last notes of handlers to be written. */
const NOTES_MS = 1_000;

/** How long hook handlers may go on when everything else has ended. */
const HOOKS_SETTLE_MS = 5_000;

/** A run that ends when there is nothing left waits for no jobs, lets none wait in memory, and counts what it takes. */
function withoutWaiting(context: WorkerContext): WorkerContext {
  const alone = { localQueue: undefined, readAhead: false, useNotificationDelivery: false };
  return { ...context, settings: { ...context.settings, ...alone } };
}

/** Resolves when `signal` is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
