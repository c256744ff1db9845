/** A job to store. Null takes the default of the database. */
export interface JobToStore {
  readonly identifier: string;
  /** JSON. */
  readonly payload: string;
  readonly queueName: string | null;
  /** A time or a delay, see `run-times.ts`. */
  readonly runAt: string | null;
  readonly maxAttempts: number | null;
  readonly jobKey: string | null;
  readonly jobKeyMode: string;
  readonly priority: number | null;
  readonly flags: readonly string[] | null;
  readonly timeoutMs: number | null;
}
