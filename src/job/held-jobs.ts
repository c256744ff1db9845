import type { ClaimedJob } from "./claimed-job.ts";

/**
 * The jobs that one worker holds, from the answer of a claim until nothing is
 * locked by it any more. It stands for the claim, not for the row: a job that
 * is claimed again while its old handler goes on is held twice, and a job that
 * was taken away stays until its handler has ended and its release was refused.
 *
 *   phase     row      handler            leaves when
 *   cached    locked   not called         a slot starts it                  -> running
 *                                         it goes back unstarted            -> ending
 *   running   locked   runs               it ends                           -> ending
 *                                         its slot is given to others       -> detached
 *   detached  locked   goes on; its       its outcome is written            -> detached, row free
 *                      attempt has ended  it ends                           -> ending
 *             free     the same           it ends                           -> gone
 *   ending    locked   has ended, or was  its outcome is written or refused -> gone
 *                      never called
 *
 * The queue of a job is locked as well, in every phase. An outcome that cannot
 * be written stays `ending`. The part that moves a job on says so here, before others
 * are told of it; what is said of a job that is not held changes nothing.
 */
export class HeldJobs implements Iterable<HeldJob> {
  /** By claim: each gives a job an object of its own. */
  readonly #holdings = new Map<ClaimedJob, Holding>();

  /** A claim has brought these jobs. */
  claimed(jobs: readonly ClaimedJob[], now: number): void {
    for (const job of jobs) this.#holdings.set(job, { job, phase: "cached", since: now, isLocked: true });
  }

  /** A slot is about to call its handler. */
  started(job: ClaimedJob, now: number): void {
    this.#enter(job, "running", now);
  }

  /** Its attempt has ended, or it goes back unstarted: its outcome is on the way. */
  ended(job: ClaimedJob, now: number): void {
    this.#enter(job, "ending", now);
  }

  /** Its attempt has ended without its handler, which goes on. */
  detached(job: ClaimedJob, now: number): void {
    this.#enter(job, "detached", now);
  }

  /** A detached handler has ended. */
  settled(job: ClaimedJob, now: number): void {
    if (this.#holdings.get(job)?.isLocked) this.#enter(job, "ending", now);
    else this.#holdings.delete(job);
  }

  /** The claim on its row has ended: its outcome is written, or was refused. */
  released(job: ClaimedJob): void {
    const holding = this.#holdings.get(job);
    if (holding?.phase === "detached") holding.isLocked = false;
    else this.#holdings.delete(job);
  }

  /** The outcomes of all jobs are given up: what is still locked is left to recovery. */
  abandon(): void {
    for (const job of this.#holdings.keys()) this.released(job);
  }

  /** The jobs in one of these phases, in the order in which they were claimed. */
  jobs(...phases: readonly HeldPhase[]): ClaimedJob[] {
    const jobs: ClaimedJob[] = [];
    for (const { job, phase } of this.#holdings.values()) if (phases.includes(phase)) jobs.push(job);
    return jobs;
  }

  /** How many jobs are in a phase. */
  count(wanted: HeldPhase): number {
    let count = 0;
    for (const { phase } of this.#holdings.values()) if (phase === wanted) count += 1;
    return count;
  }

  /** Whether a row is locked under this id. */
  hasRows(workerId: string): boolean {
    for (const { job, isLocked } of this.#holdings.values()) if (isLocked && job.lockedBy === workerId) return true;
    return false;
  }

  /** Whether a row or a queue is locked under this id. */
  hasLocks(workerId: string): boolean {
    for (const { job, isLocked } of this.#holdings.values()) {
      if ((isLocked || job.queueId !== null) && job.lockedBy === workerId) return true;
    }
    return false;
  }

  [Symbol.iterator](): Iterator<HeldJob> {
    return this.#holdings.values();
  }

  #enter(job: ClaimedJob, phase: HeldPhase, now: number): void {
    const holding = this.#holdings.get(job);
    if (!holding) return;
    holding.phase = phase;
    holding.since = now;
  }
}

/** A job that a worker holds by one of its claims. */
export interface HeldJob {
  readonly job: ClaimedJob;
  readonly phase: HeldPhase;
  /** When the phase began, by the monotonic clock. */
  readonly since: number;
  /** Whether its row is locked by the claim. */
  readonly isLocked: boolean;
}

/** Where a held job stands; see {@link HeldJobs}. */
export type HeldPhase = "cached" | "running" | "detached" | "ending";

type Holding = { -readonly [Property in keyof HeldJob]: HeldJob[Property] };
