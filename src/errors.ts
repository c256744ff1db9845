/**
 * Every error that Howdah raises is a `HowdahError` with one of these codes.
 * `docs/reference/errors.md` explains each of them under the same name.
 */
export const ERROR_CODES = {
  HOWDAH_OPTION_UNKNOWN: "An option has a name that is not known here.",
  HOWDAH_OPTION_INVALID: "An option has a value that is not allowed.",
  HOWDAH_JOB_INVALID: "A job to add has a property that is not allowed.",
  HOWDAH_PAYLOAD_INVALID: "A payload does not pass its schema, or JSON cannot hold it.",
  HOWDAH_TASK_UNKNOWN: "No task with this identifier was given to this client or worker.",
  HOWDAH_TASK_DUPLICATE: "Two tasks have the same identifier.",
  HOWDAH_JOB_KEY_DUPLICATE: "One call names the same job key twice.",
  HOWDAH_JOB_KEY_MODE_UNSUPPORTED: "This job key mode cannot be used in a bulk add.",
  HOWDAH_JOB_SKIPPED: "A hook decided that a job is not added.",
  HOWDAH_JOB_DROPPED: "A trigger kept a job from being stored.",
  HOWDAH_JOB_REFUSED: "A hook decided that a job cannot be added, or that an attempt has failed.",
  HOWDAH_HOOK_FAILED: "An interceptor threw an error.",
  HOWDAH_HOOK_TIMEOUT: "An interceptor did not answer in time.",
  HOWDAH_HOOK_ANSWER_INVALID: "An interceptor answered something that is none of its decisions.",
  HOWDAH_PLUGIN_FAILED: "A plugin could not register its hooks.",
  HOWDAH_HOOKS_UNAVAILABLE: "Hooks were asked for the client or the metrics of a worker that they do not have.",
  HOWDAH_UNRECOVERABLE: "A handler said that its job cannot succeed, whatever attempts are left.",
  HOWDAH_COMPLETION_ROLLED_BACK: "A handler completed its job in a transaction that was rolled back.",
  HOWDAH_OUTCOME_KEPT_OUT: "An outcome was written, and a trigger, rule or policy left the row as it was.",
  HOWDAH_BATCH_EMPTY: "A batch job was added without items.",
  HOWDAH_BATCH_RESULT_INVALID: "A batch handler returned a result that does not fit its items.",
  HOWDAH_BATCH_ITEMS_FAILED: "Some items of a batch failed.",
  HOWDAH_CRON_INVALID: "A crontab, a schedule or a time zone cannot be read.",
  HOWDAH_JOB_UNKNOWN: "There is no job with this id.",
  HOWDAH_SCHEDULE_UNKNOWN: "There is no schedule with this id.",
  HOWDAH_DATABASE_UNREACHABLE: "The database could not be reached in time.",
  HOWDAH_CONNECTIONS_EXHAUSTED: "All connections were in use for too long.",
  HOWDAH_DATABASE_UNSUPPORTED: "The database is older than the oldest supported PostgreSQL.",
  HOWDAH_DATABASE_FORBIDDEN: "The database role lacks a right that is needed.",
  HOWDAH_DATABASE_ERROR: "PostgreSQL refused a statement.",
  HOWDAH_TRANSACTION_POOLER: "A transaction pooler does not keep prepared statements with their connection.",
  HOWDAH_QUERY_TIMEOUT: "A statement did not answer in time.",
  HOWDAH_CONNECTION_LOST: "The connection ended before a statement was answered.",
  HOWDAH_TRANSACTION_ENDED: "A statement was sent to a transaction that had ended.",
  HOWDAH_TRANSACTION_LEFT_OPEN: "A transaction was left open on a connection that others use.",
  HOWDAH_SCHEMA_MISSING: "The schema has not been migrated and migrating is switched off.",
  HOWDAH_SCHEMA_TOO_NEW: "The schema was migrated by a newer release than this one.",
  HOWDAH_SCHEMA_FOREIGN: "The schema holds objects of another application under names that Howdah needs.",
  HOWDAH_SCHEMA_DAMAGED: "Tables, columns, indexes or functions of the schema are missing or were changed.",
  HOWDAH_WORKER_RUNNING: "The worker already runs.",
  HOWDAH_WORKER_STOPPED: "The worker was stopped and cannot run again.",
  HOWDAH_CLIENT_CLOSED: "The client was closed.",
  HOWDAH_ABORTED_SHUTDOWN: "The worker is shutting down and its grace period is over.",
  HOWDAH_ABORTED_TIMEOUT: "The job ran longer than its timeout.",
  HOWDAH_ABORTED_CANCELLED: "The job was cancelled.",
  HOWDAH_ABORTED_LOST: "The job no longer belongs to this worker.",
  HOWDAH_UNEXPECTED: "Something failed in a way that Howdah does not know; the cause says how.",
  HOWDAH_EMBEDDED_MISSING: "The optional package with the PostgreSQL binaries is not installed.",
  HOWDAH_EMBEDDED_FAILED: "The embedded PostgreSQL did not start.",
} as const;

/** The code of a {@link HowdahError}: a key of {@link ERROR_CODES}. */
export type HowdahErrorCode = keyof typeof ERROR_CODES;

/** The error class of Howdah. Tell errors apart by `code`, never by message. */
export class HowdahError extends Error {
  /** What went wrong, as a stable string. */
  readonly code: HowdahErrorCode;

  /**
   * @param code - one of {@link ERROR_CODES}
   * @param message - what was found, what is allowed, and what to do
   * @param cause - whatever was thrown before
   */
  constructor(code: HowdahErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "HowdahError";
    this.code = code;
  }
}

/**
 * True when `error` is a Howdah error, of the given code if there is one. It
 * also recognises errors of another copy of this package, which `instanceof`
 * would not.
 */
export function isHowdahError(error: unknown, code?: HowdahErrorCode): error is HowdahError {
  if (!(error instanceof Error) || error.name !== "HowdahError") return false;
  const found = (error as Partial<HowdahError>).code;
  return found !== undefined && (code === undefined ? found in ERROR_CODES : found === code);
}
