import { HowdahError } from "../errors.ts";
import type { Client } from "../client/client.ts";
import type { Connection } from "../client/connection.ts";
import { toHowdahError } from "../postgres/database-error.ts";
import type { RecurringJob } from "../cron/recurring-job.ts";
import type { ShutdownReason } from "../hooks/events.ts";
import type { Hooks } from "../hooks/hooks.ts";
import type { Tally } from "../job/reporter.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { WorkerMetrics } from "../job/worker-metrics.ts";
import { systemClock } from "../runtime/clock.ts";
import { type Duration } from "../runtime/duration.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { duration, integer } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { lastLoopBlock } from "../runtime/loop-delay.ts";
import type { Engine } from "./engine.ts";
import { type HealthFacts, healthOf, type WorkerHealth } from "./health.ts";
import { onNeverRun, onOsSignal } from "./process-end.ts";
import { Run, untilAborted, type RunOrder } from "./run.ts";

/** Runs jobs. Made by `createWorker`. */
export interface Worker extends AsyncDisposable {
  /** What its jobs are locked under. Another one after a claim whose answer was lost, or after it was declared dead. */
  readonly id: string;
  /** Adds and manages jobs over the worker's connections. */
  readonly client: Client;
  /** Handlers of events and interceptors. */
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
  /** Whether it lives and is ready, and what is wrong, as far as it knows itself: without a statement. */
  health(): WorkerHealth;
}

/** A worker over what its parts stand on. */
export class HowdahWorker implements Worker {
  readonly #context: WorkerContext;
  readonly #parts: WorkerParts;
  readonly #stopping = new AbortController();
  readonly #cause: { reason: ShutdownReason } = { reason: "stopped" };
  #running: Promise<unknown> | undefined;
  #run: Run | undefined;
  #closing: Promise<void> | undefined;
  /** Keeps a warning from being written that this worker never ran. */
  readonly #isUsed: () => void;

  constructor(context: WorkerContext, parts: WorkerParts) {
    this.#context = context;
    this.#parts = parts;
    const { logger, identity } = context;
    this.#isUsed = onNeverRun(() => {
      logger.warn("The process ends and a worker in it never ran: call run(), or stop() if that is meant", {
        worker: identity.current,
      });
    });
  }

  get id(): string {
    return this.#context.identity.current;
  }

  get client(): Client {
    return this.#context.client;
  }

  get hooks(): Hooks {
    return this.#context.hooks;
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
      this.#context.logger.debug("The worker was told to stop", { worker: this.id, reason });
      this.#stopping.abort();
    }
    await this.#running?.catch(ignore);
    await this.#close();
  }

  metrics(): WorkerMetrics {
    const run = this.#run;
    const { clock, held, refusals, settings } = this.#context;
    const unrecovered = refusals.jobs;
    if (!run) return { ...AT_REST, unrecovered };
    const { releaser, claimer } = run.engine;
    const { heartbeats, isIdle, listening } = run;
    return {
      slots: settings.concurrency,
      running: held.count("running"),
      cached: held.count("cached"),
      leftBehind: held.count("detached"),
      unwritten: releaser.size,
      stuck: releaser.stuck,
      unrecovered,
      headScanAgeMs: claimer.headScanAgeMs,
      idle: isIdle,
      heartbeatAgeMs: heartbeats ? clock.monotonic() - heartbeats.answeredAt : null,
      isListening: listening ? listening.isUp : null,
    };
  }

  health(): WorkerHealth {
    return healthOf(this.#healthFacts());
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
      throw toHowdahError(error, this.#context.schema);
    } finally {
      this.#running = undefined;
      this.#run = undefined;
    }
  }

  async #runUntilStopped(): Promise<void> {
    const { hooks, logger, reporter } = this.#context;
    const stopWatching = this.#watchSignals();
    const run = this.#createRun({ once: false, maxJobs: Number.POSITIVE_INFINITY });
    await run.start(this.#stopping.signal);
    logger.info("Worker started", this.#description());
    hooks.emit("workerStart", { workerId: this.id });
    run.engine.start();
    await untilAborted(this.#stopping.signal);
    await run.stop(this.#cause);
    stopWatching();
    const { tally, interrupted } = reporter;
    logger.info("Worker stopped", { worker: this.id, reason: this.#cause.reason, ...tally, interrupted });
  }

  async #runUntilDrained(deadlineMs: number | undefined, maxJobs: number): Promise<RunOnceResult> {
    const { hooks, clock, reporter } = this.#context;
    const before = reporter.tally;
    const stopWatching = this.#watchSignals();
    const run = this.#createRun({ once: true, maxJobs });
    const late = new AbortController();
    const timer = deadlineMs === undefined ? undefined : clock.setTimer(deadlineMs, () => late.abort());
    await run.start(this.#stopping.signal);
    hooks.emit("workerStart", { workerId: this.id });
    run.engine.start();
    await run.engine.drain(AbortSignal.any([late.signal, this.#stopping.signal]));
    timer?.cancel();
    await run.stop(this.#cause);
    stopWatching();
    return { ...difference(reporter.tally, before), ended: this.#howEnded(run.engine, late.signal, maxJobs) };
  }

  #createRun(order: Pick<RunOrder, "once" | "maxJobs">): Run {
    const run = new Run(this.#context, { ...order, recurring: this.#parts.recurring });
    this.#run = run;
    return run;
  }

  #healthFacts(): HealthFacts {
    const now = this.#context.clock.monotonic();
    const run = this.#run;
    const failing = run?.engine.claimer.failing;
    const listening = run?.listening;
    const beats = run?.heartbeats;
    const block = lastLoopBlock();
    return {
      state: this.#state,
      heartbeat: beats && { ...this.#heartbeatTimes, answeredMs: now - beats.answeredAt, triedMs: now - beats.triedAt },
      failingClaims: failing && { ...failing, sinceMs: now - failing.since },
      isHeldBack: run?.engine.isHeldBack ?? false,
      unwritten: run?.engine.releaser.size ?? 0,
      stuck: run?.engine.releaser.stuck ?? 0,
      deafMs: listening && !listening.isUp ? now - listening.since : undefined,
      loopBlock: block && { blockedMs: block.blockedMs, agoMs: systemClock.monotonic() - block.endedAt },
    };
  }

  /** It may register first; a driver that has one way to the database waits for as long as for any statement. */
  get #heartbeatTimes(): { readonly intervalMs: number; readonly longestMs: number } {
    const { driver, settings } = this.#context;
    const { heartbeatIntervalMs = 0, heartbeatTimeoutMs = 0 } = settings.recovery ?? {};
    const hasOneWay = driver.capabilities?.listen === false || driver.capabilities?.inProcess === true;
    return {
      intervalMs: heartbeatIntervalMs,
      longestMs: 2 * (hasOneWay ? settings.settledMs : 3 * heartbeatTimeoutMs),
    };
  }

  get #state(): HealthFacts["state"] {
    if (this.#run) return this.#stopping.signal.aborted ? "stopping" : "running";
    return this.#stopping.signal.aborted ? "stopped" : "idle";
  }

  /** For the line in the log when it starts. */
  #description() {
    const { identity, schema, settings, tasks } = this.#context;
    return {
      worker: identity.current,
      database: this.#parts.connection.target,
      schema: schema.name,
      tasks: tasks.identifiers.join(","),
      concurrency: settings.concurrency,
      source: settings.localQueue ? "local queue" : "direct",
    };
  }

  #howEnded(engine: Engine, late: AbortSignal, maxJobs: number): RunOnceResult["ended"] {
    if (this.#stopping.signal.aborted) return "stopped";
    if (late.aborted) return "deadline";
    return engine.taken >= maxJobs ? "maxJobs" : "drained";
  }

  #watchSignals(): () => void {
    const { logger, settings } = this.#context;
    const { osSignals, signal } = settings.shutdown;
    const received = (what: string): void => {
      logger.info(`Shutting down because of ${what}; a second signal ends the process at once`, { worker: this.id });
      this.#cause.reason = "signal";
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
    this.#closing ??= this.#closeConnections().catch((error: unknown) => {
      this.#context.logger.warn("Closing the connections failed", { worker: this.id, error: errorMessage(error) });
    });
    return this.#closing;
  }

  async #closeConnections(): Promise<void> {
    const { closing, connection } = this.#parts;
    closing.abort();
    await this.#context.client.close();
    if (connection.owned) await connection.driver.close();
  }
}

/** When `runOnce` ends although there is work. */
export interface RunOnceOptions {
  /** Starts nothing more after this time. Default: no limit. */
  readonly deadline?: Duration | undefined;
  /** Starts at most this many jobs. Default: no limit. */
  readonly maxJobs?: number | undefined;
}

/** How a `runOnce` went. */
export interface RunOnceResult extends Tally {
  /** There was nothing more to run, or what ended it before. */
  readonly ended: "drained" | "deadline" | "maxJobs" | "stopped";
}

/** What a worker needs that its parts do not. */
export interface WorkerParts {
  readonly connection: Connection;
  /** The jobs of its own crontab. */
  readonly recurring: readonly RecurringJob[];
  /** Behind `closed` of the context. */
  readonly closing: AbortController;
}

/** The metrics of a worker that does not run. */
const AT_REST = {
  slots: 0,
  running: 0,
  cached: 0,
  leftBehind: 0,
  unwritten: 0,
  stuck: 0,
  headScanAgeMs: null,
  idle: false,
  heartbeatAgeMs: null,
  isListening: null,
};

function difference(after: Tally, before: Tally): Tally {
  return {
    completed: after.completed - before.completed,
    failed: after.failed - before.failed,
    snoozed: after.snoozed - before.snoozed,
  };
}

function ignore(): void {}
