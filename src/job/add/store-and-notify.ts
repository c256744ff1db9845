import { type HowToStore, type JobToStore, storeJobs } from "../../postgres/queries/store-jobs.ts";
import type { DueJobs, StoredJob, StoredJobs } from "../../postgres/queries/stored-jobs.ts";
import type { Clock } from "../../runtime/clock.ts";
import { type LaneCall, PATIENCE_MS } from "../../runtime/lanes.ts";
import { addCall, type AddWaits, goesFirst, type TryToAdd } from "./add-waits.ts";
import { JoinedAdds } from "./joined-adds.ts";

/**
 * Stores one job with a statement of its own, and sees to it that workers are
 * notified. While it waits for transactions of others it keeps no connection.
 * Resolves to `undefined` when a trigger has kept the job from being stored.
 */
export async function storeJobAndNotify(target: JobTarget, job: JobToStore): Promise<StoredJob | undefined> {
  const { waits } = target;
  if (!waits) return storeSingle(target, job);
  const { lanes } = waits;
  if (!goesFirst(waits, job)) return lanes.run(callOf(target, waits, job));
  // As most adds: nothing is made that only those need that have to wait.
  const sentAt = waits.clock.monotonic();
  const patienceMs = lanes.trying();
  let failure: unknown;
  try {
    return await storeSingle(target, job, patienceMs);
  } catch (error) {
    if (!lanes.isHeld(error, patienceMs, sentAt)) throw error;
    failure = error;
  } finally {
    lanes.tried();
  }
  return lanes.runAgain(callOf(target, waits, job), failure);
}

/** Stores all jobs or none, in one statement and in order, otherwise as {@link storeJobAndNotify}. */
export async function storeJobsAndNotify(target: JobTarget, jobs: readonly JobToStore[]): Promise<StoredJobs> {
  const { waits } = target;
  if (!waits) return storeAndNotify(target, jobs, { kind: "bulk" });
  const tryOnce: TryToAdd<StoredJobs> = (executor, patienceMs) =>
    storeAndNotify({ ...target, executor }, jobs, { kind: "bulk", patienceMs });
  return waits.lanes.run(addCall(waits, { ...target, jobs, tryOnce }));
}

/** Lets single adds share statements, in which each of them is stored as it would be alone. */
export function createJoinedAdds(target: JobTarget, clock: Clock): JoinedAdds {
  return new JoinedAdds({
    clock,
    alone: (job) => storeJobAndNotify(target, job),
    async together(jobs) {
      const stored = await storeAndNotify(target, jobs, { kind: "joined", patienceMs: PATIENCE_MS });
      return jobs.map((_, index) => stored.at(index));
    },
  });
}

/** Where jobs are stored, and who notifies the workers. */
export interface StoreTarget extends Pick<HowToStore, "executor" | "schema"> {
  /** Hears of jobs that are committed and due. Without it the statement notifies the workers, when it commits. */
  readonly announcer?: AddAnnouncer | undefined;
}

/** Where jobs are stored, and how they wait for transactions of others. */
export interface JobTarget extends StoreTarget {
  /** Without it an add waits in its statement: it is part of a transaction that has its connection anyway. */
  readonly waits?: AddWaits | undefined;
}

/** Notifies workers of adds after their commit, unless an add is to do that itself. */
export interface AddAnnouncer {
  /** A statement that adds jobs begins. True when it may notify the workers itself, with its commit. `ended` has to follow. */
  begun(): boolean;
  /** That statement has ended, however. */
  ended(): void;
  /** These jobs have been committed, and workers have not been notified. */
  added(jobs: DueJobs): void;
}

function callOf(target: JobTarget, waits: AddWaits, job: JobToStore): LaneCall<StoredJob | undefined> {
  return addCall(waits, {
    ...target,
    jobs: [job],
    tryOnce: (executor, patienceMs) => storeSingle({ ...target, executor }, job, patienceMs),
  });
}

async function storeSingle(target: StoreTarget, job: JobToStore, patienceMs?: number): Promise<StoredJob | undefined> {
  const stored = await storeAndNotify(target, [job], { kind: "single", patienceMs });
  return stored.at(0);
}

/**
 * Decides who notifies the workers: the statement itself in a transaction of the
 * application, where nothing can follow its commit, and when the announcer lets
 * an add do so; otherwise the announcer, after the commit. A bulk add always
 * leaves it to the announcer.
 */
async function storeAndNotify(
  { executor, schema, announcer }: StoreTarget,
  jobs: readonly JobToStore[],
  { kind, patienceMs }: Pick<HowToStore, "kind" | "patienceMs">,
): Promise<StoredJobs> {
  const asking = kind === "bulk" ? undefined : announcer;
  const notifies = asking?.begun() ?? announcer === undefined;
  let stored: StoredJobs;
  try {
    stored = await storeJobs(jobs, { executor, schema, kind, notifies, patienceMs });
  } finally {
    asking?.ended();
  }
  const due = notifies ? undefined : stored.due;
  if (due) announcer?.added(due);
  return stored;
}
