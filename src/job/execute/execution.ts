import { setMaxListeners } from "node:events";
import type { Client } from "../../client/client.ts";
import type { Cell, Driver, DriverShare } from "../../postgres/driver.ts";
import type { Schema } from "../../postgres/schema.ts";
import { scoped, type Logger } from "../../runtime/logger.ts";
import type { HowdahError } from "../../errors.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { Completion } from "./completion.ts";
import type { JobContext } from "./context.ts";
import { enter } from "./enter.ts";

/** What all executions of one worker share. */
export interface Surroundings {
  readonly logger: Logger;
  readonly state: unknown;
  readonly client: Client;
  readonly schema: Schema;
  /** Knows what a transaction of its kind is. */
  readonly driver?: Driver | undefined;
  /** The connections of handlers. */
  readonly executor: Pick<DriverShare, "query" | "transaction">;
}

/** What interceptors have changed about the call of a handler. */
export interface ExecutionChanges {
  readonly payload?: unknown;
  readonly within?: (<T>(run: () => T) => T) | undefined;
}

const UNCHANGED: ExecutionChanges = {};

/**
 * One call of a handler: what it is given, and what may still happen to it
 * from outside. The signal and the logger are made when they are asked for.
 */
export class Execution implements JobContext {
  readonly job: ClaimedJob;
  readonly #surroundings: Surroundings;
  #controller: AbortController | undefined;
  #logger: Logger | undefined;
  #abortedWith: HowdahError | undefined;
  #completion: Completion | undefined;
  #isEnded = false;
  #changes = UNCHANGED;

  constructor(job: ClaimedJob, surroundings: Surroundings) {
    this.job = job;
    this.#surroundings = surroundings;
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
    this.#logger ??= scoped(this.#surroundings.logger, { job: id, task, attempt: attempts });
    return this.#logger;
  }

  get client(): Client {
    return this.#surroundings.client;
  }

  get state(): unknown {
    return this.#surroundings.state;
  }

  get workerId(): string {
    return this.job.lockedBy;
  }

  // Handlers take their context apart, so what these give must not need a `this`.
  get query(): JobContext["query"] {
    const { executor } = this.#surroundings;
    return (text: string, values?: readonly Cell[]) => executor.query(values ? { text, values } : { text });
  }

  get withTransaction(): JobContext["withTransaction"] {
    const { executor } = this.#surroundings;
    return (work) => executor.transaction(work);
  }

  get complete(): JobContext["complete"] {
    this.#completion ??= new Completion(this.job, this.#surroundings.schema, this.#surroundings.driver);
    const completion = this.#completion;
    return (transaction) => completion.complete(transaction, !this.#isEnded);
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

  /** Calls `run`, from inside of what an interceptor has put around it. */
  enter<T>(run: () => T | Promise<T>): T | Promise<T> {
    const { within } = this.#changes;
    return within ? enter(within, async () => run()) : run();
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
