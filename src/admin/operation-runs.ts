import type { Client } from "../client/client.ts";
import type { OperatorAccess } from "../client/operator-access.ts";
import type { Logger } from "../runtime/logger.ts";

/** The operations that this process carries out. */
export class OperationRuns {
  readonly #operations: Client["operations"];
  readonly #access: Pick<OperatorAccess, "carryOut">;
  readonly #logger: Logger;
  readonly #running = new Map<string, Promise<void>>();
  /** Those that were begun again while they ended, because they were paused. */
  readonly #again = new Set<string>();
  #isClosed = false;

  constructor(operations: Client["operations"], access: Pick<OperatorAccess, "carryOut">, logger: Logger) {
    this.#operations = operations;
    this.#access = access;
    this.#logger = logger;
  }

  /** Carries an operation that is not paused out in the background. After `close` it is paused instead. */
  async begin(id: string): Promise<void> {
    if (this.#isClosed) await this.#operations.pause(id);
    else if (this.#running.has(id)) this.#again.add(id);
    else this.#running.set(id, this.#carryOut(id));
  }

  /** Whether this process carries it out. */
  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  /** Pauses those that are under way, and resolves when their batches have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const paused = [...this.#running.keys()].map((id) => this.#operations.pause(id));
    await Promise.allSettled([...paused, ...this.#running.values()]);
  }

  async #carryOut(id: string): Promise<void> {
    try {
      do {
        this.#again.delete(id);
        await this.#access.carryOut(id);
      } while (this.#again.has(id));
    } catch (error) {
      this.#logger.error("An operation stopped; it can be resumed", { operation: id, error });
    } finally {
      this.#again.delete(id);
      this.#running.delete(id);
    }
  }
}
