import type { Client } from "../../client/client.ts";
import type { ApplicationTransaction } from "../../postgres/caller-transaction.ts";
import type { Cell, Executor } from "../../postgres/driver.ts";
import type { LogFields, Logger } from "../../runtime/logger.ts";
import type { Job } from "../job.ts";

/** What a handler is given beside the payload. */
export interface JobContext<State = unknown> {
  readonly job: Job;
  /** Aborted when the handler must stop; `signal.reason` is a `HowdahError` that says why. */
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
  /**
   * Completes the job as part of a transaction, together with what else is
   * written there: the job is done if and when that commits. Best called last,
   * right before the commit. When the transaction is rolled back the attempt
   * ends as the handler does; a handler that returns all the same has failed
   * with `HOWDAH_COMPLETION_ROLLED_BACK`. What it throws after the commit is
   * logged and changes nothing. Calling it again in the same transaction does
   * nothing. Of a job that is kept or awaited `result` is kept, as JSON, and not what
   * the handler returns.
   *
   * Rejects with `HOWDAH_ABORTED_LOST` when the job no longer belongs to this
   * worker, or was completed by another transaction, and with
   * `HOWDAH_OPTION_INVALID` when no transaction has begun; the transaction can
   * only be rolled back then. Also with `HOWDAH_OPTION_INVALID`, and having done
   * nothing, when `result` cannot be JSON.
   */
  complete(transaction: ApplicationTransaction, result?: unknown): Promise<void>;
  /**
   * Says how far the job is, as any value that JSON can hold; the last one is the
   * `progress` of `getJob`. It is kept here and written with those of all other
   * jobs of the worker, once a second at most, and only while the job belongs to
   * this worker. It goes with the job. Throws `HOWDAH_PROGRESS_INVALID` for more
   * than 8,192 bytes, and for what JSON cannot hold.
   */
  progress(value: unknown): void;
  /**
   * Logs a line as `logger.info` does. If the task has `logs`, the line is kept
   * with the job as well, for `listJobLogs`: its message up to 2,000 characters,
   * its fields up to 4,096 bytes. Lines are written once a second, and when the
   * attempt ends.
   */
  log(message: string, fields?: LogFields): void;
}
