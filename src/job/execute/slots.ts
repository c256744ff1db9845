import { HowdahError } from "../../errors.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Chain } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import type { RegisteredTask, TaskRegistry } from "../task-registry.ts";
import { executeJob, toAborted } from "./execute-job.ts";
import { Execution, type Surroundings } from "./execution.ts";

/** What slots need, and whom they tell. */
export interface SlotsOptions {
  readonly concurrency: number;
  readonly tasks: TaskRegistry;
  readonly clock: Clock;
  readonly surroundings: Surroundings;
  /** How long a handler that was told to stop may go on before its slot is given to others. */
  readonly abortPeriodMs: number;
  /** When a job that was interrupted runs again. */
  readonly interruptedRetryMs: number;
  /** The next chain to run, if one is at hand. */
  take(): Chain | undefined;
  /** A handler is about to be called. */
  started(job: ClaimedJob): void;
  /** An attempt has ended. With `endsChain` its queue is free. */
  ended(job: ClaimedJob, outcome: Outcome, end: { readonly durationMs: number; readonly endsChain: boolean }): void;
  /** A handler has settled whose job had ended before without it. */
  settledLate(job: ClaimedJob): void;
  /** No slot is at work: the last one became free, or a handler has settled that had lost its slot before. */
  idle(): void;
}

/** One slot at work. */
interface Run {
  readonly chain: Chain;
  readonly execution: Execution;
  readonly registered: RegisteredTask;
  readonly startedAt: number;
  timer: Timer | undefined;
  /** The slot no longer waits for the handler. */
  abandoned: boolean;
}

/**
 * The places in which a worker runs handlers. A slot takes a chain and runs
 * its jobs one after another. A handler that ignores its signal loses its slot,
 * but not its queue: that is free only when the handler has settled.
 */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #runs = new Set<Run>();
  #filling = false;
  #paused = true;
  #leftBehind = 0;

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  /** How many slots have nothing to do. */
  get free(): number {
    return this.#options.concurrency - this.#runs.size;
  }

  /** How many slots are at work. */
  get busy(): number {
    return this.#runs.size;
  }

  /** How many handlers still run although their attempts have ended. */
  get leftBehind(): number {
    return this.#leftBehind;
  }

  /** Begins to take chains. */
  resume(): void {
    this.#paused = false;
    this.fill();
  }

  /** Takes no further chain, and ends those at work with the job that runs. Returns the jobs that were not started. */
  pause(): readonly ClaimedJob[] {
    this.#paused = true;
    return [...this.#runs].flatMap(({ chain }) => chain.cut());
  }

  /** Gives every free slot a chain, as far as there are any. */
  fill(): void {
    // A handler that ends at once comes back here: the loop below goes on anyway.
    if (this.#filling) return;
    this.#filling = true;
    while (!this.#paused && this.free > 0) {
      const chain = this.#options.take();
      if (!chain) break;
      this.#startNext(chain);
    }
    this.#filling = false;
  }

  /** Tells all running handlers to stop. */
  abort(reason: HowdahError): void {
    for (const { execution } of this.#runs) execution.abort(reason);
  }

  /** Ends all attempts whose handlers still run, without waiting for them. Returns how many. */
  abandon(): number {
    const left = [...this.#runs];
    for (const run of left) this.#abandon(run);
    return left.length;
  }

  /** Starts the next job of a chain, if there is one. */
  #startNext(chain: Chain): boolean {
    const job = chain.next();
    if (!job) return false;
    const { tasks, clock, surroundings, interruptedRetryMs } = this.#options;
    const registered = tasks.get(job.task);
    const execution = new Execution(job, surroundings);
    const startedAt = clock.monotonic();
    const run: Run = { chain, execution, registered, startedAt, timer: undefined, abandoned: false };
    this.#runs.add(run);
    if (registered.timeoutMs !== undefined) this.#startTimeout(run, registered.timeoutMs);
    this.#options.started(job);
    void executeJob(registered, execution, interruptedRetryMs).then((outcome) => this.#settled(run, outcome));
    return true;
  }

  #settled(run: Run, outcome: Outcome): void {
    if (run.abandoned) {
      this.#leftBehind -= 1;
      this.#options.settledLate(run.execution.job);
      if (this.#runs.size === 0) this.#options.idle();
      return;
    }
    this.#end(run, outcome, run.chain.waiting === 0);
    if (!this.#startNext(run.chain)) this.#vacated();
  }

  #end(run: Run, outcome: Outcome, endsChain: boolean): void {
    run.timer?.cancel();
    this.#runs.delete(run);
    const durationMs = this.#options.clock.monotonic() - run.startedAt;
    this.#options.ended(run.execution.job, outcome, { durationMs, endsChain });
  }

  #vacated(): void {
    this.fill();
    if (this.#runs.size === 0) this.#options.idle();
  }

  #startTimeout(run: Run, timeoutMs: number): void {
    const { clock, abortPeriodMs } = this.#options;
    run.timer = clock.setTimer(timeoutMs, () => {
      const { id, task } = run.execution.job;
      const message = `Job ${id} of task ${task} ran longer than its timeout of ${timeoutMs} ms.`;
      run.execution.abort(new HowdahError("HOWDAH_ABORTED_TIMEOUT", message));
      run.timer = clock.setTimer(abortPeriodMs, () => {
        this.#abandon(run);
        this.#vacated();
      });
    });
  }

  /** Ends the attempt without its handler. The rest of its chain goes back; the queue stays locked. */
  #abandon(run: Run): void {
    run.abandoned = true;
    this.#leftBehind += 1;
    const { chain, execution, registered } = run;
    this.#end(run, toAborted(execution, registered, this.#options.interruptedRetryMs), false);
    for (const job of chain.cut()) this.#options.ended(job, { kind: "returned" }, { durationMs: 0, endsChain: false });
  }
}
