import type { ClaimedJob } from "./claimed-job.ts";

/**
 * What a slot takes: one job without a queue, or jobs of one queue that were
 * claimed together and run one after another while the queue stays locked.
 */
export class Chain {
  /** `null` for a job without a queue. */
  readonly queueId: number | null;
  readonly #jobs: ClaimedJob[];
  #started = 0;

  /** @param jobs - at least one, in the order in which they run */
  constructor(queueId: number | null, jobs: ClaimedJob[]) {
    this.queueId = queueId;
    this.#jobs = jobs;
  }

  /** How many of its jobs have not been started. */
  get waiting(): number {
    return this.#jobs.length - this.#started;
  }

  /** The jobs that have not been started, in order. */
  get rest(): readonly ClaimedJob[] {
    return this.#jobs.slice(this.#started);
  }

  /** The next job to run; `undefined` when none is left. */
  next(): ClaimedJob | undefined {
    const job = this.#jobs[this.#started];
    if (job) this.#started += 1;
    return job;
  }

  /** Takes the jobs that have not been started out of the chain. */
  cut(): ClaimedJob[] {
    return this.#jobs.splice(this.#started);
  }
}

/** Puts the jobs of one queue together, at the place of the first of them. The jobs come in the order of claims. */
export function toChains(jobs: readonly ClaimedJob[]): Chain[] {
  const chains: Chain[] = [];
  const byQueue = new Map<number, ClaimedJob[]>();
  for (const job of jobs) {
    const { queueId } = job;
    const members = queueId === null ? undefined : byQueue.get(queueId);
    if (members) {
      members.push(job);
      continue;
    }
    const started = [job];
    if (queueId !== null) byQueue.set(queueId, started);
    chains.push(new Chain(queueId, started));
  }
  return chains;
}
