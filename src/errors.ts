/**
 * Every error that Howdah raises is a `HowdahError` with one of these codes.
 * `docs/reference/errors.md` explains each of them under the same name.
 */
export const ERROR_CODES = {
  HOWDAH_OPTION_UNKNOWN: "There is no option of this name.",
  HOWDAH_OPTION_INVALID: "An option has a value that is not allowed.",
  HOWDAH_JOB_INVALID: "A job to add has a property that is not allowed.",
  HOWDAH_PAYLOAD_INVALID: "A payload does not match its schema, or JSON cannot represent it.",
  HOWDAH_TASK_UNKNOWN: "This client or worker has no task with this identifier.",
  HOWDAH_TASK_DUPLICATE: "Two tasks have the same identifier.",
  HOWDAH_JOB_KEY_DUPLICATE: "One call names the same job key twice.",
  HOWDAH_JOB_KEY_MODE_UNSUPPORTED: "A bulk add does not support this job key mode.",
  HOWDAH_JOB_NOT_UNIQUE: "A job like the one to add is there already.",
  HOWDAH_JOB_SKIPPED: "An interceptor skipped a job that was to be added.",
  HOWDAH_JOB_DROPPED: "A trigger prevented a job from being stored.",
  HOWDAH_JOB_REFUSED: "An interceptor refused a job that was to be added, or failed an attempt.",
  HOWDAH_HOOK_FAILED: "An interceptor threw an error.",
  HOWDAH_HOOK_TIMEOUT: "An interceptor did not answer in time.",
  HOWDAH_HOOK_ANSWER_INVALID: "An interceptor returned an invalid decision.",
  HOWDAH_PLUGIN_FAILED: "A plugin could not register its hooks.",
  HOWDAH_HOOKS_UNAVAILABLE: "Hooks were asked for the client or the metrics of a worker that they do not have.",
  HOWDAH_UNRECOVERABLE: "A handler declared that its job cannot succeed in any further attempt.",
  HOWDAH_COMPLETION_ROLLED_BACK: "A handler completed its job in a transaction that was rolled back.",
  HOWDAH_OUTCOME_KEPT_OUT: "The outcome of a job was written, but a trigger, rule or policy left its row unchanged.",
  HOWDAH_PROGRESS_INVALID: "A handler reported a progress that is too large, or that JSON cannot hold.",
  HOWDAH_RESULT_FAILED: "A job that was waited for has failed for good.",
  HOWDAH_RESULT_CANCELLED: "A job that was waited for was cancelled.",
  HOWDAH_RESULT_REMOVED: "A job that was waited for was removed.",
  HOWDAH_RESULT_INVALID: "A job is completed, and its result cannot be stored.",
  HOWDAH_RESULT_UNKNOWN: "There is no such job, and nothing is kept of it.",
  HOWDAH_RESULT_TIMEOUT: "A job did not end in the time that a caller waited for it.",
  HOWDAH_RESULT_ABORTED: "A caller stopped to wait for a job.",
  HOWDAH_BATCH_EMPTY: "A batch job has no items.",
  HOWDAH_BATCH_RESULT_INVALID: "A batch handler returned a result that does not match its items.",
  HOWDAH_BATCH_ITEMS_FAILED: "Some items of a batch failed.",
  HOWDAH_CRON_INVALID: "A crontab, a schedule or a time zone is invalid.",
  HOWDAH_JOB_UNKNOWN: "There is no job with this id.",
  HOWDAH_OPERATION_UNKNOWN: "There is no operation with this id.",
  HOWDAH_POOL_UNKNOWN: "There is no pool of this name.",
  HOWDAH_POOL_IN_USE: "A pool cannot be removed while rules of queues name it.",
  HOWDAH_SCHEDULE_UNKNOWN: "There is no schedule with this id.",
  HOWDAH_DATABASE_UNREACHABLE: "The database could not be reached in time.",
  HOWDAH_CONNECTIONS_EXHAUSTED: "Timed out waiting for a free connection.",
  HOWDAH_DATABASE_UNSUPPORTED: "The database is older than the oldest supported PostgreSQL.",
  HOWDAH_DATABASE_FORBIDDEN: "The database role lacks a right that is needed.",
  HOWDAH_DATABASE_ERROR: "PostgreSQL refused a statement.",
  HOWDAH_TRANSACTION_POOLER: "A transaction pooler does not keep prepared statements on their connection.",
  HOWDAH_QUERY_TIMEOUT: "A statement was not answered in time.",
  HOWDAH_CONNECTION_LOST: "The connection ended before a statement was answered.",
  HOWDAH_TRANSACTION_ENDED: "A statement was sent to a transaction that had ended.",
  HOWDAH_TRANSACTION_LEFT_OPEN: "A transaction was left open on a shared connection.",
  HOWDAH_SCHEMA_MISSING: "The schema is not migrated, and migrating is switched off.",
  HOWDAH_SCHEMA_TOO_NEW: "A newer release has migrated the schema, and this one is too old for it.",
  HOWDAH_SCHEMA_FOREIGN: "The schema contains objects of another application with names that Howdah needs.",
  HOWDAH_SCHEMA_DAMAGED: "Tables, columns, indexes or functions of the schema are missing or have been changed.",
  HOWDAH_SCHEMA_BUSY: "The schema could not be changed, because others use it.",
  HOWDAH_WORKER_RUNNING: "The worker is already running.",
  HOWDAH_WORKER_STOPPED: "The worker was stopped and cannot run again.",
  HOWDAH_CLIENT_CLOSED: "The client was closed.",
  HOWDAH_ABORTED_SHUTDOWN: "The worker is shutting down and its grace period is over.",
  HOWDAH_ABORTED_TIMEOUT: "The job ran longer than its timeout.",
  HOWDAH_ABORTED_CANCELLED: "The job was cancelled.",
  HOWDAH_ABORTED_LOST: "The job no longer belongs to this worker.",
  HOWDAH_UNEXPECTED: "An unexpected error; see its cause.",
  HOWDAH_ADMIN_REQUEST_INVALID: "A request to the admin API is not as it must be.",
  HOWDAH_ADMIN_UNAUTHENTICATED: "A request to the admin API has no valid credentials.",
  HOWDAH_ADMIN_FORBIDDEN: "The role, or its tasks and queues, does not allow this request to the admin API.",
  HOWDAH_ADMIN_READ_ONLY: "The admin API is read-only.",
  HOWDAH_ADMIN_CROSS_ORIGIN: "A request to the admin API came from another site.",
  HOWDAH_ADMIN_NOT_FOUND: "The admin API has nothing at this path.",
  HOWDAH_ADMIN_TOO_LARGE: "A request to the admin API is too large, or took too long.",
  HOWDAH_ADMIN_PREVIEW_EXPIRED: "A bulk action was not confirmed in time, or not as its preview asks.",
  HOWDAH_ADMIN_BUSY: "The admin API has as many live streams or topics as it allows.",
  HOWDAH_ADMIN_PAGE_MISSING: "The files of the admin page are not built.",
  HOWDAH_EMBEDDED_MISSING: "The optional package with the PostgreSQL binaries is not installed.",
  HOWDAH_EMBEDDED_FAILED: "The embedded PostgreSQL did not start.",
} as const;

/** The code of a {@link HowdahError}: a key of {@link ERROR_CODES}. */
export type HowdahErrorCode = keyof typeof ERROR_CODES;

/** The error class of Howdah. Distinguish errors by `code`, never by message. */
export class HowdahError extends Error {
  /** What went wrong, as a stable string. */
  readonly code: HowdahErrorCode;

  /**
   * @param code - one of {@link ERROR_CODES}
   * @param message - what was found, what is allowed, and what to do
   * @param cause - the original error
   */
  constructor(code: HowdahErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "HowdahError";
    this.code = code;
  }
}

/**
 * True when `error` is a Howdah error, with the given code if there is one. It also recognises errors of another copy of this package, unlike `instanceof`.
 */
export function isHowdahError(error: unknown, code?: HowdahErrorCode): error is HowdahError {
  if (!(error instanceof Error) || error.name !== "HowdahError") return false;
  const found = (error as Partial<HowdahError>).code;
  return found !== undefined && (code === undefined ? found in ERROR_CODES : found === code);
}
