import { inspect } from "node:util";
import type { Job } from "../job/job.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { addedJobs, type AddedJobsSource, type AssertedJob } from "./added-jobs.ts";

/** Why an assertion about added jobs failed: what it wanted, and what there is. */
export async function reportAdded(
  source: AddedJobsSource,
  task: AnyTaskDeclaration | string,
  { times, ...wanted }: AssertedJob,
): Promise<string> {
  const identifier = typeof task === "string" ? task : task.identifier;
  const { state } = wanted;
  const [ofTask, all] = [await addedJobs(source, { task, state }), await addedJobs(source, { state })];
  const like = Object.keys(wanted).length === 0 ? "" : ` like ${show(wanted)}`;
  const jobs = `of task ${JSON.stringify(identifier)}${like}`;
  const many =
    times === undefined ? "a job" : times === 0 ? "no job" : times === 1 ? "exactly 1 job" : `exactly ${times} jobs`;
  if (ofTask.length > 0) return `Expected ${many} ${jobs} to be added. Added of this task:\n${listed(ofTask)}`;
  if (all.length > 0) return `Expected ${many} ${jobs} to be added. Added of other tasks:\n${listed(all)}`;
  return `Expected ${many} ${jobs} to be added. No job was added.`;
}

/** The most jobs that a message names. */
const MAX_LISTED = 10;

function listed(jobs: readonly Job[]): string {
  const lines = jobs.slice(0, MAX_LISTED).map((job) => `  ${job.task} ${show(told(job))}`);
  const more = jobs.length - MAX_LISTED;
  return [...lines, ...(more > 0 ? [`  and ${more} more`] : [])].join("\n");
}

/** What of a job its add has said. */
function told({ payload, queueName, jobKey, priority, maxAttempts, flags, runAt, state }: Job): object {
  return {
    payload,
    ...(queueName === null ? {} : { queueName }),
    ...(jobKey === null ? {} : { jobKey }),
    ...(priority === 0 ? {} : { priority }),
    ...(maxAttempts === 25 ? {} : { maxAttempts }),
    ...(flags.length === 0 ? {} : { flags }),
    ...(state === "scheduled" ? { runAt } : {}),
  };
}

function show(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: Number.POSITIVE_INFINITY });
}
