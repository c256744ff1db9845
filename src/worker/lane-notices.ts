import type { Claimer } from "../job/claim/claimer.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { numberArray } from "../postgres/literal.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Timer } from "../runtime/clock.ts";

/**
 * Notifies other workers of queues with rules in which this worker has freed
 * lanes and takes no further job, because it has no slot for one or stops: they
 * would find them within their poll interval only. At most one notification in
 * 50 ms.
 */
export class LaneNotices {
  readonly #context: LaneNoticesContext;
  readonly #engine: LaneFreeingEngine;
  readonly #freed = new Set<number>();
  #timer: Timer | undefined;

  constructor(context: LaneNoticesContext, engine: LaneFreeingEngine) {
    this.#context = context;
    this.#engine = engine;
  }

  /** Lanes of these queues are free. */
  freed(queueIds: readonly number[]): void {
    for (const queueId of queueIds) if (this.#freed.size < MOST_QUEUES) this.#freed.add(queueId);
    if (this.#freed.size > 0) this.#timer ??= this.#context.clock.setTimer(APART_MS, () => this.#due());
  }

  /** Nothing more is claimed. Resolves when others are notified of what was freed, or that has failed. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#notify();
  }

  #due(): void {
    const { claimer, isStopping, room } = this.#engine;
    this.#timer = undefined;
    // A claim may have looked at it since, or one may follow at once.
    if (!isStopping) for (const id of this.#freed) if (room > 0 || !claimer.isCandidate(id)) this.#freed.delete(id);
    void this.#notify();
  }

  /** Never rejects: polling finds the queues as well. */
  async #notify(): Promise<void> {
    const queueIds = [...this.#freed];
    this.#freed.clear();
    if (queueIds.length === 0) return;
    const { driver, logger, schema } = this.#context;
    // $1 queue ids   $2 how many
    const text = `
      select pg_catalog.set_config('synchronous_commit', 'off', true),
        ${schema.of("_howdah_notify_v1")}($2, pg_catalog.now(), $1)`;
    await driver.query({ text, values: [numberArray(queueIds), String(queueIds.length)] }).catch((error: unknown) => {
      logger.debug("Notifying others of free lanes failed", { error: errorMessage(error) });
    });
  }
}

type LaneNoticesContext = Pick<WorkerContext, "clock" | "driver" | "logger" | "schema">;

/** The engine that frees lanes. */
export interface LaneFreeingEngine {
  readonly claimer: Pick<Claimer, "isCandidate">;
  /** How many more jobs could start right now. */
  readonly room: number;
  /** It takes no more jobs. */
  readonly isStopping: boolean;
}

const APART_MS = 50;
/** A notification holds no more; what is beyond them is found by polling. */
const MOST_QUEUES = 50;
