import type { ClaimedJob, HeldPhase, Holding } from "./claimed-job.ts";

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
 * The queue of a job, or its lanes, are locked as well, in every phase. An outcome that cannot
 * be written stays `ending`. The part that moves a job on says so here, before others
 * are told of it; what is said of a job that is not held changes nothing.
 */
export class HeldJobs implements Iterable<HeldJob> {
  // A list, from the job that was claimed first to the last one: a map would cost each job as much as a slot does.
  #first: Holding | undefined;
  #last: Holding | undefined;

  /** A claim has brought these jobs. */
  claimed(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      const last = this.#last;
      const holding: Holding = { job, phase: "cached", isLocked: true, previous: last, next: undefined };
      if (last) last.next = holding;
      else this.#first = holding;
      this.#last = holding;
      job.holding = holding;
    }
  }

  /** A slot is about to call its handler. */
  started(job: ClaimedJob): void {
    enter(job, "running");
  }

  /** Its attempt has ended, or it goes back unstarted: its outcome is on the way. */
  ended(job: ClaimedJob): void {
    enter(job, "ending");
  }

  /** Its attempt has ended without its handler, which goes on. */
  detached(job: ClaimedJob): void {
    enter(job, "detached");
  }

  /** A detached handler has ended. */
  settled(job: ClaimedJob): void {
    const { holding } = job;
    if (holding?.isLocked) enter(job, "ending");
    else if (holding) this.#remove(holding);
  }

  /** The claim on its row has ended: its outcome is written, or was refused. */
  released({ holding }: ClaimedJob): void {
    if (!holding) return;
    if (holding.phase === "detached") holding.isLocked = false;
    else this.#remove(holding);
  }

  /** The outcomes of all jobs are given up: what is still locked is left to recovery. */
  abandon(): void {
    for (let holding = this.#first; holding;) {
      const { job, next } = holding;
      this.released(job);
      holding = next;
    }
  }

  /** The jobs in one of these phases, in the order in which they were claimed. */
  jobs(...phases: readonly HeldPhase[]): ClaimedJob[] {
    const jobs: ClaimedJob[] = [];
    for (const { job, phase } of this) if (phases.includes(phase)) jobs.push(job);
    return jobs;
  }

  /** Whether it holds none. */
  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** How many jobs are in a phase. */
  count(wanted: HeldPhase): number {
    let count = 0;
    for (const { phase } of this) if (phase === wanted) count += 1;
    return count;
  }

  /** Whether a row is locked under this id. */
  hasRows(workerId: string): boolean {
    for (const { job, isLocked } of this) if (isLocked && job.lockedBy === workerId) return true;
    return false;
  }

  /** Whether a row, a queue or a lane is locked under this id. */
  hasLocks(workerId: string): boolean {
    for (const { job, isLocked } of this) {
      if ((isLocked || job.locksMore) && job.lockedBy === workerId) return true;
    }
    return false;
  }

  /** In the order in which they were claimed. No job may move on meanwhile. */
  *[Symbol.iterator](): Iterator<HeldJob> {
    for (let holding = this.#first; holding; holding = holding.next) yield holding;
  }

  #remove(holding: Holding): void {
    const { previous, next } = holding;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    holding.job.holding = undefined;
    // What is not held any more keeps nothing else in memory.
    holding.previous = undefined;
    holding.next = undefined;
  }
}

/** A job that a worker holds by one of its claims. */
export interface HeldJob {
  readonly job: ClaimedJob;
  readonly phase: HeldPhase;
  /** Whether its row is locked by the claim. */
  readonly isLocked: boolean;
}

function enter({ holding }: ClaimedJob, phase: HeldPhase): void {
  if (holding) holding.phase = phase;
}
