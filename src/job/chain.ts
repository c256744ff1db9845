import type { ClaimedJob } from "./claimed-job.ts";

/**
 * What a slot takes: one job without a queue, or jobs of one queue that were
 * claimed together and run one after another, or in one call, while the queue stays
 * locked. Of a queue with rules it is the jobs on one lane; when it has none, one job,
 * or those of one call.
 */
export class Chain {
  /** `null` for a job without a queue. */
  readonly queueId: number | null;
  /** Its queue has rules. */
  readonly isRuled: boolean;
  /** More is locked for it than the rows of its jobs: its queue, or lanes. */
  readonly locksMore: boolean;
  /** How many of its jobs were started and have not settled: more than one while they are done in the same call. Kept by their slots. */
  open = 0;
  readonly #jobs: ClaimedJob[];
  #started: number;

  /** @param jobs - at least one, in the order in which they run */
  constructor(queueId: number | null, jobs: ClaimedJob[]) {
    this.queueId = queueId;
    this.isRuled = queueId !== null && jobs[0]?.lane != null;
    this.locksMore = queueId !== null && (!this.isRuled || jobs[0]?.locksMore === true);
    this.#jobs = jobs;
    this.#started = 0;
  }

  /** How many of its jobs have not been started. */
  get waiting(): number {
    return this.#jobs.length - this.#started;
  }

  /** The jobs that have not been started, in order. */
  get rest(): readonly ClaimedJob[] {
    return this.#jobs.slice(this.#started);
  }

  /** How long the payloads are, as JSON in characters, of the jobs that have not been started. */
  get waitingLength(): number {
    let length = 0;
    for (let index = this.#started; index < this.#jobs.length; index++) length += this.#jobs[index]?.payloadLength ?? 0;
    return length;
  }

  /** The next job to run; `undefined` when none is left. */
  next(): ClaimedJob | undefined {
    const job = this.#jobs[this.#started];
    if (job) this.#started += 1;
    return job;
  }

  /** The job that runs next; `undefined` when none is left. */
  get first(): ClaimedJob | undefined {
    return this.#jobs[this.#started];
  }

  /** Until when its next job may be started without asking the database again; see {@link ClaimedJob.freshUntil}. */
  get freshUntil(): number {
    return this.first?.freshUntil ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the jobs that have not been started out of the chain. */
  cut(): ClaimedJob[] {
    return this.#jobs.splice(this.#started);
  }

  /** Takes out those that match of the jobs that have not been started. */
  remove(matches: (job: ClaimedJob) => boolean): ClaimedJob[] {
    const removed: ClaimedJob[] = [];
    for (const job of this.cut()) {
      if (matches(job)) removed.push(job);
      else this.#jobs.push(job);
    }
    return removed;
  }
}

/** Whether a chain may start at a time of the monotonic clock, which the caller has read for its other chains too. */
export type Acceptance = (chain: Chain, now: number) => boolean;

/** Jobs of one chain that leave it before they are started. */
export interface Removal {
  readonly jobs: readonly ClaimedJob[];
  /** Nothing is left of the chain, and none of its jobs runs. */
  readonly endsChain: boolean;
}

/**
 * Takes the jobs that match out of chains that no slot has started. Returns the
 * chains that still have jobs, and what was taken out of each.
 */
export function removeJobs(
  chains: readonly Chain[],
  matches: (job: ClaimedJob) => boolean,
): { readonly left: Chain[]; readonly removals: readonly Removal[] } {
  const left: Chain[] = [];
  const removals: Removal[] = [];
  for (const chain of chains) {
    const jobs = chain.remove(matches);
    if (chain.waiting > 0) left.push(chain);
    if (jobs.length > 0) removals.push({ jobs, endsChain: chain.waiting === 0 });
  }
  return { left, removals };
}

/** Puts the jobs of one queue, or of one lane, together, at the place of the first of them. The jobs come in the order of claims. */
export function toChains(jobs: readonly ClaimedJob[]): Chain[] {
  const chains: Chain[] = [];
  const byPlace = new Map<number | string, ClaimedJob[]>();
  for (const job of jobs) {
    const place = job.queueId === null ? undefined : placeOf(job, job.queueId);
    const members = place === undefined ? undefined : byPlace.get(place);
    if (members) {
      members.push(job);
      continue;
    }
    const started = [job];
    if (place !== undefined) byPlace.set(place, started);
    chains.push(new Chain(job.queueId, started));
  }
  return chains;
}

/** Where a job of a queue runs one after another, or in one call, with those of the same claim; `undefined` when it runs by itself. */
function placeOf({ lane, start }: ClaimedJob, queueId: number): number | string | undefined {
  if (lane === null) return queueId;
  if (lane > 0) return `${queueId}:${lane}`;
  return start === undefined ? undefined : `${queueId} ${start}`;
}

declare const isKey: unique symbol;

/**
 * A queue, a lane, or a job that has neither, or those of one start of a queue without
 * lanes: of two chains with the same key only one runs at a time. It is made by {@link keyOf} and compared, never read.
 */
export type RunKey = (number | string) & { readonly [isKey]: true };

/** The key of the chain that a job belongs to. */
export function keyOf(job: ClaimedJob): RunKey {
  // Ids of queues are numbers and those of jobs are texts of digits alone: none of one kind equals one of another.
  return (job.queueId === null ? job.id : (laneKeyOf(job) ?? job.queueId)) as RunKey;
}

/** `undefined` when its queue has no rules. */
function laneKeyOf(job: ClaimedJob): string | undefined {
  if (job.lane === null) return undefined;
  const [first] = job.lanes;
  if (first) return `${first.ownerId}:${first.lane}`;
  return job.start === undefined ? job.id : `${job.queueId} ${job.claimedAt} ${job.start}`;
}
