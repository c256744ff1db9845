import {
  addJob,
  addJobs,
  dueAmong,
  type DueJobs,
  type JobStore,
  type JobToStore,
  type StoredJob,
} from "../../postgres/queries/add-jobs.ts";
import { addNewJobs, type StoredTogether } from "../../postgres/queries/add-new-jobs.ts";
import { addPlainJob, isPlain } from "../../postgres/queries/add-plain-job.ts";
import type { Clock } from "../../runtime/clock.ts";
import { type LaneCall, PATIENCE_MS } from "../../runtime/lanes.ts";
import { addCall, type AddWaits, goesFirst, type TryToAdd } from "./add-waits.ts";
import { JoinedAdds } from "./joined-adds.ts";

/** Where jobs are stored, and who tells the workers of them. */
export interface StoreTarget extends Pick<JobStore, "executor" | "schema"> {
  /** Told of jobs that are committed and due. Without it the statement tells the workers, when it commits. */
  readonly announcer?: AddAnnouncer | undefined;
}

/** Where jobs are stored, and how they wait for transactions of others. */
export interface JobTarget extends StoreTarget {
  /** Without it an add waits in its statement: it is part of a transaction that has its connection anyway. */
  readonly waits?: AddWaits | undefined;
}

/** Tells workers of adds after their commit, unless an add shall do that itself. */
export interface AddAnnouncer {
  /** A statement that adds jobs begins. True when it may tell the workers itself, with its commit. `ended` has to follow. */
  begun(): boolean;
  /** That statement has ended, however. */
  ended(): void;
  /** These jobs have been committed untold. */
  added(jobs: AddedJobs): void;
}

/** Jobs that were committed and are due, or will be in a moment. */
export type AddedJobs = DueJobs;

/**
 * Stores one job with a statement of its own, and sees to it that workers hear
 * of it. While it waits for transactions of others it keeps no connection.
 */
export async function storeAlone(target: JobTarget, job: JobToStore): Promise<StoredJob> {
  const { waits } = target;
  if (!waits) return storeOnce(target, job);
  const { lanes } = waits;
  if (!goesFirst(waits, job)) return lanes.run(callOf(target, waits, job));
  // As most adds: nothing is made that only those need that have to wait.
  const sentAt = waits.clock.monotonic();
  const patienceMs = lanes.trying();
  let failure: unknown;
  try {
    return await storeOnce(target, job, patienceMs);
  } catch (error) {
    if (!lanes.isHeld(error, patienceMs, sentAt)) throw error;
    failure = error;
  } finally {
    lanes.tried();
  }
  return lanes.runAgain(callOf(target, waits, job), failure);
}

function callOf(target: JobTarget, waits: AddWaits, job: JobToStore): LaneCall<StoredJob> {
  return addCall(waits, {
    ...target,
    jobs: [job],
    tryOnce: (executor, patienceMs) => storeOnce({ ...target, executor }, job, patienceMs),
  });
}

async function storeOnce(target: StoreTarget, job: JobToStore, patienceMs?: number): Promise<StoredJob> {
  const { executor, schema, announcer } = target;
  const notifies = announcer?.begun() ?? true;
  const storing = (isPlain(job) ? addPlainJob : addJob)({ executor, schema, notifies, patienceMs }, job);
  const stored = await storing.finally(() => announcer?.ended());
  const due = notifies || wasThere(stored, job) ? undefined : dueAmong([stored]);
  if (due) announcer?.added(due);
  return stored;
}

/** Stores all jobs or none, in one statement and in order, otherwise as {@link storeAlone}. */
export async function storeAll(target: JobTarget, jobs: readonly JobToStore[]): Promise<Pick<StoredTogether, "at">> {
  const { waits } = target;
  if (!waits) return storeAllOnce(target, jobs);
  const tryOnce: TryToAdd<StoredTogether> = (executor, patienceMs) =>
    storeAllOnce({ ...target, executor }, jobs, patienceMs);
  return waits.lanes.run(addCall(waits, { ...target, jobs, tryOnce }));
}

async function storeAllOnce(
  { executor, schema, announcer }: StoreTarget,
  jobs: readonly JobToStore[],
  patienceMs?: number,
): Promise<StoredTogether> {
  const store = { executor, schema, notifies: announcer === undefined, patienceMs };
  const stored = jobs.every(({ jobKey }) => jobKey === null)
    ? await addNewJobs(store, jobs)
    : inOrder(await addJobs(store, jobs));
  if (stored.due) announcer?.added(stored.due);
  return stored;
}

function inOrder(stored: readonly StoredJob[]): StoredTogether {
  return { at: (index) => stored[index], due: dueAmong(stored) };
}

/** Lets single adds share statements, in which each of them is stored as it would be alone. */
export function createJoinedAdds(target: JobTarget, clock: Clock): JoinedAdds {
  const { executor, schema, announcer } = target;
  return new JoinedAdds({
    clock,
    alone: (job) => storeAlone(target, job),
    async together(jobs) {
      const notifies = announcer?.begun() ?? true;
      const storing = addNewJobs({ executor, schema, notifies }, jobs, { strangersPatienceMs: PATIENCE_MS });
      const stored = await storing.finally(() => announcer?.ended());
      if (stored.due && !notifies) announcer?.added(stored.due);
      return jobs.map((_, index) => stored.at(index) as StoredJob);
    },
  });
}

/** True for a job that was found by its key and left as it was. */
function wasThere({ row, isNew }: StoredJob, { jobKeyMode }: JobToStore): boolean {
  return !isNew && jobKeyMode === "unsafe_dedupe" && row[REVISION] !== "0";
}

/** The place of the revision in a whole row. */
const REVISION = 12;
