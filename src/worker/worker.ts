import { HowdahError } from "../errors.ts";
import type { Client } from "../client/client.ts";
import type { ShutdownReason } from "../hooks/events.ts";
import type { HookEmitter, Hooks } from "../hooks/hooks.ts";
import type { HeldJobs } from "../job/held-jobs.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Duration } from "../runtime/duration.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { duration, integer } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { Engine } from "./engine.ts";
import type { Identity } from "../job/identity.ts";
import type { Listener } from "./listener.ts";
import { onNeverRun } from "./never-run.ts";
import { onOsSignal } from "./os-signals.ts";
import type { Presence } from "./presence.ts";
import type { Reporter, Tally } from "../job/reporter.ts";

/** When `runOnce` ends although there is work. */
export interface RunOnceOptions {
  /** Starts nothing more after this time. Default: no limit. */
  readonly deadline?: Duration | undefined;
  /** Starts at most so many jobs. Default: no limit. */
  readonly maxJobs?: number | undefined;
}

/** How a `runOnce` went. */
export interface RunOnceResult extends Tally {
  /** There was nothing more to run, or what ended it before. */
  readonly ended: "drained" | "deadline" | "maxJobs" | "stopped";
}

/** How a worker is doing at this moment. */
export interface WorkerMetrics {
  /** Slots at work. */
  readonly running: number;
  /** Handlers that go on although they were told to stop and their slots were given to others. */
  readonly leftBehind: number;
  /** Attempts that have ended and are not written to the database yet. */
  readonly unwritten: number;
  /** How many of these cannot be written although others can: something in the database keeps their rows. */
  readonly stuck: number;
  /** Jobs of dead workers that it cannot give back although others can be: something in the database keeps their rows. */
  readonly unrecovered: number;
  /**
   * How long ago the worker last looked at jobs from the very first one. A job
   * that is due and that nobody announced waits no longer than this grows:
   * `pollInterval`, or twenty times what such a look takes. `null` while it
   * does not run.
   */
  readonly headScanAgeMs: number | null;
}

/** Runs jobs. Made by `createWorker`. */
export interface Worker extends AsyncDisposable {
  /** What its jobs are locked under. Another one after a claim whose answer was lost, or when it was taken for dead. */
  readonly id: string;
  /** Adds and manages jobs over the worker's connections. */
  readonly client: Client;
  /** Where to be told of what happens. */
  readonly hooks: Hooks;
  /**
   * Runs jobs until `stop()` or a signal, then shuts down and resolves. No
   * error of the database ends it. Rejects with `HOWDAH_WORKER_RUNNING` when
   * it runs already, and with `HOWDAH_WORKER_STOPPED` after it was stopped.
   */
  run(): Promise<void>;
  /**
   * Runs all jobs that are due, also those that these jobs add, and resolves
   * when there are none left. Jobs that are locked elsewhere or due later are
   * not waited for. May be called again.
   */
  runOnce(options?: RunOnceOptions): Promise<RunOnceResult>;
  /**
   * Shuts down in stages and resolves when everything is released and closed.
   * May be called at any time, and more than once. `reason` is for the log.
   */
  stop(reason?: string): Promise<void>;
  /** Figures for a dashboard, at no cost. */
  metrics(): WorkerMetrics;
}

/** What a worker is built of. */
export interface WorkerParts {
  readonly identity: Identity;
  readonly held: HeldJobs;
  readonly client: Client;
  readonly hooks: HookEmitter;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Gives whatever ends a run a code of ours. */
  readonly explain: (error: unknown) => HowdahError;
  /** For the line in the log when it starts. */
  readonly description: Readonly<Record<string, unknown>>;
  readonly osSignals: boolean;
  readonly signal: AbortSignal | undefined;
  createEngine(run: { readonly once: boolean; readonly maxJobs: number }): Engine;
  /** `undefined` for polling only. */
  startListener(engine: Engine): Listener | undefined;
  /** Learns what is cancelled and paused while jobs run; returns its end. */
  startControl(run: { readonly once: boolean }): (() => Promise<void>) | undefined;
  /** What the worker says of itself during this run; `undefined` when recovery is off. */
  presence(): Presence | undefined;
  /** How many jobs of dead workers it cannot give back. */
  unrecovered(): number;
  /** Something beside the jobs that goes on while the worker runs; returns its end. */
  startChores(run: { readonly once: boolean }): () => Promise<void>;
  /** Closes what the worker opened. */
  close(): Promise<void>;
}

/** How long hook handlers may go on when everything else has ended. */
const HOOKS_SETTLE_MS = 5_000;

/** A worker over its parts. */
export function assembleWorker(parts: WorkerParts): Worker {
  return new HowdahWorker(parts);
}

class HowdahWorker implements Worker {
  readonly #parts: WorkerParts;
  readonly #stopping = new AbortController();
  #reason: ShutdownReason = "stopped";
  #running: Promise<unknown> | undefined;
  #engine: Engine | undefined;
  #closing: Promise<void> | undefined;
  /** Keeps it from being told that this worker never ran. */
  readonly #isUsed: () => void;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    const { logger, identity } = parts;
    this.#isUsed = onNeverRun(() => {
      logger.warn("The process ends and a worker in it never ran: call run(), or stop() if that is meant", {
        worker: identity.current,
      });
    });
  }

  get id(): string {
    return this.#parts.identity.current;
  }

  get client(): Client {
    return this.#parts.client;
  }

  get hooks(): Hooks {
    return this.#parts.hooks;
  }

  async run(): Promise<void> {
    await this.#exclusively(() => this.#runUntilStopped());
    await this.#close();
  }

  async runOnce(options: RunOnceOptions = {}): Promise<RunOnceResult> {
    const { deadlineMs, maxJobs } = readOptions("runOnce", options, {
      deadline: duration(),
      maxJobs: integer({ min: 1 }),
    });
    return this.#exclusively(() => this.#runUntilDrained(deadlineMs, maxJobs ?? Number.POSITIVE_INFINITY));
  }

  async stop(reason?: string): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#parts.logger.debug("The worker was told to stop", { worker: this.id, reason });
      this.#stopping.abort();
    }
    await this.#running?.catch(ignore);
    await this.#close();
  }

  metrics(): WorkerMetrics {
    const engine = this.#engine;
    const { held } = this.#parts;
    const unrecovered = this.#parts.unrecovered();
    if (!engine) return { running: 0, leftBehind: 0, unwritten: 0, stuck: 0, unrecovered, headScanAgeMs: null };
    const { releaser, claimer } = engine;
    return {
      running: held.count("running"),
      leftBehind: held.count("detached"),
      unwritten: releaser.size,
      stuck: releaser.stuck,
      unrecovered,
      headScanAgeMs: claimer.headScanAgeMs,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Refuses a second run, and keeps the first where `stop` finds it. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#isUsed();
    if (this.#stopping.signal.aborted) {
      throw new HowdahError("HOWDAH_WORKER_STOPPED", "This worker was stopped; create another one to run jobs.");
    }
    if (this.#running) {
      throw new HowdahError("HOWDAH_WORKER_RUNNING", "This worker runs already. To run more, create a second worker.");
    }
    // Not before `stop` can find it: the hook that tells of the start may call `stop`.
    const running = Promise.resolve().then(work);
    this.#running = running;
    try {
      return await running;
    } catch (error) {
      throw this.#parts.explain(error);
    } finally {
      this.#running = undefined;
      this.#engine = undefined;
    }
  }

  #createEngine(run: { readonly once: boolean; readonly maxJobs: number }): Engine {
    this.#engine = this.#parts.createEngine(run);
    return this.#engine;
  }

  async #runUntilStopped(): Promise<void> {
    const { hooks, logger, description } = this.#parts;
    const stopWatching = this.#watchSignals();
    const engine = this.#createEngine({ once: false, maxJobs: Number.POSITIVE_INFINITY });
    const listener = this.#parts.startListener(engine);
    const endChores = this.#parts.startChores({ once: false });
    const endControl = this.#parts.startControl({ once: false });
    const presence = await this.#startPresence();
    logger.info("Worker started", description);
    hooks.emit("workerStart", { workerId: this.id });
    engine.start();
    await untilAborted(this.#stopping.signal);
    // At the same time, because both may have to wait for a connection.
    const isWatched = presence?.isLocked ?? false;
    if (!isWatched) presence?.down();
    const closing = Promise.all([endChores(), endControl?.(), isWatched ? undefined : listener?.close()]);
    await this.#shutDown(engine);
    // A session that others watch stays until here: they notice at once when a slow shutdown is cut short.
    await presence?.end();
    await Promise.all([closing, listener?.close()]);
    stopWatching();
    const { tally, interrupted } = this.#parts.reporter;
    logger.info("Worker stopped", { worker: this.id, reason: this.#reason, ...tally, interrupted });
  }

  async #runUntilDrained(deadlineMs: number | undefined, maxJobs: number): Promise<RunOnceResult> {
    const { hooks, clock, reporter } = this.#parts;
    const before = reporter.tally;
    const stopWatching = this.#watchSignals();
    const engine = this.#createEngine({ once: true, maxJobs });
    const late = new AbortController();
    const timer = deadlineMs === undefined ? undefined : clock.setTimer(deadlineMs, () => late.abort());
    const endChores = this.#parts.startChores({ once: true });
    const endControl = this.#parts.startControl({ once: true });
    const presence = await this.#startPresence();
    hooks.emit("workerStart", { workerId: this.id });
    engine.start();
    await drain(engine, AbortSignal.any([late.signal, this.#stopping.signal]));
    timer?.cancel();
    await Promise.all([endChores(), endControl?.(), this.#shutDown(engine)]);
    await presence?.end();
    this.#parts.identity.abandonHeld();
    stopWatching();
    return { ...difference(reporter.tally, before), ended: this.#howEnded(engine, late.signal, maxJobs) };
  }

  #howEnded(engine: Engine, late: AbortSignal, maxJobs: number): RunOnceResult["ended"] {
    if (this.#stopping.signal.aborted) return "stopped";
    if (late.aborted) return "deadline";
    return engine.taken >= maxJobs ? "maxJobs" : "drained";
  }

  /** Nothing is claimed before others can know of this worker, unless it is told to stop meanwhile. */
  async #startPresence(): Promise<Presence | undefined> {
    const presence = this.#parts.presence();
    if (!presence) return undefined;
    const started = new AbortController();
    const starting = presence.start().finally(() => started.abort());
    await untilAborted(AbortSignal.any([started.signal, this.#stopping.signal]));
    if (started.signal.aborted) await starting;
    return presence;
  }

  async #shutDown(engine: Engine): Promise<void> {
    const { hooks, logger } = this.#parts;
    const { abandoned, unwritten } = await engine.stop();
    if (abandoned > 0) {
      logger.warn("Handlers did not stop when told to; their jobs were returned", { worker: this.id, abandoned });
    }
    if (unwritten > 0) {
      logger.error("Outcomes could not be written; these jobs stay locked until recovery returns them", {
        worker: this.id,
        unwritten,
      });
    }
    hooks.emit("workerShutdown", { workerId: this.id, reason: this.#reason });
    await hooks.settle(HOOKS_SETTLE_MS);
  }

  #watchSignals(): () => void {
    const { osSignals, signal, logger } = this.#parts;
    const received = (what: string): void => {
      logger.info(`Shutting down because of ${what}; a second signal ends the process at once`, { worker: this.id });
      this.#reason = "signal";
      this.#stopping.abort();
    };
    const ignoreOs = osSignals ? onOsSignal(received) : ignore;
    const onAbort = (): void => received("the shutdown signal");
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    return () => {
      ignoreOs();
      signal?.removeEventListener("abort", onAbort);
    };
  }

  #close(): Promise<void> {
    this.#stopping.abort();
    this.#isUsed();
    this.#closing ??= this.#parts.close().catch((error: unknown) => {
      this.#parts.logger.warn("Closing the connections failed", { worker: this.id, error: errorMessage(error) });
    });
    return this.#closing;
  }
}

/** Lets the engine run until a look everywhere has found nothing more. */
async function drain(engine: Engine, signal: AbortSignal): Promise<void> {
  for (let before = -1; before < engine.taken && !signal.aborted;) {
    await engine.rest(signal);
    before = engine.taken;
    engine.source.distrust();
    await engine.rest(signal);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function difference(after: Tally, before: Tally): Tally {
  return {
    completed: after.completed - before.completed,
    failed: after.failed - before.failed,
    snoozed: after.snoozed - before.snoozed,
  };
}

function ignore(): void {}
