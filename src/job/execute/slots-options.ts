import type { HowdahError } from "../../errors.ts";
import type { Chain } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { HeldJobs } from "../held-jobs.ts";
import type { Outcome } from "../outcome.ts";
import type { TaskRegistry } from "../task-registry.ts";
import type { Surroundings } from "./execution.ts";
import type { RunSettings } from "./run-job.ts";

/** What slots need, and whom they tell. */
export interface SlotsOptions extends RunSettings {
  readonly concurrency: number;
  /** Is told where each job is, before anybody else. */
  readonly held: HeldJobs;
  readonly tasks: TaskRegistry;
  readonly surroundings: Surroundings;
  /** How long a handler that was told to stop may go on before its slot is given to others. */
  readonly abortPeriodMs: number;
  /**
   * No job is started later than this, by the monotonic clock: it may have been
   * taken away. `fill` is called when that has moved on.
   */
  startUntil(): number;
  /**
   * Whether a chain that has waited here may start. If not, the database is
   * asked about it, and `fill` is called when it has answered.
   */
  accepts(chain: Chain, now: number): boolean;
  /** The next chain to run, if one is at hand, at this time of the monotonic clock. */
  take(now: number): Chain | undefined;
  /** An attempt has ended. */
  ended(attempt: EndedAttempt): void;
  /** A job may belong to somebody else by now; its handler, if it was called, was told to stop. */
  lost(job: ClaimedJob, reason: HowdahError): void;
  /** A handler that was told to stop goes on; after so long its slot is given to others. */
  leftBehind(job: ClaimedJob, reason: HowdahError | undefined, durationMs: number): void;
  /** A handler has settled whose job had ended before without it. */
  settledLate(job: ClaimedJob): void;
  /** No slot is at work: the last one became free, or a handler has settled that had lost its slot before. */
  idle(): void;
}

/** An attempt that has ended. */
export interface EndedAttempt {
  readonly job: ClaimedJob;
  readonly outcome: Outcome;
  /** How long its handler ran; 0 when it was not called. */
  readonly durationMs: number;
  /** Its queue is free. */
  readonly endsChain: boolean;
  /** The job may belong to somebody else by now, or to another claim of this worker. */
  readonly lost: boolean;
}
