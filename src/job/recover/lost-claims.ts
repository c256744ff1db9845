import { recoverLostClaim } from "../../postgres/queries/sweep.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { WorkerContext } from "../worker-context.ts";

type Context = Pick<
  WorkerContext,
  "clock" | "logger" | "driver" | "schema" | "identity" | "held" | "refusals" | "reporter"
> & { readonly settings: Pick<WorkerContext["settings"], "settledMs"> };

/**
 * Gives back what claims have locked whose answers were lost: what is locked
 * under a retired id, once nothing is held under it and no statement can be
 * under way any more. Runs as long as the worker does.
 */
export class LostClaims {
  readonly #context: Context;
  #loop: Loop | undefined;

  constructor(context: Context) {
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

  /** How many jobs were given back; `undefined` to ask again later. */
  #recover(workerId: string): Promise<number | undefined> {
    const { driver, schema, held, refusals, reporter } = this.#context;
    return recoverLostClaim({ executor: driver, schema }, workerId, {
      // That of a handler that goes on although its attempt has ended.
      keepQueues: held.hasLocks(workerId),
      tried(kind, refused) {
        for (const row of refusals.tried(workerId, kind, refused)) reporter.unrecovered(row);
      },
    });
  }
}
