import type { Executor } from "../../postgres/driver.ts";
import { listMissingNames } from "../../postgres/queries/missing-names.ts";
import type { JobToStore } from "../../postgres/queries/job-to-store.ts";
import { type HowToStoreIds, type StoredJobIds, storeJobIds } from "../../postgres/queries/store-job-ids.ts";
import { type HowToStore, storeJobs } from "../../postgres/queries/store-jobs.ts";
import type { DueJobs, StoredJob, StoredJobs } from "../../postgres/queries/stored-jobs.ts";
import type { Schema } from "../../postgres/schema.ts";
import type { Clock } from "../../runtime/clock.ts";
import { type LaneCall, type Lanes, PATIENCE_MS, type Try } from "../../runtime/lanes.ts";
import type { AddStore } from "./joined-adds.ts";

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
export function storeJobsAndNotify(target: JobTarget, jobs: readonly JobToStore[]): Promise<StoredJobs> {
  return storeBulk(target, jobs, (how) => storeJobs(jobs, { ...how, kind: "bulk" }));
}

/** As {@link storeJobsAndNotify}, but nothing is read back except the ids. */
export function storeJobIdsAndNotify(target: JobTarget, jobs: readonly JobToStore[]): Promise<StoredJobIds> {
  return storeBulk(target, jobs, (how) => storeJobIds(jobs, how));
}

/** Stores what `JoinedAdds` sends: in one statement each job is stored as it would be alone. */
export class JoinableStore implements AddStore {
  readonly #target: JobTarget;

  constructor(target: JobTarget) {
    this.#target = target;
  }

  alone(job: JobToStore): Promise<StoredJob | undefined> {
    return storeJobAndNotify(this.#target, job);
  }

  async together(jobs: readonly JobToStore[]): Promise<readonly (StoredJob | undefined)[]> {
    const stored = await storeAndNotify(this.#target, jobs, { kind: "joined", patienceMs: PATIENCE_MS });
    return jobs.map((_, index) => stored.at(index));
  }
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
  return addCall(waits, { ...target, jobs: [job] }, (executor, patienceMs) =>
    storeSingle({ ...target, executor }, job, patienceMs),
  );
}

async function storeSingle(target: StoreTarget, job: JobToStore, patienceMs?: number): Promise<StoredJob | undefined> {
  const stored = await storeAndNotify(target, [job], { kind: "single", patienceMs });
  return stored.at(0);
}

/** A bulk add leaves it to the announcer to notify the workers, whatever else is under way. */
function storeBulk<Stored extends WithDue>(
  target: JobTarget,
  jobs: readonly JobToStore[],
  store: Store<Stored>,
): Promise<Stored> {
  const { schema, waits, announcer } = target;
  const notifies = announcer === undefined;
  const tryOnce: TryToAdd<Stored> = async (executor, patienceMs) => {
    const stored = await store({ executor, schema, notifies, patienceMs });
    if (stored.due) announcer?.added(stored.due);
    return stored;
  };
  return waits ? waits.lanes.run(addCall(waits, { ...target, jobs }, tryOnce)) : tryOnce(target.executor);
}

/** Sends the statement of a bulk add. */
type Store<Stored> = (how: HowToStoreIds) => Promise<Stored>;

/** What a statement answers of the jobs that workers are to be notified of. */
interface WithDue {
  readonly due: DueJobs | undefined;
}

/**
 * Decides who notifies the workers: the statement itself in a transaction of the
 * application, where nothing can follow its commit, and when the announcer lets
 * an add do so; otherwise the announcer, after the commit.
 */
async function storeAndNotify(
  { executor, schema, announcer }: StoreTarget,
  jobs: readonly JobToStore[],
  { kind, patienceMs }: Pick<HowToStore, "kind" | "patienceMs">,
): Promise<StoredJobs> {
  const notifies = announcer?.begun() ?? true;
  let stored: StoredJobs;
  try {
    stored = await storeJobs(jobs, { executor, schema, kind, notifies, patienceMs });
  } finally {
    announcer?.ended();
  }
  const due = notifies ? undefined : stored.due;
  if (due) announcer?.added(due);
  return stored;
}

/** What adds need to wait for transactions of others without keeping a connection. */
export interface AddWaits {
  readonly lanes: Lanes;
  readonly clock: Pick<Clock, "monotonic">;
  /** Runs what had to wait before. */
  readonly executor: Executor;
}

/** An add, tried with an executor for as long as its patience allows. */
type TryToAdd<T> = (executor: Executor, patienceMs?: number) => Promise<T>;

/** The lane of those that add or remove a job with this key: they come one after another. */
export function laneOfKey(jobKey: string): string {
  return `key:${jobKey}`;
}

/** Whether an add of this job may be tried at once: it has no key, and no other one waits for its names. */
function goesFirst({ lanes }: AddWaits, job: JobToStore): boolean {
  if (job.jobKey !== null) return false;
  return !lanes.hasGates || !gatesOf(job).some((gate) => lanes.hasGate(gate));
}

/**
 * How jobs are added that may have to wait: in the order of their calls where
 * they have the same key. Those that wait for the same new name let one of them
 * go ahead, and those that wait for something else, such as the trigger of a
 * user, for none.
 */
function addCall<T>(
  { executor: repeating, lanes }: AddWaits,
  { executor, schema, jobs }: AddToCall,
  tryOnce: TryToAdd<T>,
): LaneCall<T> {
  return {
    lanes: {
      inOrder: jobs.flatMap(({ jobKey }) => (jobKey === null ? [] : laneOfKey(jobKey))),
      // There are none nearly always, and there may be very many jobs.
      gates: lanes.hasGates ? [...new Set(jobs.flatMap(gatesOf))].filter((gate) => lanes.hasGate(gate)) : [],
    },
    attempt: ({ isRepeated, patienceMs }: Try) => tryOnce(isRepeated ? repeating : executor, patienceMs),
    async gates() {
      const names = {
        tasks: [...new Set(jobs.map(({ identifier }) => identifier))],
        queues: [...new Set(jobs.flatMap(({ queueName }) => queueName ?? []))],
      };
      // Unless it can be told, it waits for none of the others.
      const missing = await listMissingNames(repeating, schema, names).catch(() => undefined);
      return [...(missing?.tasks ?? []).map(gateOfTask), ...(missing?.queues ?? []).map(gateOfQueue)];
    },
  };
}

/** What {@link addCall} is made of. */
interface AddToCall {
  /** Runs the first try. */
  readonly executor: Executor;
  readonly schema: Schema;
  readonly jobs: readonly JobToStore[];
}

function gatesOf({ identifier, queueName }: JobToStore): string[] {
  return queueName === null ? [gateOfTask(identifier)] : [gateOfTask(identifier), gateOfQueue(queueName)];
}

function gateOfTask(identifier: string): string {
  return `task:${identifier}`;
}

function gateOfQueue(queueName: string): string {
  return `queue:${queueName}`;
}
