/** The claims of one worker id that end together. */
export interface ReleaseRequest {
  readonly workerId: string;
  /** All claim times of these jobs, in microseconds. */
  readonly claimTimes: readonly string[];
  /** Deleted, unless they have come to be awaited. */
  readonly completed: readonly string[];
  /** Completed jobs that become history: at least one. Default: none. */
  readonly kept?: readonly KeptJob[];
  readonly changed: readonly JobChange[];
  readonly chainEnds: readonly ChainEnd[];
  /** Queues with rules of which no job is to start for a while. Default: none. */
  readonly parks?: readonly QueuePark[];
  /** Waits 100 ms for rows that another transaction has locked and then rejects with 55P03; otherwise they come back as `busy`. */
  readonly patient: boolean;
  /** It has failed before: nothing else may depend on the statement. Default `false`. */
  readonly isApart?: boolean;
}

/** A completed job that is kept if its task keeps it, or if it is awaited. */
export interface KeptJob {
  readonly id: string;
  /** What its handler returned, as JSON; `null` for nothing. */
  readonly result: string | null;
  /** Why the result is missing. */
  readonly error: string | null;
  /** When its handler was called, in microseconds. */
  readonly startedAt: string | null;
}

/** A failed attempt, but for its message and its worker. */
export interface EndedAttempt {
  readonly number: number;
  /** When its handler was called, in microseconds. */
  readonly startedAt: string | null;
  readonly stack: string | null;
}

/** How a job that stays changes when its claim ends. */
export interface JobChange {
  readonly id: string;
  /** Gives the attempt back, unless the job was removed or replaced while it ran. */
  readonly refund: boolean;
  /** Uses up all attempts. */
  readonly final: boolean;
  /** The handler was called and did not get to the end: counts as a recovery, and a marked job gets no refund. */
  readonly interrupted?: boolean;
  /** From now to the new `run_at`; `null` keeps it. */
  readonly delayMs: number | null;
  /** The new `last_error`; `null` keeps it. */
  readonly message: string | null;
  /** The new payload as JSON; `null` keeps it. */
  readonly payload: string | null;
  /** The attempt that has failed; stored with the message. Default: none has. */
  readonly attempt?: EndedAttempt;
  /** The transaction in which its handler has completed it: nothing changes if that has committed. */
  readonly within?: string | undefined;
}

/**
 * A queue, or a lane of a queue or pool, whose chain ends. It is unlocked only when
 * the chain's last open job is no longer held.
 */
export interface ChainEnd {
  /** The queue; for a lane of a pool minus the id of the pool. */
  readonly queueId: number;
  /** The lane that ends; `null` for the lock of the queue itself. Default `null`. */
  readonly lane?: number | null;
  readonly lastJobId: string;
  readonly claimedAt: string;
}

/** Until when no job of a queue starts; an earlier end of a park never shortens a later one. */
export interface QueuePark {
  readonly queueId: number;
  /** In microseconds. */
  readonly until: string;
}
