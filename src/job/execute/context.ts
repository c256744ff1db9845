import type { Client } from "../../client/client.ts";
import type { Cell, Executor } from "../../postgres/driver.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Job } from "../job.ts";

/** What a handler is given beside the payload. */
export interface JobContext<State = unknown> {
  readonly job: Job;
  /** Aborted when the handler shall stop; `signal.reason` is a `HowdahError` that says why. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Adds and manages jobs over the worker's connections. */
  readonly client: Client;
  /** The `state` option of the worker. */
  readonly state: State;
  readonly workerId: string;
  /** Runs one statement on the worker's connections. */
  query(text: string, values?: readonly Cell[]): Promise<{ rows: readonly (readonly Cell[])[]; count: number }>;
  /** Runs `work` in a transaction on one of the worker's connections. */
  withTransaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T>;
}
