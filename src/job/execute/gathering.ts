import type { Timer } from "../../runtime/clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { GatherTask } from "../task.ts";
import type { Execution, SharedCall } from "./execution.ts";
import { GatherCall, type GatherParts, Member } from "./gather-call.ts";

/**
 * One call of a handler that gathers jobs, and the jobs of it. Each of them has an
 * execution and an outcome of its own; together they take one slot.
 *
 *   phase       jobs                            leaves when
 *   collecting  are seated by the slots, and    it is full, its time is over, or no
 *               join when their interceptors    slot is free              -> closed
 *               and schemas have answered
 *   closed      none are seated any more        all that are seated have joined,
 *                                               or ended without that     -> called
 *   called      end one by one, at the latest   never
 *               with the handler
 *
 * A job that has to stop before the call leaves it, and ends as any that is told to
 * stop. Later it is only told; the others go on.
 */
export class Gathering implements SharedCall {
  readonly #task: GatherTask;
  readonly #parts: GatherParts;
  /** Those that are seated and have not joined. */
  readonly #awaited = new Set<ClaimedJob>();
  /** The slots of the jobs that have not ended before the call. */
  readonly #seats = new Map<ClaimedJob, GatherSeat>();
  readonly #members = new Map<ClaimedJob, Member>();
  #phase: "collecting" | "closed" | "called" = "collecting";
  #timer: Timer | undefined;
  /** How many slots of jobs there are; kept by the slots. */
  slots = 0;
  #seated = 0;

  constructor(task: GatherTask, parts: GatherParts) {
    this.#task = task;
    this.#parts = parts;
  }

  /** Whether it has room for another job. */
  get isOpen(): boolean {
    return this.#phase === "collecting" && this.#seated < this.#task.gather.size;
  }

  /** A slot is about to start this job. */
  seat(job: ClaimedJob, slot: GatherSeat): void {
    this.#seated += 1;
    this.#awaited.add(job);
    this.#seats.set(job, slot);
  }

  /** Closes after this time, unless it is closed before. */
  closeAfter(ms: number): void {
    this.#timer = this.#parts.context.clock.setTimer(ms, () => this.close());
  }

  /** No further jobs come. */
  close(): void {
    this.#timer?.cancel();
    if (this.#phase !== "collecting") return;
    this.#phase = "closed";
    // The others wait for these: their schemas and interceptors have the time of their jobs.
    for (const job of this.#awaited) this.#seats.get(job)?.beginTime();
    this.#callWhenComplete();
  }

  /** A job has ended, perhaps without having joined. */
  left(job: ClaimedJob): void {
    this.#seats.delete(job);
    if (this.#awaited.delete(job)) this.#callWhenComplete();
  }

  /** Gives what the handler says of this job, as a handler of it alone would. */
  join(execution: Execution, payload: unknown): Promise<unknown> {
    const member = new Member(execution, payload);
    if (execution.abortedWith) this.#aborted(member);
    else {
      this.#members.set(execution.job, member);
      this.#awaited.delete(execution.job);
      this.#seats.get(execution.job)?.stopTime();
      execution.signal.addEventListener("abort", () => this.#aborted(member), { once: true });
      this.#callWhenComplete();
    }
    return member.said;
  }

  #aborted(member: Member): void {
    if (this.#phase === "called") return;
    this.#members.delete(member.job);
    member.fail(member.execution.abortedWith);
    this.#seats.delete(member.job);
    this.#awaited.delete(member.job);
    this.#callWhenComplete();
  }

  #callWhenComplete(): void {
    if (this.#phase !== "closed" || this.#awaited.size > 0) return;
    this.#phase = "called";
    // In the order of their seats: a schema may have taken longer for one than for those behind it.
    const members = [...this.#seats.keys()].flatMap((job) => this.#members.get(job) ?? []);
    if (members.length === 0) return;
    for (const { job } of members) this.#seats.get(job)?.beginTime();
    const call = new GatherCall(members, this.#parts);
    // Jobs of several contexts are done in none of them.
    void this.#parts.origin.run((task: GatherTask) => call.run(task), this.#task);
  }
}

/** The slot of a job that is gathered. */
export interface GatherSeat {
  /** The time of the job begins, or begins anew: it is about to be done, or others wait for it. */
  beginTime(): void;
  /** It waits for others. */
  stopTime(): void;
}
