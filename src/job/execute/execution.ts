import { setMaxListeners } from "node:events";
import type { Client } from "../../client/client.ts";
import { HowdahError } from "../../errors.ts";
import type { Cell, DriverShare } from "../../postgres/driver.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { scoped, type Logger } from "../../runtime/logger.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { NoteTaker } from "../note-taker.ts";
import type { WorkerContext } from "../worker-context.ts";
import { Completion } from "./completion.ts";
import type { JobContext } from "./context.ts";

/**
 * One call of a handler: what it is given, and what may still happen to it
 * from outside. The signal and the logger are made when they are asked for.
 */
export class Execution implements JobContext {
  readonly job: ClaimedJob;
  /** The call that does it together with others; `undefined` when it is one of its own. */
  gathering: SharedCall | undefined;
  readonly #context: ExecutionContext;
  #controller: AbortController | undefined;
  #logger: Logger | undefined;
  #abortedWith: HowdahError | undefined;
  #completion: Completion | undefined;
  #isEnded = false;
  #changes = UNCHANGED;

  constructor(job: ClaimedJob, context: ExecutionContext) {
    this.job = job;
    this.#context = context;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      // A handler may hand it to as many calls as it has items.
      setMaxListeners(0, this.#controller.signal);
      if (this.#abortedWith) this.#controller.abort(this.#abortedWith);
    }
    return this.#controller.signal;
  }

  get logger(): Logger {
    const { id, task, attempts } = this.job;
    this.#logger ??= scoped(this.#context.logger, { job: id, task, attempt: attempts });
    return this.#logger;
  }

  get clock(): Clock {
    return this.#context.clock;
  }

  get client(): Client {
    return this.#context.client;
  }

  get state(): unknown {
    return this.#context.settings.state;
  }

  get workerId(): string {
    return this.job.lockedBy;
  }

  // Handlers take their context apart, so what these give must not need a `this`.
  get query(): JobContext["query"] {
    const executor = handlersShareOf(this.#context);
    return (text: string, values?: readonly Cell[]) => executor.query(values ? { text, values } : { text });
  }

  get withTransaction(): JobContext["withTransaction"] {
    const executor = handlersShareOf(this.#context);
    return (work) => executor.transaction(work);
  }

  get complete(): JobContext["complete"] {
    this.#completion ??= new Completion(this.job, this.#context.schema, this.#context.driver);
    const completion = this.#completion;
    return (transaction, result) => completion.complete(transaction, result, !this.#isEnded);
  }

  get progress(): JobContext["progress"] {
    return (value) => {
      if (!this.#isEnded) this.#context.notes.progress(this.job, value);
    };
  }

  get log(): JobContext["log"] {
    return (message, fields) => {
      this.logger.info(message, fields);
      if (!this.#isEnded) this.#context.notes.log(this.job, message, fields);
    };
  }

  /** What the handler has done to complete the job in transactions of its own; `undefined` when it has not asked how. */
  get completion(): Completion | undefined {
    return this.#completion;
  }

  /** What the handler has done to complete the job in a transaction of its own, if that decides what becomes of the job. */
  get undecided(): Completion | undefined {
    return this.#completion?.mayCount === true ? this.#completion : undefined;
  }

  /** The claim is about to be released: from now on its handler can no longer complete the job. */
  end(): void {
    this.#isEnded = true;
  }

  /** What the handler is to be given, before its schema has seen it. */
  get payload(): unknown {
    return this.#changes.payload === undefined ? this.job.payload : this.#changes.payload;
  }

  /** Calls the handler differently. */
  change(changes: ExecutionChanges): void {
    this.#changes = changes;
  }

  /** What an interceptor has put around the call; `undefined` when nothing is. See {@link enter}. */
  get within(): ExecutionChanges["within"] {
    return this.#changes.within;
  }

  /** Why the handler was told to stop, if it was. */
  get abortedWith(): HowdahError | undefined {
    return this.#abortedWith;
  }

  /** Tells the handler to stop. Only the first reason counts. */
  abort(reason: HowdahError): void {
    if (this.#abortedWith) return;
    this.#abortedWith = reason;
    this.#controller?.abort(reason);
  }
}

/** A call of a handler that does several jobs. */
export interface SharedCall {
  /** Gives what the handler says of this job, as a handler of it alone would; `payload` is what its schema makes of it. */
  join(execution: Execution, payload: unknown): Promise<unknown>;
}

/** What all executions of one worker share. */
export type ExecutionContext = Pick<WorkerContext, "clock" | "logger" | "client" | "schema" | "driver"> & {
  readonly notes: NoteTaker;
  readonly settings: Pick<WorkerContext["settings"], "state">;
};

/** What interceptors have changed about the call of a handler. */
export interface ExecutionChanges {
  readonly payload?: unknown;
  readonly within?: (<T>(run: () => T) => T) | undefined;
}

const UNCHANGED: ExecutionChanges = {};

/**
 * Calls `run` from inside of `within`, and settles as `run` does, whatever
 * `within` makes of it. Rejects with `HOWDAH_HOOK_FAILED` when `within` throws,
 * and with `HOWDAH_HOOK_ANSWER_INVALID` when it does not call `run`.
 */
export async function enter<T>(within: <R>(run: () => R) => R, run: () => Promise<T>): Promise<T> {
  let entered: Promise<T> | undefined;
  let failure: unknown;
  let hasFailed = false;
  try {
    // Called a second time, it is the same run: no attempt is made twice.
    const returned: unknown = within(() => (entered ??= run()));
    // A promise that `within` made of it may reject as well, and nothing else handles that.
    if (returned !== entered) void Promise.resolve(returned).catch(() => undefined);
  } catch (error) {
    hasFailed = true;
    failure = error;
  }
  if (hasFailed) {
    await entered?.catch(() => undefined);
    throw new HowdahError("HOWDAH_HOOK_FAILED", `What runs the handler failed: ${errorMessage(failure)}`, failure);
  }
  if (entered) return entered;
  throw new HowdahError(
    "HOWDAH_HOOK_ANSWER_INVALID",
    "`within`, as an interceptor of `beforeJobRun` answered it, did not call the function that it was given.",
  );
}

/** The connections that handlers use, whatever they do to them. */
function handlersShareOf({ driver }: ExecutionContext): Pick<DriverShare, "query" | "transaction"> {
  return driver.share?.("handlers") ?? driver;
}
