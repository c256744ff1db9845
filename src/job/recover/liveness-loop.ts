import { HowdahError } from "../../errors.ts";
import { beat, beatAndLook, type BeatingWorkers, registerWorkers } from "../../postgres/queries/liveness.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { Timer } from "../../runtime/clock.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { WorkerContext } from "../worker-context.ts";
import type { Contact, ContactAttempt } from "./contact.ts";
import {
  alarmInMs,
  begin,
  type LivenessEffect,
  type LivenessEvent,
  livenessStep,
  type LivenessState,
  restMs,
  URGENT_MS,
} from "./liveness-machine.ts";
import type { LookAnswer } from "./worker-observer.ts";
import type { RecoverySettings } from "./options.ts";
import type { SessionLockKeeper } from "./session-lock.ts";
import type { Sweeper } from "./sweeper.ts";

/**
 * Sends a worker's heartbeats, lets them look at the other workers as well when
 * a look is due, and hands each look to the sweeper. `liveness-machine.ts` says
 * what is due and when contact is lost; a sweep runs concurrently, because one that
 * takes long must not delay a heartbeat.
 */
export class LivenessLoop {
  readonly #context: LivenessLoopContext;
  readonly #parts: LivenessLoopParts;
  readonly #registered = new Set<string>();
  readonly #stopping = new AbortController();
  #state: LivenessState;
  #alarm: Timer | undefined;
  #loop: Loop | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #failedSweeps = 0;
  #triedAt: number;

  constructor(context: LivenessLoopContext, parts: LivenessLoopParts) {
    this.#context = context;
    this.#parts = parts;
    this.#triedAt = context.clock.monotonic();
    this.#state = begin(this.#triedAt);
  }

  /** When the last heartbeat was sent that was answered: others cannot have seen a later one. */
  get contactAt(): number {
    return this.#state.contactAt;
  }

  /** True when the last sweep is over and has found the other workers well. */
  get isAtEase(): boolean {
    return this.#state.sweep === "resting" && this.#parts.sweeper.isAtEase;
  }

  /** When the last heartbeat ended that was tried, answered or not. */
  get triedAt(): number {
    return this.#triedAt;
  }

  /**
   * Registers, so that nothing is claimed under an id that other workers do not
   * know, and sends the first heartbeat. Resolves when that is done or has
   * failed once; then it is tried again in the background.
   */
  async start(): Promise<void> {
    const { clock, reporter } = this.#context;
    this.#triedAt = clock.monotonic();
    this.#state = begin(this.#triedAt);
    const tried = new AbortController();
    this.#loop = startLoop({
      name: "liveness",
      clock,
      backoff: { firstMs: 100, maxMs: Math.min(URGENT_MS, this.#parts.settings.heartbeatIntervalMs) },
      round: () => this.#round().finally(() => tried.abort()),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("say that it lives", error);
      },
    });
    this.#setAlarm();
    if (!tried.signal.aborted) await new Promise((resolve) => tried.signal.addEventListener("abort", resolve));
  }

  /** Ends it, when the heartbeat and the sweep under way have ended; what is registered stays so. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#alarm?.cancel();
    await Promise.all([this.#loop?.stop(), this.#sweeping]);
    this.#alarm?.cancel();
  }

  /** Sends a heartbeat now: something has changed that others must know. */
  beat(): void {
    this.#handle({ type: "beatWanted" });
  }

  /** There is another session, or the first one: it is looked over at once. */
  sessionOpened(): void {
    this.#handle({ type: "beatWanted" });
    this.#handle({ type: "sessionOpened" });
  }

  async #round(): Promise<number> {
    const { clock } = this.#context;
    const effects = this.#step({ type: "turned", now: clock.monotonic(), restMs: this.#beatRestMs });
    if (effects.includes("beatAndLook")) await this.#send(true);
    else if (effects.includes("beat")) await this.#send(false);
    return restMs(this.#state, clock.monotonic());
  }

  /** Registers what is not registered yet, and sends a heartbeat for all ids. */
  async #send(looks: boolean): Promise<void> {
    const { clock, identity } = this.#context;
    const ids = identity.all;
    const sentAt = clock.monotonic();
    let wasSent = false;
    try {
      await this.#register(ids.filter((id) => !this.#registered.has(id)));
      wasSent = true;
      const { alive, look } = await this.#parts.contact.reach((attempt) => this.#beat(attempt, ids, looks));
      // In this order: the sweep with this look must not recover an id of this worker whose handlers are only told now.
      this.#answered(sentAt, look);
      this.#noticeDead(ids, alive);
    } catch (error) {
      this.#step({ type: "beatFailed", now: clock.monotonic(), wasSent });
      throw error;
    } finally {
      this.#triedAt = clock.monotonic();
    }
    // Another id may have taken the place of one that was declared dead.
    if (!identity.all.every((id) => this.#registered.has(id))) this.#step({ type: "beatWanted" });
    this.#parts.watcher.heartbeatAnswered();
  }

  async #register(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { contact, process } = this.#parts;
    await contact.reach(({ target }) => registerWorkers(target, this.#reported(ids), process));
    for (const id of ids) this.#registered.add(id);
  }

  /** The usual way includes the look; when that does not answer, the heartbeat alone is sent again. */
  async #beat({ target, isRepeated }: ContactAttempt, ids: readonly string[], looks: boolean): Promise<Answer> {
    const { clock } = this.#context;
    const { shownLock } = this.#parts.sessionLock;
    const workers = this.#reported(ids);
    if (!looks || isRepeated) return { alive: await beat(target, workers, shownLock) };
    const sentAt = clock.monotonic();
    const { alive, sightings } = await beatAndLook(target, workers, shownLock);
    return { alive, look: { executor: target.executor, sentAt, answeredAt: clock.monotonic(), sightings } };
  }

  #reported(ids: readonly string[]): BeatingWorkers {
    return { ids, reports: ids.map((id) => this.#parts.reports.of(id)) };
  }

  #answered(sentAt: number, look: LookAnswer | undefined): void {
    const hasLook = look !== undefined;
    const now = this.#context.clock.monotonic();
    this.#step({ type: "beatAnswered", now, restMs: this.#beatRestMs, sentAt, hasLook }, look);
    this.#setAlarm();
  }

  /** Ids that others have declared dead, or removed: what was claimed under them is lost. */
  #noticeDead(ids: readonly string[], alive: ReadonlySet<string>): void {
    const { identity, reporter } = this.#context;
    for (const id of this.#registered) if (!alive.has(id)) this.#registered.delete(id);
    // One that the worker has given up meanwhile need not be registered any more.
    const dead = new Set(identity.all.filter((id) => ids.includes(id) && !alive.has(id)));
    if (dead.size === 0) return;
    const reason = new HowdahError(
      "HOWDAH_ABORTED_LOST",
      `Worker ${[...dead].join(", ")} was declared dead, and its jobs were given to others. It goes on under another id.`,
    );
    this.#parts.watcher.lose(dead, { queuedOnly: false }, reason);
    identity.forget(dead);
    reporter.failure("keep its registration", reason);
  }

  #loseContact(): void {
    const silentMs = this.#context.clock.monotonic() - this.#state.contactAt;
    const reason = new HowdahError(
      "HOWDAH_ABORTED_LOST",
      `No heartbeat has reached the database for ${Math.round(silentMs)} ms; others may take over the job's queue.`,
    );
    this.#parts.watcher.lose("all", { queuedOnly: true }, reason);
  }

  #setAlarm(): void {
    const { clock } = this.#context;
    const limits = this.#parts.settings;
    this.#alarm?.cancel();
    if (this.#stopping.signal.aborted) return;
    const ring = (): void => {
      this.#handle({ type: "alarmRang", now: clock.monotonic(), limits });
      this.#setAlarm();
    };
    this.#alarm = clock.setTimer(alarmInMs(this.#state, clock.monotonic(), limits), ring, true);
  }

  get #beatRestMs(): number {
    const { heartbeatIntervalMs } = this.#parts.settings;
    return this.#parts.sessionLock.isMissing ? Math.min(URGENT_MS, heartbeatIntervalMs) : heartbeatIntervalMs;
  }

  /** Something has happened outside of a round: the loop looks what is due now. */
  #handle(event: LivenessEvent): void {
    this.#step(event);
    this.#loop?.wake();
  }

  #step(event: LivenessEvent, look?: LookAnswer): readonly LivenessEffect[] {
    const [state, effects] = livenessStep(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect, look);
    return effects;
  }

  /** All but heartbeats, which the round sends. */
  #carryOut(effect: LivenessEffect, look: LookAnswer | undefined): void {
    switch (effect) {
      case "beat":
      case "beatAndLook":
        return;
      case "sweep":
        return this.#sweep();
      case "sweepAnew":
        this.#parts.sweeper.forget();
        return this.#sweep();
      case "sweepWithLook":
        return this.#sweep(look);
      case "loseContact":
        return this.#loseContact();
      default:
        return effect satisfies never;
    }
  }

  /** The machine begins no sweep before the last one has ended. */
  #sweep(look?: LookAnswer): void {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    this.#sweeping = this.#parts.sweeper.sweep(signal, look).then(
      (lookInMs) => this.#swept(lookInMs),
      (error: unknown) => this.#sweepFailed(error),
    );
  }

  #swept(lookInMs: number): void {
    this.#failedSweeps = 0;
    this.#handle({ type: "sweepDone", now: this.#context.clock.monotonic(), restMs: lookInMs });
  }

  #sweepFailed(error: unknown): void {
    // What a sweep throws because it is being stopped is not a failure.
    if (this.#stopping.signal.aborted) return;
    const { clock, reporter } = this.#context;
    const { sweepIntervalMs } = this.#parts.settings;
    this.#failedSweeps += 1;
    const inMs = backoffMs({ firstMs: sweepIntervalMs, maxMs: 4 * sweepIntervalMs }, this.#failedSweeps);
    this.#handle({ type: "sweepFailed", now: clock.monotonic(), restMs: inMs });
    if (this.#failedSweeps === 1) reporter.failure("look whether others live", error);
  }
}

type LivenessLoopContext = Pick<WorkerContext, "clock" | "identity" | "reporter">;

/** What the loop sends heartbeats with, and what depends on them. */
export interface LivenessLoopParts {
  readonly settings: RecoverySettings;
  /** The process that the worker runs in, as it is stored. */
  readonly process: string;
  readonly reports: SelfReports;
  readonly contact: Pick<Contact, "reach">;
  readonly sessionLock: Pick<SessionLockKeeper, "shownLock" | "isMissing">;
  readonly sweeper: Pick<Sweeper, "sweep" | "forget" | "isAtEase">;
  readonly watcher: LivenessWatcher;
}

/** Says what a worker does, for operators. Implemented by the worker. */
export interface SelfReports {
  /** What it does under one of its ids, as JSON, see `worker-report.ts`. */
  of(workerId: string): string;
}

/** Runs jobs, and wants to know what its claims are worth. Implemented by the engine. */
export interface LivenessWatcher {
  /** What was claimed under these ids may belong to another worker by now; with `queuedOnly`, what locks a queue or lanes. */
  lose(workerIds: ReadonlySet<string> | "all", which: { readonly queuedOnly: boolean }, reason: HowdahError): void;
  /** A heartbeat was answered: what waits in memory may start. */
  heartbeatAnswered(): void;
}

/** The answer to a heartbeat. */
interface Answer {
  /** The ids that are registered and were not declared dead. */
  readonly alive: ReadonlySet<string>;
  readonly look?: LookAnswer;
}
