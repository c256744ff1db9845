import { AssertionError } from "node:assert";
import type { PayloadOf } from "../job/add/job-entry.ts";
import type { Job } from "../job/job.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { addedJobs, type AddedJobsSource, type AssertedJob, type WantedJob } from "./added-jobs.ts";
import { reportAdded } from "./added-report.ts";

/**
 * Asserts that jobs of a task were added which are like `wanted`, at least one,
 * or as many as `times` says. Resolves with them, so that more can be asserted.
 * Rejects with an `AssertionError` that shows what was added instead.
 */
export async function assertAdded<T extends AnyTaskDeclaration | string>(
  source: AddedJobsSource,
  task: T,
  { times, ...wanted }: AssertedJob<PayloadOf<T>> = {},
): Promise<Job<PayloadOf<T>>[]> {
  const found = await addedJobs<T>(source, { ...wanted, task });
  if (times === undefined ? found.length > 0 : found.length === times) return found;
  const report = await reportAdded(source, task, { times, ...wanted });
  throw new AssertionError({ message: report, actual: found.length, expected: times ?? 1, operator: "assertAdded" });
}

/** Asserts that no job of a task was added which is like `wanted`. Rejects with an `AssertionError` that shows those that were. */
export async function assertNotAdded<T extends AnyTaskDeclaration | string>(
  source: AddedJobsSource,
  task: T,
  wanted: WantedJob<PayloadOf<T>> = {},
): Promise<void> {
  const found = await addedJobs<T>(source, { ...wanted, task });
  if (found.length === 0) return;
  const report = await reportAdded(source, task, { times: 0, ...wanted });
  throw new AssertionError({ message: report, actual: found.length, expected: 0, operator: "assertNotAdded" });
}
