import { findOrphans, freeQueues } from "../../postgres/queries/recover.ts";
import type { WorkerContext } from "../worker-context.ts";
import type { Recovery, RecoveryParts } from "./recovery.ts";

/**
 * Looks for holders that are not registered, every `orphanInterval` in a whole
 * schema, and returns what they hold. A worker is registered before it
 * claims, but for a moment when it changes its id; those of other kinds have
 * `orphanThreshold`.
 */
export class Orphans {
  readonly #context: OrphansContext;
  readonly #parts: OrphansParts;
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #known = new Set<string>();

  constructor(context: OrphansContext, parts: OrphansParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Those of which something was refused. */
  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /** Looks for them, if it is time for that, and recovers each. */
  async recover(): Promise<void> {
    const { clock, driver, schema } = this.#context;
    const { settings, isolation } = this.#parts;
    const { orphanIntervalMs, queueDelayMs, orphanThresholdMs } = settings;
    const now = clock.monotonic();
    if (now - this.#lookedAt < orphanIntervalMs) return;
    this.#lookedAt = now;
    const age = { intervalMs: orphanIntervalMs, oursMs: 2 * queueDelayMs, foreignMs: orphanThresholdMs };
    for (const { id, isOurs } of await findOrphans({ executor: driver, schema }, age)) {
      this.#known.add(id);
      await isolation.apart(id, () => this.#recoverOne(id, isOurs ? null : orphanThresholdMs));
    }
  }

  async #recoverOne(id: string, olderMs: number | null): Promise<void> {
    const { driver, schema } = this.#context;
    const { isolation, recovery } = this.#parts;
    const { jobs, refused } = await recovery.returnJobs({ workerId: id, olderMs });
    const queues = await freeQueues({ executor: driver, schema }, [id], olderMs);
    isolation.tried(id, "queue", queues.refused);
    if (refused.length + queues.refused.length === 0) this.#known.delete(id);
    recovery.report(id, jobs, { registered: false });
  }
}

type OrphansContext = Pick<WorkerContext, "clock" | "driver" | "schema">;

/** What the recovery of orphans shares with that of registered workers. */
export interface OrphansParts extends RecoveryParts {
  readonly recovery: Recovery;
}
