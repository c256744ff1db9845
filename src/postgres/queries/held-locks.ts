import type { Executor } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** Prepares {@link HeldLocks} for one schema. */
export function createHeldLocks(executor: Executor, schema: Schema): HeldLocks {
  const us = schema.of("_howdah_us");

  async function readOne(text: string, values?: readonly (string | null)[]): Promise<string> {
    const { rows } = await executor.query(values ? { text, values } : { text });
    return String(rows[0]?.[0]);
  }

  return {
    async mark({ id, lockedBy, claimTimes }) {
      const text = `select ${schema.of("_howdah_mark_v1")}($1, $2, $3)`;
      return (await readOne(text, [lockedBy, id, numberArray(claimTimes)])) === "t";
    },
    async findLost(locks) {
      const { rows } = await executor.query({
        text: `select id from ${schema.of("_howdah_lost_v1")}($1, $2, $3)`,
        values: [
          numberArray(locks.map(({ id }) => id)),
          textArray(locks.map(({ lockedBy }) => lockedBy)),
          numberArray([...new Set(locks.flatMap(({ claimTimes }) => claimTimes))]),
        ],
      });
      return new Set(rows.map(([id]) => String(id)));
    },
    readTime: () => readOne(`select ${us}(pg_catalog.clock_timestamp())`),
    async renew({ workerId, jobIds, queueIds, lanes = [], claimTimes, renewedAt }) {
      await executor.query({
        text: `select ${schema.of("_howdah_renew_v2")}($1, $2, $3, $4, $5, $6, $7)`,
        values: [
          workerId,
          numberArray(jobIds),
          numberArray(queueIds),
          numberArray(claimTimes),
          renewedAt,
          lanes.length > 0 ? numberArray(lanes.map(({ ownerId }) => ownerId)) : null,
          lanes.length > 0 ? numberArray(lanes.map(({ lane }) => lane)) : null,
        ],
      });
    },
    readServerStart: () => readOne(`select ${us}(pg_catalog.pg_postmaster_start_time())`),
  };
}

/** What is done about the locks of jobs while they run; the functions in `000008-fencing.sql` and `new-lanes.sql` tell how. */
export interface HeldLocks {
  /** Marks a job before its handler is called. Resolves to whether it is still held. */
  mark(lock: HeldLock): Promise<boolean>;
  /** The ids of those that are no longer held. */
  findLost(locks: readonly HeldLock[]): Promise<ReadonlySet<string>>;
  /** The time of the database, in microseconds. */
  readTime(): Promise<string>;
  /** Renews the locks of one worker's jobs and queues as of `renewedAt`, as far as they are still held. */
  renew(renewal: Renewal): Promise<void>;
  /** When the server was started, in microseconds. */
  readServerStart(): Promise<string>;
}

/** A job as its worker believes to hold it. */
export interface HeldLock {
  readonly id: string;
  readonly lockedBy: string;
  /** In microseconds: the lock has one of these times. */
  readonly claimTimes: readonly string[];
}

/** The locks of one worker id that are renewed together. */
export interface Renewal {
  readonly workerId: string;
  readonly jobIds: readonly string[];
  readonly queueIds: readonly number[];
  /** Lanes of queues, and of pools with minus the id of the pool as owner. Default: none. */
  readonly lanes?: readonly HeldLane[];
  /** All times that the locks may have, in microseconds. */
  readonly claimTimes: readonly string[];
  readonly renewedAt: string;
}

/** A lane of a queue or, with minus its id as owner, of a pool. */
export interface HeldLane {
  readonly ownerId: number;
  readonly lane: number;
}
