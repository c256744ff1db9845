import { tendHistory } from "../postgres/queries/tend-history.ts";
import { sqlStateOf } from "../postgres/sqlstate.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";
import type { WorkerContext } from "../job/worker-context.ts";

/**
 * Lets the database look after the history: make the partitions that come next, and
 * drop those of which everything has been kept for long enough. One of all workers
 * does it, once a minute while something is kept; each of the others asks as often. A
 * worker whose tasks keep nothing begins after ten minutes, with what others have
 * left. Nothing is asked while the worker is idle.
 */
export class HistoryKeeper {
  readonly #context: HistoryKeeperContext;
  readonly #host: HistoryKeeperHost;
  #loop: Loop | undefined;
  readonly #unwanted = new AbortController();
  #isFirst = true;

  constructor(context: HistoryKeeperContext, host: HistoryKeeperHost) {
    this.#context = context;
    this.#host = host;
  }

  start(): void {
    const { clock, logger, random } = this.#context;
    this.#loop = startLoop({
      name: "history",
      clock,
      random,
      backoff: { firstMs: MINUTE_MS, maxMs: 60 * MINUTE_MS },
      round: (stopping) => this.#round(stopping),
      onError(error, { failures }) {
        if (failures > 1) return;
        const advice =
          sqlStateOf(error) === "42501"
            ? "grant this role what docs/guides/roles.sql says, or let another worker do it"
            : "it is tried again";
        logger.warn(`The partitions of the history could not be looked after; ${advice}`, {
          error: errorMessage(error),
        });
      },
    });
  }

  /** Ends it. What is under way is given up when it takes longer than a moment: the database goes on, or nothing has happened. */
  async stop(): Promise<void> {
    const ended = new AbortController();
    const stopping = this.#loop?.stop().finally(() => ended.abort());
    await this.#context.clock.sleep(STOP_MS, ended.signal);
    this.#unwanted.abort();
    await stopping;
  }

  async #round(stopping: AbortSignal): Promise<number> {
    const { driver, logger, random, schema, tasks } = this.#context;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst && ![...tasks.settings.values()].some(({ keep }) => keep !== undefined))
      return (1 + random()) * 5 * MINUTE_MS;
    if (this.#host.isIdle) return MINUTE_MS;
    const target = { executor: driver, schema, lost: this.#unwanted.signal };
    while (!stopping.aborted) {
      const { done, nextMs } = await tendHistory(target, { atOnce: isFirst, timeoutMs: TIMEOUT_MS });
      if (done === null) return nextMs + random() * SPREAD_MS;
      logger.debug("Looked after the history", { done });
    }
    return 0;
  }
}

/** The worker whose history it is. */
export interface HistoryKeeperHost {
  /** It sends nothing at present. */
  readonly isIdle: boolean;
}

type HistoryKeeperContext = Pick<WorkerContext, "clock" | "driver" | "logger" | "random" | "schema" | "tasks">;

const MINUTE_MS = 60_000;

/** Workers do not all ask at the same moment. */
const SPREAD_MS = 5_000;

/** A table that was kept for a month is gone in less. */
const TIMEOUT_MS = 30_000;

/** A shutdown does not wait for more. */
const STOP_MS = 1_000;
