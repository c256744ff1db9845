import type { Acceptance, Chain, Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Announcement } from "./notification.ts";

/**
 * Where slots get their work from. The direct source claims what slots have
 * room for; the local queue claims ahead. Both keep the same promises: every
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
  /** There may be work. */
  pulse(announcement: Announcement): void;
  /** Announcements may have been missed: look everywhere. */
  distrust(): void;
  /** Takes the jobs that match out of those at hand: claimed, and not taken. They are still locked: the caller gives them back. */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[];
  /** True when nothing is at hand, nothing is under way, and the last look found nothing more. */
  readonly isIdle: boolean;
  /**
   * Stops claiming, waits for the claim under way, and gives back the chains
   * that nobody has taken. Afterwards `take` gives nothing more.
   */
  stop(): Promise<readonly Chain[]>;
}
