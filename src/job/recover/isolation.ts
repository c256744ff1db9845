import { isHowdahError } from "../../errors.ts";
import type { RefusedRow } from "../../postgres/queries/recover.ts";
import { isRefused, isSessionOver, sqlStateOf } from "../../postgres/sqlstate.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { WorkerContext } from "../worker-context.ts";
import { Retries } from "./retries.ts";

/**
 * Keeps the recovery of one holder from holding up that of others. What a
 * trigger or constraint refuses is left, tried again later, each time after
 * twice as long, and reported once for each reason. A server that cannot be
 * reached, or written to, ends the sweep: that is not for one holder alone.
 */
export class Isolation {
  readonly #context: IsolationContext;
  readonly #retries: Retries;
  /** What was refused as a whole in this sweep, and is news. */
  readonly #refused: { readonly workerId: string; readonly error: unknown }[] = [];

  constructor(context: IsolationContext, { sweepIntervalMs }: { readonly sweepIntervalMs: number }) {
    this.#context = context;
    this.#retries = new Retries(context.clock, { firstMs: sweepIntervalMs, maxMs: LONGEST_RETRY_MS });
  }

  /** Whether something may be done about this holder now. */
  isDue(workerId: string): boolean {
    return this.#retries.isDue(workerId);
  }

  /** Something of this holder is left: it is tried again later. */
  later(workerId: string): void {
    this.#retries.later(workerId);
  }

  /** Nothing of this holder is left that would have to be tried again. */
  done(workerId: string): void {
    this.#retries.done(workerId);
  }

  /** Forgets all holders but these. */
  keepOnly(workers: ReadonlyMap<string, unknown>, unregistered: ReadonlySet<string>): void {
    this.#retries.keepOnly(workers);
    this.#context.refusals.keepOnly((id) => workers.has(id) || unregistered.has(id));
  }

  /** Does something about several workers at once; when that is refused, about each of them. */
  async together<W extends { readonly workerId: string }>(
    workers: readonly W[],
    work: (workers: readonly W[]) => Promise<void>,
  ): Promise<void> {
    const due = workers.filter(({ workerId }) => this.isDue(workerId));
    if (due.length === 0) return;
    try {
      await work(due);
    } catch (error) {
      if (!isForRows(error)) throw error;
      for (const worker of due) await this.apart(worker.workerId, () => work([worker]));
    }
  }

  /** Does something about one holder. When that is refused, it is tried again later. */
  async apart(workerId: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isForRows(error)) throw error;
      this.later(workerId);
      const [state, message] = [sqlStateOf(error) ?? "", errorMessage(error)];
      const row: RefusedRow = { kind: "worker", id: workerId, workerId, state, message };
      if (this.#context.refusals.tried(workerId, "worker", [row]).length > 0) this.#refused.push({ workerId, error });
    }
  }

  /** What a holder has of one kind was tried, and these rows were refused. */
  tried(workerId: string, kind: RefusedRow["kind"], refused: readonly RefusedRow[]): void {
    const { refusals, reporter } = this.#context;
    for (const row of refusals.tried(workerId, kind, refused)) reporter.unrecovered(row);
  }

  /** Reports what was refused as a whole: once for each reason, however many holders it is about. */
  report(): void {
    const { reporter } = this.#context;
    const all = this.#refused.splice(0);
    const firsts = new Map(all.toReversed().map(({ error }) => [errorMessage(error), error]));
    for (const [reason, first] of firsts) {
      const ids = all.filter(({ error }) => errorMessage(error) === reason).map(({ workerId }) => workerId);
      reporter.failure(`recover what worker ${ids.join(", ")} held`, first);
    }
  }
}

type IsolationContext = Pick<WorkerContext, "clock" | "refusals" | "reporter">;

/** The longest rest before something is tried again that is left of a holder. */
const LONGEST_RETRY_MS = 60_000;

/** Whether the rows may be to blame that a statement was about: a server that cannot be used is not for them. */
function isForRows(error: unknown): boolean {
  return isHowdahError(error, "HOWDAH_QUERY_TIMEOUT") || (isRefused(error) && !isSessionOver(error));
}
