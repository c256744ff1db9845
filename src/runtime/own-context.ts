import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";

/** The resource belongs to nobody who would have to be told of its end. */
const OPTIONS = { requireManualDestroy: true };

function call<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
  return new AsyncResource("HowdahJob", OPTIONS).runInAsyncScope(work, undefined, ...args);
}

/**
 * Remembers the asynchronous context of its creation. What it is given later is
 * called in a copy of that: it sees neither what the caller is in nor what
 * others have entered (`AsyncLocalStorage.enterWith`) that were called before.
 */
export class OwnContext {
  readonly #origin = AsyncLocalStorage.snapshot();

  /** Calls `work`. */
  run<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
    return this.#origin(call<Args, Result>, work, ...args);
  }
}
