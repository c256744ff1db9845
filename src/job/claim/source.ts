import type { Acceptance, Chain, Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Announcement } from "./notification.ts";

/**
 * Where slots get their work from. The direct source claims what slots have
 * room for, and hardly more; the local queue claims ahead. Both keep the same promises: every
 * chain that `take` gives belongs to this worker, and is given once.
 */
export interface Source {
  /** Begins to claim. */
  start(): void;
  /**
   * The next chain, or `undefined` when none is at hand; then the slots are
   * called when there is. One that `accepts` refuses, asked with `now`, stays where it is.
   */
  take(accepts?: Acceptance, now?: number): Chain | undefined;
  /** A handler has ended, after so long. */
  handlerEnded(durationMs: number): void;
  /** There may be work. */
  pulse(announcement: Announcement): void;
  /** Announcements may have been missed: look everywhere. */
  distrust(): void;
  /**
   * Takes the jobs that match out of those at hand: claimed, and not taken.
   * They are still locked: the caller gives them back.
   */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[];
  /** True when nothing is at hand, nothing is under way, and the last look found nothing more. */
  readonly isIdle: boolean;
  /** True when it is idle, has looked at everything since `distrust`, and would claim at once if jobs were announced. */
  readonly isAtRest: boolean;
  /** Claims nothing until `resume`, whatever is announced. Only while it is at rest. */
  suspend(): void;
  /** Ends `suspend`, and looks everywhere. */
  resume(): void;
  /**
   * Stops claiming, waits for the claim under way, and gives back the chains
   * that were not taken. Afterwards `take` gives nothing more.
   */
  stop(): Promise<readonly Chain[]>;
}

/** The slots that a source gives chains to. */
export interface SourceHost {
  /** How many more jobs could start right now. */
  readonly room: number;
  /** How many jobs more than that may be claimed, for calls that do several jobs of a queue. */
  readonly further: number;
  /** Chains are at hand. */
  available(): void;
  /** A claim found nothing more. */
  drained(): void;
}

/** Ends the claims of jobs that are not started. */
export interface UnstartedJobs {
  /** Returns those of the chains that may start which a claim has brought after `tookMs`, and gives the others back. */
  keep(chains: readonly Chain[], tookMs: number): readonly Chain[];
  /** Gives jobs back. With `endsChain` the last one frees its queue. */
  giveBack(removal: Removal): void;
}
