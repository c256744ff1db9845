import type { Driver, Listening } from "../postgres/driver.ts";
import { DONE_CHANNEL, readDone } from "../postgres/queries/await-jobs.ts";
import type { Schema } from "../postgres/schema.ts";
import type { Clock, Timer } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Loop, startLoop } from "../runtime/loop.ts";

/**
 * Listens for the ends of awaited jobs on a connection of its own: while there are
 * some, and for ten seconds afterwards. What it does not hear is found by polling.
 */
export class DoneListener {
  readonly #context: DoneListenerContext;
  readonly #watcher: DoneWatcher;
  #loop: Loop | undefined;
  #listening: Listening | undefined;
  #rest: Timer | undefined;

  constructor(context: DoneListenerContext, watcher: DoneWatcher) {
    this.#context = context;
    this.#watcher = watcher;
  }

  /** Jobs are awaited. */
  start(): void {
    this.#rest?.cancel();
    this.#rest = undefined;
    const { clock, driver, logger } = this.#context;
    if (this.#loop || driver.capabilities?.listen === false) return;
    this.#loop = startLoop({
      name: "listen for results",
      clock,
      round: (stopping) => this.#listen(stopping),
      onError(error, { failures }) {
        if (failures === 1)
          logger.debug("Listening for results failed; they are polled for", { error: errorMessage(error) });
      },
    });
  }

  /** None is awaited any more: it stops, unless there are some soon. */
  rest(): void {
    this.#rest?.cancel();
    this.#rest = this.#context.clock.setTimer(REST_MS, () => void this.stop());
  }

  /** Ends the connection. */
  async stop(): Promise<void> {
    this.#rest?.cancel();
    const [loop, listening] = [this.#loop, this.#listening];
    this.#loop = undefined;
    this.#listening = undefined;
    await Promise.all([loop?.stop(), listening?.close()]);
  }

  async #listen(stopping: AbortSignal): Promise<number> {
    const { driver, schema } = this.#context;
    const listening = await driver.listen([DONE_CHANNEL], {
      notified: (_channel, payload) => this.#watcher.ended(readDone(payload, schema.name)),
      up: () => this.#watcher.up(),
      // The driver connects again; until then each second brings an answer.
      down: () => undefined,
    });
    if (stopping.aborted) await listening.close();
    else this.#listening = listening;
    return Number.POSITIVE_INFINITY;
  }
}

/** What listening stands on. */
export interface DoneListenerContext {
  readonly clock: Clock;
  readonly driver: Pick<Driver, "listen" | "capabilities">;
  readonly logger: Logger;
  readonly schema: Schema;
}

/** Waits for the ends of jobs. */
export interface DoneWatcher {
  /** Jobs have ended. */
  ended(jobIds: readonly string[]): void;
  /** It listens, or listens again: what has ended before may have been missed. */
  up(): void;
}

/** For how long the connection is kept when no job is awaited any more. */
const REST_MS = 10_000;
