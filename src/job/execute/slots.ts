import { HowdahError, isHowdahError } from "../../errors.ts";
import type { Timer } from "../../runtime/clock.ts";
import { OwnContext } from "../../runtime/own-context.ts";
import type { Chain, Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import type { RegisteredTask } from "../task-registry.ts";
import { toAborted } from "./execute-job.ts";
import { Execution } from "./execution.ts";
import { keyOf, ParkedChains, type RunKey } from "./parked-chains.ts";
import { runJob } from "./run-job.ts";
import type { SlotsOptions } from "./slots-options.ts";

/** One slot at work. */
interface Run {
  readonly key: RunKey;
  readonly chain: Chain;
  readonly execution: Execution;
  readonly registered: RegisteredTask;
  readonly startedAt: number;
  timer: Timer | undefined;
  /** The slot no longer waits for the handler. */
  abandoned: boolean;
  lost: boolean;
}

const RETURNED: Outcome = { kind: "returned" };

/**
 * The places in which a worker runs handlers. A slot takes a chain and runs
 * its jobs one after another. A handler that ignores its signal loses its slot,
 * but not its queue: that is free only when the handler has settled, and until
 * then no other job of that queue starts here, whoever has locked it meanwhile.
 */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #runs = new Map<RunKey, Run>();
  readonly #leftBehind = new Set<Run>();
  /** That of `run()`, in which the slots are made: each job begins there. */
  readonly #context = new OwnContext();
  readonly #parked = new ParkedChains((key) => this.#isHeld(key));
  #filling = false;
  #paused = true;

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
    return this.#leftBehind.size;
  }

  /** Whether a job at work may be gone from its row already: its handler has completed it, or is about to. */
  isUndecided(job: ClaimedJob): boolean {
    return this.#runOf(job)?.execution.undecided !== undefined;
  }

  /** Begins to take chains. */
  resume(): void {
    this.#paused = false;
    this.fill();
  }

  /** Takes no further chain, and ends those at work with the job that runs. Returns the jobs that were not started. */
  pause(): readonly Removal[] {
    this.#paused = true;
    return this.remove(() => true);
  }

  /** Takes the jobs that match out of the chains at work, as far as they have not been started. */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const removals = this.#parked.remove(matches);
    for (const { chain } of this.#runs.values()) {
      const jobs = chain.waiting > 0 ? chain.remove(matches) : [];
      if (jobs.length > 0) removals.push({ jobs, endsChain: false });
    }
    return removals;
  }

  /**
   * Tells the handler of a job to stop if it is at work, because the job may
   * belong to somebody else by now. Its outcome is still offered, in case it
   * does not. What is left of its chain goes back.
   */
  lose(job: ClaimedJob, reason: HowdahError): void {
    const run = this.#runOf(job);
    if (run) this.#lose(run, reason);
  }

  /**
   * Tells the handler of a job that was cancelled to stop if it is at work. One
   * that returns all the same has done its job; one that ignores it loses its
   * slot.
   */
  cancel(job: ClaimedJob, reason: string): void {
    const run = this.#runOf(job);
    if (!run || run.execution.abortedWith) return;
    run.execution.abort(new HowdahError("HOWDAH_ABORTED_CANCELLED", reason));
    this.#abandonLater(run);
  }

  /** Gives every free slot a chain, as far as there are any. */
  fill(): void {
    // A handler that ends at once comes back here: the loop below goes on anyway.
    if (this.#filling) return;
    this.#filling = true;
    const { clock, startUntil, accepts } = this.#options;
    while (!this.#paused && this.free > 0) {
      const now = clock.monotonic();
      if (now > startUntil()) break;
      const chain = this.#parked.take(accepts, now) ?? this.#options.take(now);
      if (!chain) break;
      if (!this.#parks(chain)) this.#startNext(chain, now);
    }
    this.#filling = false;
  }

  /** Tells all running handlers to stop. */
  abort(reason: HowdahError): void {
    for (const { execution } of this.#runs.values()) execution.abort(reason);
  }

  /** Ends all attempts whose handlers still run, without waiting for them. Returns how many. */
  abandon(): number {
    const left = [...this.#runs.values()];
    for (const run of left) this.#abandon(run);
    return left.length;
  }

  #runOf(job: ClaimedJob): Run | undefined {
    const run = this.#runs.get(job.queueId ?? job.id);
    return run?.execution.job === job ? run : undefined;
  }

  /** Starts the next job of a chain, if there is one. */
  #startNext(chain: Chain, startedAt: number): boolean {
    const job = chain.next();
    if (!job) return false;
    const { tasks, surroundings, held } = this.#options;
    const registered = tasks.get(job.task);
    const execution = new Execution(job, surroundings);
    const key = chain.queueId ?? job.id;
    const run: Run = { key, chain, execution, registered, startedAt, timer: undefined, abandoned: false, lost: false };
    this.#runs.set(key, run);
    held.started(job, startedAt);
    const timeoutMs = job.timeoutMs ?? registered.timeoutMs;
    if (timeoutMs !== undefined) this.#startTimeout(run, timeoutMs);
    const ended = this.#context.run(runJob, registered, execution, this.#options);
    void ended.then((outcome) => this.#settled(run, outcome));
    return true;
  }

  #settled(run: Run, outcome: Outcome): void {
    if (run.abandoned) {
      this.#leftBehind.delete(run);
      this.#options.held.settled(run.execution.job, this.#options.clock.monotonic());
      this.#options.settledLate(run.execution.job);
      this.#unpark(run.key);
      return this.#vacated();
    }
    const { abortedWith } = run.execution;
    if (abortedWith && isHowdahError(abortedWith, "HOWDAH_ABORTED_LOST")) this.#lose(run, abortedWith);
    const { chain } = run;
    const now = chain.waiting > 0 ? this.#options.clock.monotonic() : 0;
    // Not worth a question that the slot would wait for: what goes back comes again with the next claim.
    if (now > this.#options.startUntil() || now > chain.freshUntil) this.#cut(run);
    this.#end(run, outcome, chain.waiting === 0);
    if (!this.#startNext(chain, now)) this.#vacated();
  }

  #end(run: Run, outcome: Outcome, endsChain: boolean): void {
    run.timer?.cancel();
    this.#runs.delete(run.key);
    const { job } = run.execution;
    const { clock, held } = this.#options;
    const now = clock.monotonic();
    if (run.abandoned) held.detached(job, now);
    else held.ended(job, now);
    this.#options.ended({ job, outcome, durationMs: now - run.startedAt, endsChain, lost: run.lost });
    this.#unpark(run.key);
  }

  #vacated(): void {
    this.fill();
    if (this.#runs.size === 0) this.#options.idle();
  }

  #startTimeout(run: Run, timeoutMs: number): void {
    const { clock } = this.#options;
    run.timer = clock.setTimer(timeoutMs, () => {
      const { id, task } = run.execution.job;
      const message = `Job ${id} of task ${task} ran longer than its timeout of ${timeoutMs} ms.`;
      run.execution.abort(new HowdahError("HOWDAH_ABORTED_TIMEOUT", message));
      this.#abandonLater(run);
    });
  }

  /** Gives the slot to others when the handler has not stopped in time. */
  #abandonLater(run: Run): void {
    const { clock, abortPeriodMs } = this.#options;
    run.timer?.cancel();
    run.timer = clock.setTimer(abortPeriodMs, () => {
      const { job, abortedWith } = run.execution;
      this.#options.leftBehind(job, abortedWith, clock.monotonic() - run.startedAt);
      this.#abandon(run);
      this.#vacated();
    });
  }

  /** Ends the attempt without its handler. The rest of its chain goes back; the queue stays locked. */
  #abandon(run: Run): void {
    run.abandoned = true;
    this.#leftBehind.add(run);
    const { execution, registered } = run;
    this.#end(run, toAborted(execution, registered, this.#options.interruptedRetryMs), false);
    this.#cut(run);
  }

  /** The rest of its chain goes back. */
  #cut({ chain, lost }: Run): void {
    for (const job of chain.cut()) this.#giveBack(job, lost);
  }

  /** A job that was not started goes back; its queue stays locked. */
  #giveBack(job: ClaimedJob, lost: boolean): void {
    this.#options.held.ended(job, this.#options.clock.monotonic());
    this.#options.ended({ job, outcome: RETURNED, durationMs: 0, endsChain: false, lost });
  }

  /** Sets a chain aside while a handler of its queue runs here, or one of the very same job. */
  #parks(chain: Chain): boolean {
    const key = keyOf(chain);
    const earlier = this.#runs.get(key);
    // It was claimed again, so the earlier claim no longer counts.
    if (earlier) this.#lose(earlier, claimedAgain(earlier.execution.job));
    else if (this.#leftBehind.size === 0 || !this.#isHeld(key)) return false;
    for (const job of this.#parked.add(key, chain)) this.#giveBack(job, true);
    return true;
  }

  /** Whether a handler runs here that a chain with this key has to wait for. */
  #isHeld(key: RunKey): boolean {
    if (this.#runs.has(key)) return true;
    // A job without a queue was released when its handler lost its slot, and may be tried again.
    return typeof key === "number" && [...this.#leftBehind].some((run) => run.key === key);
  }

  /** Ends a chain that waited for this handler when its jobs have gone back meanwhile. */
  #unpark(key: RunKey): void {
    const last = this.#parked.settle(key);
    if (last) this.#options.settledLate(last);
  }

  #lose(run: Run, reason: HowdahError): void {
    if (run.lost) return;
    run.lost = true;
    this.#options.lost(run.execution.job, reason);
    this.#cut(run);
    // Whoever told it to stop before sees to its slot, too.
    if (run.execution.abortedWith) return;
    run.execution.abort(reason);
    this.#abandonLater(run);
  }
}

function claimedAgain({ id, task }: ClaimedJob): HowdahError {
  const message = `Job ${id} of task ${task}, or its queue, was unlocked while it ran, and this worker has claimed it again.`;
  return new HowdahError("HOWDAH_ABORTED_LOST", message);
}
