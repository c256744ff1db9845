import { AsyncResource } from "node:async_hooks";

/** Node emits no `destroy` for these resources, so it keeps no record of them. */
const OPTIONS = { requireManualDestroy: true };

function inCopy<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
  return new AsyncResource("HowdahJob", OPTIONS).runInAsyncScope(work, undefined, ...args);
}

/**
 * Remembers the asynchronous context of its creation. What it is given later is
 * called in a copy of that context: it sees neither the context of the caller
 * nor what an earlier call has entered (`AsyncLocalStorage.enterWith`).
 */
export class OwnContext {
  readonly #origin = new AsyncResource("HowdahWorker", OPTIONS);

  /** Calls `work`. */
  run<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
    // Not `AsyncLocalStorage.snapshot()`: its extra call doubles what a job pays here.
    return this.#origin.runInAsyncScope(inCopy<Args, Result>, undefined, work, ...args);
  }
}
