import { HowdahError } from "../../errors.ts";
import type { StoredJob, StoredJobs } from "../../postgres/queries/stored-jobs.ts";
import type { AddedJob } from "../job.ts";
import { toJob, toNewJob } from "../row.ts";
import type { PreparedJob } from "./prepare-job.ts";

/** The jobs of one call of which some have a rule. Throws {@link NotUniqueError} when one of them is rejected. */
export function readUniqueJobs(stored: StoredJobs, jobs: readonly PreparedJob[]): AddedJob[] {
  const all = jobs.map((_, index) => stored.at(index));
  const rejected = all.findIndex((job) => job?.outcome === "rejected");
  const [first, job] = [all[rejected], jobs[rejected]];
  if (first && job) throw new NotUniqueError(`jobs[${rejected}]`, job, first.id);
  return all.flatMap((found, index) => {
    const given = jobs[index];
    return found && given ? readUniqueJob(found, given) : [];
  });
}

/**
 * A job with a rule: as it was stored, or the one that was found. Throws
 * {@link NotUniqueError} when the add is rejected. `subject` is the job in messages.
 */
export function readUniqueJob(stored: StoredJob, job: PreparedJob, subject = "The job"): AddedJob {
  const { id, whole, outcome = "added" } = stored;
  if (outcome === "rejected") throw new NotUniqueError(subject, job, id);
  if (whole) {
    const { identifier, payload } = job;
    return { ...toJob(whole, { identifier, queueName: null, payload }), outcome };
  }
  return { ...toNewJob(stored, job), jobKey: job.jobKey, outcome, hasEnded: true };
}

/** What an add rejects with whose job is not unique, with `otherwise: "reject"`. Its code is `HOWDAH_JOB_NOT_UNIQUE`. */
export class NotUniqueError extends HowdahError {
  /** The job that has the key, or had it; `undefined` when it is another one of the same call. */
  readonly jobId: string | undefined;

  constructor(subject: string, { identifier }: PreparedJob, id: string) {
    const other = id === "" ? "another job of the same call is like it" : `job ${id} is like it`;
    super("HOWDAH_JOB_NOT_UNIQUE", `${subject} of task ${identifier} was not added, because ${other}.`);
    this.jobId = id === "" ? undefined : id;
  }
}
