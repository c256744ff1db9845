import { HowdahError, isHowdahError } from "../../errors.ts";
import type { Timer } from "../../runtime/clock.ts";
import type { OwnContext } from "../../runtime/own-context.ts";
import { type Acceptance, type Chain, keyOf, type RunKey } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Ending, Outcome } from "../outcome.ts";
import type { RegisteredTask } from "../task-registry.ts";
import type { WorkerContext } from "../worker-context.ts";
import { toAborted } from "./execute-job.ts";
import { Execution, type ExecutionContext } from "./execution.ts";
import type { GatherTask } from "../task.ts";
import type { Gathering } from "./gathering.ts";
import { runJob, type RunContext } from "./run-job.ts";
import { initialSlot, type SlotEvent, stepSlot } from "./slot-machine.ts";

/**
 * A slot at work: runs the jobs of one chain one after another, and tells their
 * handlers when to stop. What follows from what happens to a handler is decided
 * in `slot-machine.ts`.
 */
export class Slot {
  readonly key: RunKey;
  readonly chain: Chain;
  readonly #parts: SlotParts;
  #execution: Execution;
  #registered: RegisteredTask;
  #state = initialSlot;
  #startedAt = 0;
  #endedAt = 0;
  #timer: Timer | undefined;

  /** The call that does its job together with others; `undefined` when it is one of its own. */
  gathering: Gathering | undefined;

  /** @param first - the job that {@link run} starts, already taken out of the chain */
  constructor(chain: Chain, first: ClaimedJob, parts: SlotParts) {
    this.key = keyOf(first);
    this.chain = chain;
    this.#parts = parts;
    this.#execution = new Execution(first, parts.context);
    this.#registered = parts.context.tasks.get(first.task);
  }

  /** Starts its job, at this time of the monotonic clock. */
  run(now: number): void {
    const execution = this.#execution;
    const { job } = execution;
    const { context, origin } = this.#parts;
    this.#startedAt = now;
    this.chain.open += 1;
    context.held.started(job);
    const timeoutMs = job.timeoutMs ?? this.#registered.timeoutMs;
    const { gathering } = this;
    if (gathering) {
      execution.gathering = gathering;
      gathering.seat(job, this);
    } else if (timeoutMs !== undefined) this.#startTimeout(timeoutMs);
    const ended = origin.run(runJob, this.#registered, execution, context);
    void ended.then((outcome) => this.#settled(outcome));
  }

  /** The time of its job begins, or begins anew, which is done together with others. */
  beginTime(): void {
    this.stopTime();
    const timeoutMs = this.#execution.job.timeoutMs ?? this.#registered.timeoutMs;
    if (timeoutMs !== undefined) this.#startTimeout(timeoutMs);
  }

  /** Its job waits for others that it is done with. */
  stopTime(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The job that it runs, and since when. */
  get work(): SlotAtWork {
    return { job: this.#execution.job, startedAt: this.#startedAt };
  }

  /** What it runs, if that is this job. */
  executionOf(job: ClaimedJob): Execution | undefined {
    return this.#execution.job === job ? this.#execution : undefined;
  }

  /** Tells the handler to stop because others may have the job by now. If it ends all the same, its outcome is offered. */
  lose(reason: HowdahError): void {
    this.#apply("lost", reason);
  }

  /** As {@link lose}: this worker has claimed the job again, or its queue. */
  loseToLaterClaim(): void {
    const { id, task } = this.#execution.job;
    const message = `Job ${id} of task ${task}, or its queue, was unlocked while it ran, and this worker has claimed it again.`;
    this.lose(new HowdahError("HOWDAH_ABORTED_LOST", message));
  }

  /** Tells the handler to stop because its job was cancelled. If it returns all the same, the job is done. */
  cancel(reason: HowdahError): void {
    this.#apply("cancelled", reason);
  }

  /** Tells the handler to stop. How long it may take for that is up to the worker. */
  shutDown(reason: HowdahError): void {
    this.#apply("shutDown", reason);
  }

  /** Ends the attempt without waiting for the handler any longer. */
  abandon(): void {
    this.#apply("abandoned");
  }

  #settled(outcome: Outcome): void {
    if (this.#state.phase !== "detached") {
      const { abortedWith } = this.#execution;
      if (abortedWith && isHowdahError(abortedWith, "HOWDAH_ABORTED_LOST")) this.#apply("foundLost", abortedWith);
      // Not worth a question that the slot would wait for: what goes back comes again with the next claim.
      if (this.chain.waiting > 0 && this.#isTooLate()) this.#returnRest();
    }
    this.#apply("settled", undefined, outcome);
  }

  #isTooLate(): boolean {
    const { context, engine } = this.#parts;
    const now = context.clock.monotonic();
    return now > engine.startUntil || now > this.chain.freshUntil;
  }

  #apply(event: SlotEvent, reason?: HowdahError, outcome?: Outcome): void {
    const [state, effects] = stepSlot(this.#state, event);
    this.#state = state;
    for (const effect of effects) {
      switch (effect) {
        // First what happens to each job.
        case "endAttempt":
          if (outcome) this.#end(outcome);
          break;
        case "next": {
          // The last one of those that were done in one call goes on.
          const next = this.chain.open === 0 ? this.chain.next() : undefined;
          if (next) this.#startNext(next);
          else this.#parts.slots.vacated();
          break;
        }
        case "tell":
          if (reason) this.#execution.abort(reason);
          break;
        case "startAbortPeriod":
          this.#startAbortPeriod();
          break;
        case "reportLost":
          if (reason) this.#parts.context.reporter.lost(this.#execution.job, reason);
          break;
        case "reportDetached":
          this.#reportDetached();
          break;
        case "returnRest":
          this.#returnRest();
          break;
        case "detach":
          this.#detach();
          break;
        case "settleLate":
          this.#settleLate();
          break;
        case "vacate":
          this.#parts.slots.vacated();
          break;
        default:
          effect satisfies never;
      }
    }
  }

  #reportDetached(): void {
    const { clock, reporter } = this.#parts.context;
    const { job, abortedWith } = this.#execution;
    reporter.leftBehind(job, abortedWith, clock.monotonic() - this.#startedAt);
  }

  #startTimeout(timeoutMs: number): void {
    this.#timer = this.#parts.context.clock.setTimer(timeoutMs, () => {
      const { id, task } = this.#execution.job;
      const message = `Job ${id} of task ${task} ran longer than its timeout of ${timeoutMs} ms.`;
      this.#apply("timedOut", new HowdahError("HOWDAH_ABORTED_TIMEOUT", message));
    });
  }

  #startAbortPeriod(): void {
    const { clock, settings } = this.#parts.context;
    this.#timer?.cancel();
    this.#timer = clock.setTimer(settings.shutdown.abortPeriodMs, () => this.#apply("periodOver"));
  }

  /** What is left of its chain goes back; its queue stays locked. */
  #returnRest(): void {
    for (const job of this.chain.cut()) returnUnstarted(job, this.#state.isLost, this.#parts);
  }

  #detach(): void {
    const { context, slots } = this.#parts;
    const { interruptedJobRetryDelayMs } = context.settings.shutdown;
    slots.detached(this);
    const outcome = toAborted(this.#execution, this.#registered, interruptedJobRetryDelayMs);
    this.#tellEnded(outcome, false);
    slots.left(this);
  }

  #end(outcome: Outcome): void {
    const { slots } = this.#parts;
    const { chain } = this;
    chain.open -= 1;
    const isLast = chain.open === 0;
    const endsChain = isLast && chain.waiting === 0;
    if (endsChain || !isLast) slots.ended(this);
    this.#tellEnded(outcome, endsChain);
    if (endsChain) slots.left(this);
    // Its end has had the rest of its chain returned.
    else if (isLast && chain.waiting === 0) slots.ended(this);
  }

  #tellEnded(outcome: Outcome, endsChain: boolean): void {
    const { context, engine } = this.#parts;
    const { job } = this.#execution;
    this.gathering?.left(job);
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = context.clock.monotonic();
    this.#endedAt = now;
    if (this.#state.phase === "detached") context.held.detached(job);
    else context.held.ended(job);
    const startedAt = this.#startedAt;
    const { keep } = this.#registered;
    engine.ended({ job, outcome, durationMs: now - startedAt, startedAt, keep, endsChain, lost: this.#state.isLost });
  }

  #startNext(job: ClaimedJob): void {
    const { context } = this.#parts;
    this.#execution = new Execution(job, context);
    this.#registered = context.tasks.get(job.task);
    this.#state = initialSlot;
    this.gathering = undefined;
    const { task } = this.#registered;
    if ("runMany" in task) this.#parts.slots.gather(this, task, this.#endedAt);
    else this.run(this.#endedAt);
  }

  #settleLate(): void {
    const { context, engine, slots } = this.#parts;
    const { job } = this.#execution;
    slots.settledLate(this);
    this.chain.open -= 1;
    context.held.settled(job);
    engine.settledLate(job, this.chain.open === 0);
    slots.left(this);
  }
}

/** What a slot does. */
export interface SlotAtWork {
  readonly job: ClaimedJob;
  /** By the monotonic clock. */
  readonly startedAt: number;
}

/** What the slots of a worker stand on. */
export type SlotContext = ExecutionContext &
  RunContext &
  Pick<WorkerContext, "tasks" | "held"> & {
    readonly reporter: Pick<WorkerContext["reporter"], "lost" | "leftBehind">;
    readonly settings: Pick<WorkerContext["settings"], "concurrency"> & {
      readonly shutdown: Pick<WorkerContext["settings"]["shutdown"], "abortPeriodMs">;
    };
  };

/** The engine that slots run in: what they ask of it, and tell it. */
export interface SlotsEngine {
  /**
   * No job is started later than this, by the monotonic clock: it may have been
   * taken away. `fill` is called when that has moved on.
   */
  readonly startUntil: number;
  /**
   * Whether a chain that has waited here may start. If not, the database is
   * asked about it, and `fill` is called when it has answered.
   */
  accepts(chain: Chain, now: number): boolean;
  /**
   * The next chain to run, if one is at hand, at this time of the monotonic clock, and
   * if it is accepted; without `accepts` as by {@link accepts}.
   */
  take(now: number, accepts?: Acceptance): Chain | undefined;
  /** An attempt has ended, or a job goes back that was not started. */
  ended(ending: Ending): void;
  /** A handler has settled whose attempt had ended before without it. With `endsChain` no other one of its chain runs. */
  settledLate(job: ClaimedJob, endsChain: boolean): void;
  /** No slot is at work: the last one became free, or a handler has settled that had lost its slot before. */
  idle(): void;
}

/** What all slots of a worker share. */
export interface SlotParts {
  readonly context: SlotContext;
  readonly engine: SlotsEngine;
  /** The asynchronous context in which each job begins. */
  readonly origin: OwnContext;
  readonly slots: SlotSet;
}

/** The slots that one belongs to. */
interface SlotSet {
  /** Starts the job of a slot that has its place, in one call with those that follow it in its chain and are of this task. */
  gather(slot: Slot, task: GatherTask, now: number): void;
  /** Its chain has ended, and its place is free; or others of its call go on there. */
  ended(slot: Slot): void;
  /** It is free although its handler goes on. */
  detached(slot: Slot): void;
  /** A handler has settled that went on without its slot. */
  settledLate(slot: Slot): void;
  /** The same as one of these three, told when the engine knows of it. */
  left(slot: Slot): void;
  /** Others may have its place now. */
  vacated(): void;
}

const RETURNED: Outcome = { kind: "returned" };

/** Returns a job that was not started; its queue stays locked. */
export function returnUnstarted(job: ClaimedJob, lost: boolean, { context, engine }: SlotParts): void {
  context.held.ended(job);
  engine.ended({ job, outcome: RETURNED, durationMs: 0, endsChain: false, lost });
}
