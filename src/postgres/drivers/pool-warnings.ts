import type { Logger } from "../../runtime/logger.ts";

/** Warns of what other code has left behind on connections of the application's pool, of each once for a driver. */
export class PoolWarnings {
  readonly #logger: Logger;
  readonly #said = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A connection came out of the pool inside of a transaction, or an answer was given inside of one that is not ours. */
  foundInside(): void {
    this.#warn(
      "A connection of the pool was inside of a transaction that other code has begun and left open. " +
        "It was closed, and what had run on it was sent again on another one. This is said once",
    );
  }

  /** A connection was left with the rights of another role. */
  foundForeign(): void {
    this.#warn(
      "A connection of the pool was left with the rights of another role (`set session authorization`, `set role`). " +
        "It was closed; another one takes its place. Use `set local` inside of a transaction. This is said once",
    );
  }

  #warn(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#logger.warn(message);
  }
}
