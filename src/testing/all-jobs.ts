import type { JobInspection, JobListOptions } from "../client/inspect.ts";
import type { Job } from "../job/job.ts";
import { compareIntegers } from "../postgres/position.ts";

/** Every page of a list of jobs, as one list in the order in which they were added. */
export async function allJobs(
  client: Pick<JobInspection, "listJobs">,
  filter: Omit<JobListOptions, "after" | "limit">,
): Promise<Job[]> {
  const all: Job[] = [];
  let after: string | undefined;
  do {
    const { jobs, next } = await client.listJobs({ ...filter, after, limit: 1_000 });
    all.push(...jobs);
    after = next;
  } while (after !== undefined);
  return all.sort((one, other) => compareIntegers(one.id, other.id));
}
