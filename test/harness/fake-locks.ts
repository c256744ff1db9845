import type { HeldLock, HeldLocks, Renewal } from "../../src/postgres/queries/held-locks.ts";

/** Locks in memory: everything is held that was not taken away. */
export interface FakeLocks extends HeldLocks {
  /** What was renewed, the earliest first. */
  readonly renewals: readonly Renewal[];
  /** The ids that were marked. */
  readonly marked: readonly string[];
  /** In microseconds; 0 at first. */
  time: bigint;
  /** When the server was started. */
  serverStart: string;
  /** Lets N calls fail, from the next one on. */
  fail(count: number): void;
  /** This job is no longer held. */
  take(jobId: string): void;
}

/** Creates locks of which all are held. */
export function createFakeLocks(): FakeLocks {
  const renewals: Renewal[] = [];
  const marked: string[] = [];
  const taken = new Set<string>();
  let failures = 0;

  async function answer<T>(value: () => T): Promise<T> {
    if (failures === 0) return value();
    failures -= 1;
    throw new Error("The database is not there.");
  }

  const locks: FakeLocks = {
    renewals,
    marked,
    time: 0n,
    serverStart: "1",
    fail: (count) => void (failures = count),
    take: (jobId) => void taken.add(jobId),
    mark: ({ id }: HeldLock) =>
      answer(() => {
        if (!taken.has(id)) marked.push(id);
        return !taken.has(id);
      }),
    findLost: (held) => answer(() => new Set(held.map(({ id }) => id).filter((id) => taken.has(id)))),
    readTime: () => answer(() => String(locks.time)),
    renew: (renewal) => answer(() => void renewals.push(renewal)),
    readServerStart: () => answer(() => locks.serverStart),
  };
  return locks;
}
