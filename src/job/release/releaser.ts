import { setMaxListeners } from "node:events";
import type { Release } from "../../postgres/queries/ending/release.ts";
import { createBatcher, type Batcher } from "../../runtime/batcher.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Ending } from "../outcome.ts";
import { toChainEnds } from "./ending.ts";
import { claimantOf } from "./part.ts";
import { ReleaseWriter, type ReleaseListener } from "./release-writer.ts";

/** What a releaser needs. */
export interface ReleaserOptions {
  readonly release: Release;
  readonly clock: Clock;
  readonly listener: ReleaseListener;
  /** How long completed jobs are collected on top of natural batching; 0 for not at all. */
  readonly completeDelayMs: number;
  /** The same for failed jobs. */
  readonly failDelayMs: number;
}

/** The most claims that end with one statement. */
const MAX_BATCH = 2_000;

/**
 * The only way out of a claim. Writes endings in batches that grow with the
 * load: those of queues in one lane, in order, because job 1 must not run
 * again after job 2 was durably done; the others in a second lane.
 */
export class Releaser {
  readonly #writer: ReleaseWriter;
  readonly #queued: Batcher<Ending>;
  readonly #rest: Batcher<Ending>;
  /** Work beside the lanes, on rows that somebody's transaction holds. */
  readonly #aside = new Set<Promise<void>>();
  #endingsAside = 0;
  readonly #giveUp = new AbortController();

  constructor({ release, clock, listener, completeDelayMs, failDelayMs }: ReleaserOptions) {
    const giveUp = this.#giveUp.signal;
    // All that waits aside listens to it, however much that is.
    setMaxListeners(0, giveUp);
    this.#writer = new ReleaseWriter({
      release,
      clock,
      listener,
      giveUp,
      aside: (work, count) => this.#follow(work, count),
    });
    const isDelayed = completeDelayMs > 0 || failDelayMs > 0;
    const delayMs = ({ outcome: { kind } }: Ending): number => {
      if (kind === "completed") return completeDelayMs;
      return kind === "failed" ? failDelayMs : 0;
    };
    const lane = (): Batcher<Ending> =>
      createBatcher({
        clock,
        maxItems: MAX_BATCH,
        ...(isDelayed ? { delayMs } : {}),
        write: (endings) => this.#write(endings),
        onError: (error) => listener.failed(error, true),
      });
    this.#queued = lane();
    this.#rest = lane();
  }

  /** How many endings are not written yet. */
  get size(): number {
    return this.#queued.size + this.#rest.size + this.#endingsAside + this.#writer.quarantine.size;
  }

  /** How many of them cannot be written, although others can. */
  get stuck(): number {
    return this.#writer.quarantine.stuck;
  }

  /** Ends a claim. What becomes of it is told to the listener. */
  add(ending: Ending): void {
    const lane = ending.job.queueId === null ? this.#rest : this.#queued;
    lane.add(ending);
  }

  /** Unlocks the queue of a job that was released while its handler still ran. */
  endChain(job: ClaimedJob): void {
    const { queueId, lockedBy } = job;
    if (queueId === null) return;
    // The lane first: the queue is unlocked only when the job is no longer held.
    const written = this.#queued.flush();
    this.#follow(written.then(() => this.#writer.endChains(lockedBy, toChainEnds(job, queueId))));
  }

  /** Resolves when everything added so far is written, was given up, or is known to be stuck. Never rejects. */
  async flush(): Promise<void> {
    await Promise.all([this.#queued.flush(), this.#rest.flush()]);
    do {
      await Promise.all(this.#aside);
      await this.#writer.quarantine.settled();
    } while (this.#aside.size > 0);
  }

  /** Stops trying again. What is not written is left to recovery; returns how many endings that are. */
  abandon(): number {
    this.#giveUp.abort();
    return this.size;
  }

  async #write(endings: readonly Ending[]): Promise<void> {
    for (const group of byClaimant(endings)) await this.#writer.write(group);
  }

  #follow(work: Promise<void>, count = 1): void {
    this.#endingsAside += count;
    const followed = work.finally(() => {
      this.#endingsAside -= count;
      this.#aside.delete(followed);
    });
    this.#aside.add(followed);
  }
}

/**
 * Groups by the id the jobs are locked under, which is the same for all unless
 * the worker has changed it. What is lost stands apart by its time: written
 * together with later claims it would count as theirs.
 */
function byClaimant(endings: readonly Ending[]): readonly (readonly Ending[])[] {
  const first = endings[0]?.job.lockedBy;
  if (endings.every(({ job, lost }) => job.lockedBy === first && lost !== true)) return [endings];
  const groups = new Map<string, Ending[]>();
  for (const ending of endings) {
    const claimant = claimantOf(ending);
    const group = groups.get(claimant);
    if (group) group.push(ending);
    else groups.set(claimant, [ending]);
  }
  return [...groups.values()];
}
