import type { InterruptionReason } from "../hooks/events.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import type { Keep } from "./keep-options.ts";

/** How one attempt at a job ended. Every claim ends in exactly one of these, which release then writes down. */
export type Outcome = Completed | Undecided | Retried | FailedForGood | Snoozed | Cancelled | Interrupted | Returned;

/** The handler did it; the row goes. */
export interface Completed {
  readonly kind: "completed";
  /** What the handler returned, if that is no directive; made to JSON only when it is stored. */
  readonly result?: unknown;
  /** Why the result is not stored, in its place. */
  readonly resultError?: string;
  /** The handler threw after it had completed the job in a transaction of its own; made by `errorMessage`. */
  readonly thrownAfterwards?: string;
}

/**
 * The handler completed the job in a transaction of its own. Only the row
 * knows whether that has committed: if it has, the job is completed.
 */
export interface Undecided {
  readonly kind: "undecided";
  /** What is written when the transaction was rolled back. */
  readonly otherwise: Retried | FailedForGood | Snoozed | Cancelled | Interrupted;
  /** The id of that transaction; `undefined` while the handler's call is not answered, which it has not waited for. */
  readonly within: () => string | undefined;
}

/** The attempt failed, and there will be another one. */
export interface Retried {
  readonly kind: "failed";
  readonly final: false;
  readonly error: unknown;
  /** Made by `errorMessage`; becomes `last_error`. */
  readonly message: string;
  /** Takes the place of the payload, as JSON: what is left of a batch. */
  readonly payload?: string;
  /** From now, or from when the job was due if that is later. */
  readonly delayMs: number;
}

/** The attempt failed, and it was the last one; the row stays. */
export interface FailedForGood {
  readonly kind: "failed";
  readonly final: true;
  readonly error: unknown;
  /** Made by `errorMessage`; becomes `last_error`. */
  readonly message: string;
  /** Takes the place of the payload, as JSON: what is left of a batch. */
  readonly payload?: string;
}

/** The handler asked to be called again later; the attempt is refunded. */
export interface Snoozed {
  readonly kind: "snoozed";
  readonly delayMs: number;
  /** The other jobs of its queue wait for as long, if that has rules. Default `false`. */
  readonly parksQueue?: boolean;
}

/** The handler said that the job must not be done; the row stays as failed, with the reason as its error. */
export interface Cancelled {
  readonly kind: "cancelled";
  readonly reason: string;
}

/** The job was taken from its handler, which is not the job's fault; the attempt is refunded, unless the row is marked. */
export interface Interrupted {
  readonly kind: "interrupted";
  readonly reason: InterruptionReason;
  readonly delayMs: number;
}

/** No handler was called; the claim is undone as if it had never been. */
export interface Returned {
  readonly kind: "returned";
}

/** A claim that ends: the job and how its attempt went. */
export interface Ending {
  readonly job: ClaimedJob;
  readonly outcome: Outcome;
  /** How long its handler ran; 0 when it was not called. */
  readonly durationMs: number;
  /** When its handler was called, by the monotonic clock; `undefined` when it was not. */
  readonly startedAt?: number | undefined;
  /** What is kept of the jobs of its task. Default: nothing. */
  readonly keep?: Keep | undefined;
  /** With this job its chain ends, and the queue is free. */
  readonly endsChain: boolean;
  /** Others may have the job by now, or another claim of the same worker. Default `false`. */
  readonly lost?: boolean;
}
