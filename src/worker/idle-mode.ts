import type { CronRunner } from "../cron/cron-runner.ts";
import type { Liveness } from "../job/recover/liveness.ts";
import type { IdleSettings, WorkerContext } from "../job/worker-context.ts";
import { readNextDueMs } from "../postgres/queries/next-due.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";
import type { Engine } from "./engine.ts";
import { beginActive, type IdleEffect, type IdleEvent, idleRestMs, type IdleState, idleStep } from "./idle-machine.ts";
import type { Listener } from "./listener.ts";

/**
 * Takes a worker that has had no job for a while off the register and lets it
 * send nothing, until a notification arrives, its session ends or it is time to
 * look around. `idle-machine.ts` says when; here is how. The session that it
 * listens on stays, with its lock, and so does the crontab, whose ticks are
 * statements at their time.
 */
export class IdleMode {
  readonly #context: IdleModeContext;
  readonly #limits: IdleSettings;
  readonly #parts: IdleModeParts;
  #state: IdleState;
  #loop: Loop | undefined;
  /** How many jobs the engine had taken when it was looked at last. */
  #taken = 0;
  /** Whether it was active because it had to be, and not only to look around. */
  #hasStayed = true;

  constructor(context: IdleModeContext, limits: IdleSettings, parts: IdleModeParts) {
    this.#context = context;
    this.#limits = limits;
    this.#parts = parts;
    this.#state = beginActive(context.clock.monotonic(), limits);
  }

  /** True while the worker sends nothing. */
  get isIdle(): boolean {
    return this.#state.mode === "idle";
  }

  start(): void {
    const { clock, reporter } = this.#context;
    this.#state = beginActive(clock.monotonic(), this.#limits);
    this.#loop = startLoop({
      name: "idle mode",
      clock,
      round: (stopping) => this.#round(stopping),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("read when the next job becomes due", error);
      },
    });
  }

  /** Ends it: the worker stays as it is. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  /** Something was notified that may be work. */
  notified(): void {
    this.#handle({ type: "notified" });
  }

  /** The session has ended, or there is another one. */
  disturbed(): void {
    this.#handle({ type: "disturbed" });
  }

  #handle(event: IdleEvent): void {
    this.#step(event);
    if (this.isIdle) this.#loop?.wake();
  }

  async #round(stopping: AbortSignal): Promise<number> {
    const { clock } = this.#context;
    let effect = this.#step(this.#look());
    while (effect !== undefined && !stopping.aborted) effect = await this.#carryOut(effect, stopping);
    return idleRestMs(this.#state, clock.monotonic(), this.#limits);
  }

  #step(event: IdleEvent): IdleEffect | undefined {
    const [state, effect] = idleStep(this.#state, event, this.#limits);
    this.#state = state;
    return effect;
  }

  #look(): IdleEvent {
    const { clock, held, identity } = this.#context;
    const { engine, liveness } = this.#parts;
    const isBusy = !held.isEmpty || engine.taken !== this.#taken;
    this.#taken = engine.taken;
    this.#hasStayed ||= isBusy;
    return {
      type: "checked",
      now: clock.monotonic(),
      isBusy,
      mayLeave: liveness.isAtEase && identity.all.length === 1,
      isAtRest: engine.source.isAtRest,
    };
  }

  #carryOut(effect: IdleEffect, stopping: AbortSignal): Promise<IdleEffect | undefined> {
    switch (effect) {
      case "scan":
        return this.#scan();
      case "leave":
        return this.#leave();
      case "return":
        return this.#return(stopping);
      default:
        return effect satisfies never;
    }
  }

  /** In this order: what becomes due in between is found by the scan. */
  async #scan(): Promise<undefined> {
    const { clock, driver, schema } = this.#context;
    try {
      const dueInMs = await readNextDueMs(driver, schema);
      this.#step({ type: "scanned", dueAt: clock.monotonic() + dueInMs });
    } catch (error) {
      this.#step({ type: "scanned", dueAt: undefined });
      throw error;
    }
    this.#parts.engine.source.distrust();
  }

  async #leave(): Promise<IdleEffect | undefined> {
    const { clock, logger, identity, storedTasks } = this.#context;
    const { engine, liveness, listener, cron } = this.#parts;
    // Before anything is waited for: from now on notifications are for the machine.
    engine.source.suspend();
    cron?.resting(true);
    await storedTasks.stop();
    const isOff = await liveness.suspend();
    if (isOff) listener.quiet(true);
    const effect = this.#step({ type: "left", now: clock.monotonic(), isOff });
    if (this.isIdle) {
      const line = "The worker is idle: it only listens, and is off the register until it is notified of a job";
      logger[this.#hasStayed ? "info" : "debug"](line, { worker: identity.current });
    }
    return effect;
  }

  async #return(stopping: AbortSignal): Promise<undefined> {
    const { clock, logger, identity, storedTasks } = this.#context;
    const { engine, liveness, listener, cron } = this.#parts;
    this.#hasStayed = this.#state.call === "stay";
    logger[this.#hasStayed ? "info" : "debug"]("The worker is active again", { worker: identity.current });
    listener.quiet(false);
    await unless(stopping, liveness.resume());
    if (stopping.aborted) return;
    storedTasks.start();
    cron?.resting(false);
    engine.source.resume();
    this.#step({ type: "returned", now: clock.monotonic() });
  }
}

type IdleModeContext = Pick<
  WorkerContext,
  "clock" | "driver" | "held" | "identity" | "logger" | "reporter" | "schema" | "storedTasks"
>;

/** What of a run rests while the worker is idle. */
export interface IdleModeParts {
  readonly engine: Pick<Engine, "source" | "taken">;
  readonly liveness: Pick<Liveness, "isAtEase" | "suspend" | "resume">;
  readonly listener: Pick<Listener, "quiet">;
  readonly cron: Pick<CronRunner, "resting"> | undefined;
}

/** Resolves with the promise, or when the signal is aborted. */
function unless(aborted: AbortSignal, promise: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => resolve();
    aborted.addEventListener("abort", end, { once: true });
    promise.finally(() => aborted.removeEventListener("abort", end)).then(resolve, reject);
  });
}
