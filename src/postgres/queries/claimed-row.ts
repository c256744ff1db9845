import type { Row } from "../driver.ts";

/**
 * A job as a claim answers it: the row as it came over the wire, each property
 * decoded when it is asked for, because most handlers never ask for most of them.
 */
export class ClaimedRow {
  readonly #row: Row;
  #extras: ClaimedExtras | null | undefined;

  constructor(row: Row) {
    this.#row = row;
  }

  get id(): string {
    return this.#row[COLUMNS.id] as string;
  }
  get taskId(): number {
    return Number(this.#row[COLUMNS.taskId]);
  }
  /** The id of its named queue. */
  get queueId(): number | null {
    const queueId = this.#row[COLUMNS.queueId];
    return queueId == null ? null : Number(queueId);
  }
  get queueName(): string | null {
    return this.#row[COLUMNS.queueName] ?? null;
  }
  get priority(): number {
    return Number(this.#row[COLUMNS.priority] ?? 0);
  }
  /** In microseconds. */
  get runAt(): string {
    return this.#row[COLUMNS.runAt] as string;
  }
  get attempts(): number {
    return Number(this.#row[COLUMNS.attempts] ?? 1);
  }
  get maxAttempts(): number {
    return Number(this.#row[COLUMNS.maxAttempts] ?? 25);
  }
  /** JSON. */
  get payload(): string {
    return this.#row[COLUMNS.payload] ?? "null";
  }
  /** The lane of its queue that it runs on, from 1; 0 when the queue has rules but no lanes, `null` when it has no rules. */
  get lane(): number | null {
    return this.extras?.lane ?? null;
  }
  /** The lane of a pool that it runs on besides; `null` when there is no pool, or it has no lanes. */
  get pool(): PoolLane | null {
    const { pool, poolLane } = this.extras ?? {};
    return pool === undefined || poolLane === undefined ? null : { id: pool, lane: poolLane };
  }
  /** What few jobs have, each part only where it is worth a word; `null` for all others. */
  get extras(): ClaimedExtras | null {
    const json = this.#row[COLUMNS.extras];
    this.#extras ??= json == null ? null : (JSON.parse(json) as ClaimedExtras);
    return this.#extras;
  }
}

/** A place in what a pool lets run at once. */
export interface PoolLane {
  readonly id: number;
  readonly lane: number;
}

/** What a plain job that is claimed for the first time from a queue without rules does not have. Times are microseconds. */
export interface ClaimedExtras {
  readonly key?: string | null;
  readonly flags?: Readonly<Record<string, unknown>> | null;
  readonly lastError?: string | null;
  readonly revision?: number;
  readonly createdAt?: string;
  readonly updatedAt?: string;
  readonly timeoutMs?: number | null;
  readonly recoveries?: number;
  readonly awaited?: boolean | null;
  readonly lane?: number;
  readonly pool?: number;
  readonly poolLane?: number;
  /** How many jobs its queue may run in its turn. Default 1. */
  readonly share?: number;
  /** Which start of its queue it belongs to, where jobs are gathered and there are no lanes to tell. */
  readonly start?: number;
}

/** Where they stand in the row. No priority is 0; no attempts are 1, the most of them 25. */
const COLUMNS = {
  id: 1,
  taskId: 2,
  queueId: 3,
  queueName: 4,
  priority: 5,
  runAt: 6,
  attempts: 7,
  maxAttempts: 8,
  payload: 9,
  extras: 10,
} as const;
