import type { JobToStore } from "../../postgres/queries/store-jobs.ts";
import type { Executor } from "../../postgres/driver.ts";
import { listMissingNames } from "../../postgres/queries/missing-names.ts";
import type { Schema } from "../../postgres/schema.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { LaneCall, Lanes, Try } from "../../runtime/lanes.ts";

/** What adds need to wait for transactions of others without keeping a connection. */
export interface AddWaits {
  readonly lanes: Lanes;
  readonly clock: Pick<Clock, "monotonic">;
  /** Runs what had to wait before. */
  readonly executor: Executor;
}

/** An add, tried with an executor for as long as its patience allows. */
export type TryToAdd<T> = (executor: Executor, patienceMs: number) => Promise<T>;

/** The lane of those that add or remove a job with this key: they come one after another. */
export function laneOfKey(jobKey: string): string {
  return `key:${jobKey}`;
}

/** Whether an add of this job may be tried at once: it has no key, and no other one waits for its names. */
export function goesFirst({ lanes }: AddWaits, job: JobToStore): boolean {
  if (job.jobKey !== null) return false;
  return !lanes.hasGates || !gatesOf(job).some((gate) => lanes.hasGate(gate));
}

/**
 * How jobs are added that may have to wait: in the order of their calls where
 * they have the same key. Those that wait for the same new name let one of them
 * go ahead, and those that wait for something else, such as the trigger of a
 * user, for nobody.
 */
export function addCall<T>(
  { executor: repeating, lanes }: AddWaits,
  { executor, schema, jobs, tryOnce }: AddToCall<T>,
): LaneCall<T> {
  return {
    lanes: {
      inOrder: jobs.flatMap(({ jobKey }) => (jobKey === null ? [] : laneOfKey(jobKey))),
      gates: [...new Set(jobs.flatMap(gatesOf))].filter((gate) => lanes.hasGate(gate)),
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
export interface AddToCall<T> {
  /** Runs the first try. */
  readonly executor: Executor;
  readonly schema: Schema;
  readonly jobs: readonly JobToStore[];
  readonly tryOnce: TryToAdd<T>;
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
