import { AsyncResource } from "node:async_hooks";

/**
 * Keeps the asynchronous context of its creation. Functions are called in a
 * copy of that context: they see neither the context of the caller nor what an
 * earlier call has entered (`AsyncLocalStorage.enterWith`).
 */
export class OwnContext {
  readonly #origin = new AsyncResource("HowdahWorker", OPTIONS);

  /** Calls `work` in a copy of the context. */
  run<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
    // Not `AsyncLocalStorage.snapshot()`: its extra call doubles what a job pays here.
    return this.#origin.runInAsyncScope(inCopy<Args, Result>, undefined, work, ...args);
  }
}

/** Node emits no `destroy` for these resources, so it keeps no record of them. */
const OPTIONS = { requireManualDestroy: true };

function inCopy<Args extends unknown[], Result>(work: (...args: Args) => Result, ...args: Args): Result {
  return new AsyncResource("HowdahJob", OPTIONS).runInAsyncScope(work, undefined, ...args);
}
