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
  /** Its result is kept. Default false. */
  readonly awaited?: boolean | undefined;
  /** What becomes of it when its key is taken; without it `jobKeyMode` says that. */
  readonly unique?: UniqueRule | undefined;
}

/** What becomes of an add whose key is taken, and for how long it is; see `_howdah_add_unique_jobs_v1`. */
export interface UniqueRule {
  readonly while: "waiting" | "unfinished";
  readonly otherwise: "keep" | "replace" | "reject";
  readonly forMs?: number | undefined;
  readonly latestMs?: number | undefined;
  readonly same?: boolean | undefined;
}
