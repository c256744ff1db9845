import type { ApplicationTransaction } from "../postgres/caller-transaction.ts";
import type { JobAdds } from "./adds.ts";
import type { BacklogReads } from "./backlog.ts";
import type { BulkChanges } from "./bulk.ts";
import type { CleanUp } from "./clean-up.ts";
import type { JobControl } from "./control.ts";
import type { Doctor } from "./doctor/diagnose.ts";
import type { Erasing } from "./erasing.ts";
import type { HistoryReads } from "./history.ts";
import type { JobInspection } from "./inspect.ts";
import type { JobLogs } from "./job-logs.ts";
import type { JobManagement } from "./manage.ts";
import type { Operations } from "./operations.ts";
import type { QueueRulesControl } from "./queue-rules.ts";
import type { JobResults } from "./results.ts";
import type { SampleReads } from "./samples.ts";
import type { Schedules } from "./schedules.ts";
import type { WorkerRegister } from "./workers.ts";

/** Adds and manages jobs without running them. */
export interface Client
  extends
    JobAdds,
    Omit<JobManagement, keyof BulkChanges>,
    Omit<JobControl, keyof BulkChanges>,
    BulkChanges,
    JobInspection,
    HistoryReads,
    JobLogs,
    BacklogReads,
    Doctor,
    SampleReads,
    WorkerRegister,
    QueueRulesControl,
    JobResults,
    CleanUp,
    Erasing,
    AsyncDisposable {
  /** Jobs that recur. */
  readonly schedules: Schedules;
  /** Changes of many jobs by a filter that were begun. */
  readonly operations: Operations;
  /** Brings the schema up to date; harmless when it is. */
  migrate(): Promise<void>;
  /**
   * The same methods, run as part of a transaction of the application: jobs
   * added by it exist if and when it commits. It has to be in a transaction
   * already, and is neither committed nor rolled back here. After a statement
   * failed in it PostgreSQL accepts nothing but a rollback; what is refused
   * before it is sent leaves it as it was. Methods reject with
   * `HOWDAH_OPTION_INVALID` where no transaction has begun, and with
   * `HOWDAH_TRANSACTION_ENDED` when it has ended before their statement was
   * sent; then nothing is done.
   */
  inTransaction(transaction: ApplicationTransaction): TransactionClient;
  /**
   * Waits for what is under way, except for results, and closes the connections
   * that this client opened. Afterwards every method rejects with `HOWDAH_CLIENT_CLOSED`.
   * Closing twice is fine.
   */
  close(): Promise<void>;
}

/** What a client does inside of a transaction of the application. */
export interface TransactionClient extends JobAdds, JobManagement, JobControl, JobInspection, HistoryReads, JobLogs {
  /** Jobs that recur, changed as part of the transaction. */
  readonly schedules: Schedules;
}
