import { Batcher, type ItemDelays } from "../../runtime/batcher.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Ending } from "../outcome.ts";
import type { WorkerContext } from "../worker-context.ts";
import { toChainEnds } from "./part.ts";
import { ReleaseWriter, type ReleaseWriterParts } from "./release-writer.ts";

/**
 * The only way out of a claim. Writes endings in batches that grow with the
 * load: those of queues in one stream, in order, because job 1 must not run
 * again after job 2 was durably done; the others in a second stream.
 *
 *   an ending is   means                             leaves when
 *   waiting        in its stream, not sent yet       the statement before it is
 *                                                    answered                     -> being written
 *   being written  in a statement under way          the answer says what became
 *                                                    of it: `fate.ts`             -> written, refused,
 *                                                                                    unknown, set aside
 *                                                                                    or stuck
 *                                                    that is refused              -> being written, in
 *                                                                                    a smaller part: then
 *                                                                                    quarantined
 *                                                    its answer is lost           -> in doubt
 *   in doubt       may have been carried out         it is repeated, and the row
 *                                                    is asked: `fate.ts`          -> as being written
 *   set aside      its row is locked by another      50 ms have passed            -> being written
 *                  transaction
 *   quarantined    was not written: it or others     its turn comes, one
 *                  of its part are at fault          statement a second           -> written, or stuck
 *   stuck          alone at fault                    its turn comes               -> written
 *                                                    there are too many of them   -> given up
 *
 * Written, refused, unknown and given up are the ends, and each is reported once. When
 * the worker abandons its releases, all that is left is given up.
 */
export class Releaser {
  readonly #writer: ReleaseWriter;
  readonly #queued: Batcher<Ending>;
  readonly #rest: Batcher<Ending>;

  constructor(context: ReleaserContext, parts: ReleaseWriterParts) {
    const { clock, settings } = context;
    const writer = new ReleaseWriter(context, parts);
    const limits = { maxItems: MAX_BATCH, delays: OutcomeDelays.of(settings) };
    this.#writer = writer;
    this.#queued = new Batcher(clock, writer, limits);
    this.#rest = new Batcher(clock, writer, limits);
  }

  /** How many endings are not written yet. */
  get size(): number {
    return this.#queued.size + this.#rest.size + this.#writer.size;
  }

  /** How many of them cannot be written, although others can. */
  get stuck(): number {
    return this.#writer.stuck;
  }

  /** Ends a claim. The listener hears what becomes of it. */
  add(ending: Ending): void {
    const stream = ending.job.queueId === null ? this.#rest : this.#queued;
    stream.add(ending);
  }

  /** Unlocks the queue, or the lanes, of a job that was released while its handler still ran. */
  endChain(job: ClaimedJob): void {
    if (!job.locksMore) return;
    // The stream first: the queue is unlocked only when the job is no longer held.
    this.#writer.endChains(job.lockedBy, toChainEnds(job), this.#queued.flush());
  }

  /** Resolves when everything added so far is written, was given up, or is known to be stuck. Never rejects. */
  async flush(): Promise<void> {
    await Promise.all([this.#queued.flush(), this.#rest.flush()]);
    await this.#writer.settled();
  }

  /** Stops trying again. What is not written is left to recovery; returns how many endings that are. */
  abandon(): number {
    this.#writer.abandon();
    return this.size;
  }
}

type ReleaserContext = Pick<WorkerContext, "clock"> & { readonly settings: DelaySettings };

type DelaySettings = Pick<WorkerContext["settings"], "completeJobBatchDelayMs" | "failJobBatchDelayMs">;

/** How long endings are collected on top of natural batching. */
class OutcomeDelays implements ItemDelays<Ending> {
  readonly #settings: DelaySettings;

  constructor(settings: DelaySettings) {
    this.#settings = settings;
  }

  /** `undefined` when there are none, as by default. */
  static of(settings: DelaySettings): OutcomeDelays | undefined {
    const { completeJobBatchDelayMs, failJobBatchDelayMs } = settings;
    return completeJobBatchDelayMs > 0 || failJobBatchDelayMs > 0 ? new OutcomeDelays(settings) : undefined;
  }

  delayMsOf({ outcome: { kind } }: Ending): number {
    if (kind === "completed") return this.#settings.completeJobBatchDelayMs;
    return kind === "failed" ? this.#settings.failJobBatchDelayMs : 0;
  }
}

/** The most claims that end with one statement. */
const MAX_BATCH = 2_000;
