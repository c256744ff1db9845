import { deleteStaleWorkers, freeQueues, recoverDead, type RefusedRow } from "../../postgres/queries/recover.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { WorkerContext } from "../worker-context.ts";

/**
 * Returns the jobs of claims whose answers were lost: what is locked
 * under a retired id, once nothing is held under it and no statement can be
 * under way any more. Runs as long as the worker does.
 */
export class LostClaims {
  readonly #context: LostClaimsContext;
  #loop: Loop | undefined;

  constructor(context: LostClaimsContext) {
    this.#context = context;
  }

  start(): void {
    const { clock, identity, reporter } = this.#context;
    identity.watch(this);
    this.#loop = startLoop({
      name: "recover lost claims",
      clock,
      round: () => this.#recoverRetired(),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("return the jobs of a lost claim", error);
      },
    });
  }

  async stop(): Promise<void> {
    this.#context.identity.unwatch(this);
    await this.#loop?.stop();
  }

  identityChanged(): void {
    this.#loop?.wake();
  }

  async #recoverRetired(): Promise<number> {
    const { clock, held, identity, logger, settings } = this.#context;
    const errors: unknown[] = [];
    for (const [workerId, retiredAt] of identity.retired) {
      // It may have been declared dead, and forgotten, while another one was recovered.
      if (!identity.all.includes(workerId)) continue;
      if (held.hasRows(workerId) || clock.monotonic() - retiredAt < settings.settledMs) continue;
      // One that fails holds up no others.
      const jobs = await this.#recover(workerId).catch((error: unknown) => void errors.push(error));
      if (jobs === undefined) continue;
      identity.forget(new Set([workerId]));
      if (jobs > 0) logger.warn("Returned jobs of a claim whose answer was lost", { worker: workerId, jobs });
    }
    if (errors.length > 0) throw errors[0];
    return identity.retired.length > 0 ? settings.settledMs / 6 : Number.POSITIVE_INFINITY;
  }

  /**
   * Returns what may be locked under an id, and unregisters it. How many jobs
   * that were; `undefined` to ask again later: a row is locked by another
   * session or was refused, or handlers that have lost their slots still run
   * under the id, whose queues are kept.
   */
  async #recover(workerId: string): Promise<number | undefined> {
    const { driver, schema, held } = this.#context;
    const target = { executor: driver, schema };
    const keepsQueues = held.hasLocks(workerId);
    const request = { dead: [workerId], delayMs: 0, olderMs: null, quantity: 100_000 };
    const { jobs, refused, isDone } = await recoverDead(target, request);
    // Another worker was at it when nothing was answered.
    if (isDone || refused.length > 0) this.#tried(workerId, "job", refused);
    if (!isDone || keepsQueues) return undefined;
    const queues = await freeQueues(target, [workerId], null);
    this.#tried(workerId, "queue", queues.refused);
    await deleteStaleWorkers(target, [workerId]);
    return refused.length + queues.refused.length > 0 ? undefined : jobs.length;
  }

  #tried(workerId: string, kind: RefusedRow["kind"], refused: readonly RefusedRow[]): void {
    const { refusals, reporter } = this.#context;
    for (const row of refusals.tried(workerId, kind, refused)) reporter.unrecovered(row);
  }
}

type LostClaimsContext = Pick<
  WorkerContext,
  "clock" | "logger" | "driver" | "schema" | "identity" | "held" | "refusals" | "reporter"
> & { readonly settings: Pick<WorkerContext["settings"], "settledMs"> };
