import type { TransactionClient } from "../../src/client/client.ts";
import type { RawJob } from "../../src/job/add/job-entry.ts";
import type { Job } from "../../src/job/job.ts";

/** A way to add jobs in bulk, which gives them as they are stored. */
export type BulkAdd = (client: BulkClient, jobs: readonly RawJob[]) => Promise<Job[]>;

/** Anything that adds jobs in bulk. */
export type BulkClient = Pick<TransactionClient, "addJobs" | "getJob">;

/** Both forms of `addJobs`: what is promised of one is promised of the other. */
export const BULK_ADDS: readonly (readonly [name: string, add: BulkAdd])[] = [
  ["addJobs", (client, jobs) => client.addJobs(jobs)],
  ["addJobs for ids", addForIds],
];

async function addForIds(client: BulkClient, jobs: readonly RawJob[]): Promise<Job[]> {
  const added = await client.addJobs(jobs, { returning: "ids" });
  const found: Job[] = [];
  for (const { id, ...others } of added) {
    const job = await client.getJob(id);
    if (!job || "finishedAt" in job || Object.keys(others).length > 0)
      throw new Error(`Not the id of a job alone: ${id}`);
    found.push(job);
  }
  return found;
}
