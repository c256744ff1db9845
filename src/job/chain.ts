import type { ClaimedJob } from "./claimed-job.ts";

/**
 * What a slot takes: one job without a queue, or jobs of one queue that were
 * claimed together and run one after another while the queue stays locked.
 */
export interface Chain {
  /** `null` for a job without a queue. */
  readonly queueId: number | null;
  /** In the order in which they run; at least one. */
  readonly jobs: readonly ClaimedJob[];
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
    chains.push({ queueId, jobs: started });
  }
  return chains;
}
