/** From when on something is worth a word. */
export const LIMITS = {
  /** Between the clocks of this process and the database. */
  skewNoteSeconds: 1,
  skewWarnSeconds: 30,
  /** The share of `max_connections` that is in use. */
  connectionsWarn: 0.8,
  /** How long a transaction may be open that holds back vacuum. */
  openWarnSeconds: 300,
  openFailSeconds: 3_600,
  /** How many transactions a slot, a prepared transaction or a standby may hold back. */
  heldBackWarn: 1_000_000,
  /** Dead rows, when there are more of them than living ones. */
  deadWarn: 100_000,
  /** The share of updates that leave the indexes alone, of at least this number of updates. */
  hotWarn: 0.9,
  updatesJudged: 10_000,
  /** How many times as large as its rows need a table or an index may be, from this number of bytes on. */
  sizeWarn: 4,
  sizeJudgedBytes: 100_000_000,
  /** How long a vacuum may take, and how long one may be blocked. */
  vacuumWarnSeconds: 3_600,
  vacuumBlockedWarnSeconds: 60,
  /** How long a worker may be silent. */
  silentWarnSeconds: 20,
  /** How long a job may be due. */
  dueWarnSeconds: 300,
  /** How long a queue may be locked, and how long by a worker that is not registered. */
  lockedWarnSeconds: 3_600,
  lockedByNoneFailSeconds: 300,
  /** How many failed jobs may be kept. */
  failedWarn: 10_000,
  /** How long a statement may take that does nothing, in milliseconds. */
  roundTripNoteMs: 20,
  /** The share of the notification queue that is filled. */
  notificationsWarn: 0.1,
  notificationsFail: 0.5,
  /** How long a session may wait for a lock on one of the tables. */
  lockWaitWarnSeconds: 5,
  /** The age of the oldest transaction id, as a share of `autovacuum_freeze_max_age`. */
  freezeNote: 0.5,
  freezeWarn: 1,
  /** The share of the numbers of a sequence that are used. */
  sequenceWarn: 0.5,
  /** Queues without jobs. */
  unusedQueuesNote: 1_000,
} as const;

/** The limits, any of which may be another number. */
export type Limits = { readonly [Name in keyof typeof LIMITS]: number };
