import { toDate } from "../job/row.ts";
import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { listErrors } from "../postgres/queries/list-errors.ts";
import type { Count } from "./counts.ts";

/** The errors of jobs that failed for good. */
export interface ErrorList {
  /** Those with the most jobs first. */
  readonly errors: readonly ErrorInfo[];
  /** The newest jobs down to this id were looked at; null when all were. */
  readonly searchedTo: string | null;
}

/** Jobs that failed for good with the same first line of their error. */
export interface ErrorInfo {
  /** That line, its first 500 characters; empty for jobs without an error. */
  readonly message: string;
  /** Exact when all failed jobs were looked at. */
  readonly jobCount: Count;
  /** When the first of them failed: when its last attempt began, or a call marked it as failed. */
  readonly oldestAt: Date;
  /** The id of the newest of the jobs. */
  readonly newestId: string;
  /** When the last of them failed. */
  readonly newestAt: Date;
  /** Their tasks by identifier, 20 at most. */
  readonly tasks: readonly string[];
  /** The same with how many jobs each has, those with the most first. */
  readonly byTask: readonly { readonly task: string; readonly count: number }[];
}

/** Groups the newest failed jobs by the first line of their error. */
export async function readErrors(
  target: CountTarget,
  filter: Parameters<typeof listErrors>[1],
  limit: number,
): Promise<ErrorList> {
  const { groups, asOf, oldestId } = await listErrors(target, filter, limit);
  const errors = groups.map(({ message, jobs, oldestAt, newestId, newestAt, byTask }) => ({
    message,
    jobCount: { value: jobs, exact: oldestId === undefined, asOf: toDate(asOf) },
    oldestAt: toDate(oldestAt),
    newestId,
    newestAt: toDate(newestAt),
    tasks: byTask.map(({ task }) => task).sort(),
    byTask,
  }));
  return { errors, searchedTo: oldestId ?? null };
}
