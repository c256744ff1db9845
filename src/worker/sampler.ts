import { addTaskSamples, takeSample } from "../postgres/queries/samples.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";
import { TaskTally } from "../job/task-tally.ts";
import type { WorkerContext } from "../job/worker-context.ts";

/**
 * Lets the database take a sample every ten seconds, which one of all workers
 * does, and adds once a minute what the handlers of this worker did. A worker
 * asks once in ten seconds, at a random time within the first two, and not while
 * it is idle.
 */
export class Sampler {
  readonly #tally: TaskTally;
  readonly #context: SamplerContext;
  readonly #host: SamplerHost;
  readonly #unwanted = new AbortController();
  #loop: Loop | undefined;
  /** By the monotonic clock. */
  #sampleAt: number;
  #countAt: number;

  constructor(context: SamplerContext, host: SamplerHost) {
    this.#context = context;
    this.#host = host;
    this.#tally = new TaskTally(context.tasks.identifiers);
    const now = context.clock.monotonic();
    this.#sampleAt = now + context.random() * SAMPLE_MS;
    this.#countAt = now + COUNT_MS;
  }

  start(): void {
    const { clock, logger, random, reporter } = this.#context;
    reporter.countInto(this.#tally.counts);
    this.#loop = startLoop({
      name: "samples",
      clock,
      random,
      backoff: { firstMs: SAMPLE_MS, maxMs: 30 * SAMPLE_MS },
      round: () => this.#round(),
      onError(error, { failures }) {
        if (failures === 1) logger.debug("Taking a sample failed; it goes on", { error: errorMessage(error) });
      },
    });
  }

  /**
   * Ends it, when the handlers have. What was counted since is written if the
   * database answers at once, and lost otherwise; a sample under way is given up
   * after as long.
   */
  async stop(): Promise<void> {
    const { clock, reporter } = this.#context;
    const ended = new AbortController();
    void this.#end().finally(() => ended.abort());
    await clock.sleep(STOP_MS, ended.signal);
    this.#unwanted.abort();
    reporter.countInto(undefined);
  }

  async #end(): Promise<void> {
    await this.#loop?.stop();
    await this.#count(STOP_MS).catch(() => undefined);
  }

  async #round(): Promise<number> {
    const { clock, driver, random, schema } = this.#context;
    // What was counted is kept until it is active again.
    if (this.#host.isIdle) return SAMPLE_MS;
    if (clock.monotonic() >= this.#countAt) {
      this.#countAt = clock.monotonic() + COUNT_MS;
      await this.#count(TIMEOUT_MS);
    }
    if (clock.monotonic() >= this.#sampleAt) {
      const { nextMs } = await takeSample({ executor: driver, schema, lost: this.#unwanted.signal }, TIMEOUT_MS);
      this.#sampleAt = clock.monotonic() + nextMs + random() * SPREAD_MS;
    }
    return Math.max(0, Math.min(this.#sampleAt, this.#countAt) - clock.monotonic());
  }

  /** Never twice: what may have been written is not sent again. */
  async #count(timeoutMs: number): Promise<void> {
    const { driver, schema } = this.#context;
    const counts = this.#tally.take();
    if (counts.length > 0) await addTaskSamples({ executor: driver, schema }, counts, timeoutMs);
  }
}

/** The worker that samples are taken by. */
export interface SamplerHost {
  /** It sends nothing at present. */
  readonly isIdle: boolean;
}

type SamplerContext = Pick<WorkerContext, "clock" | "driver" | "logger" | "random" | "reporter" | "schema" | "tasks">;

const SAMPLE_MS = 10_000;

/** Workers do not all ask at the same moment. */
const SPREAD_MS = 2_000;

const COUNT_MS = 60_000;

/** Nothing waits for a sample. */
const TIMEOUT_MS = 5_000;

/** A shutdown does not wait for more. */
const STOP_MS = 1_000;
