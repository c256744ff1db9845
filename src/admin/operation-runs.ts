import type { Client } from "../client/client.ts";
import type { Logger } from "../runtime/logger.ts";

/** The operations that this process carries out. */
export class OperationRuns {
  readonly #operations: Client["operations"];
  readonly #logger: Logger;
  readonly #running = new Map<string, Promise<void>>();

  constructor(operations: Client["operations"], logger: Logger) {
    this.#operations = operations;
    this.#logger = logger;
  }

  /** Carries an operation out in the background, unless it does so already. */
  begin(id: string): void {
    if (this.#running.has(id)) return;
    this.#running.set(id, this.#carryOut(id));
  }

  /** Whether this process carries it out. */
  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  /** Pauses those that are under way, and resolves when their batches have ended. */
  async close(): Promise<void> {
    const paused = [...this.#running.keys()].map((id) => this.#operations.pause(id));
    await Promise.allSettled([...paused, ...this.#running.values()]);
  }

  async #carryOut(id: string): Promise<void> {
    try {
      await this.#operations.resume(id);
    } catch (error) {
      this.#logger.error("An operation stopped; it can be resumed", { operation: id, error });
    } finally {
      this.#running.delete(id);
    }
  }
}
