import type { CountTarget } from "./count-jobs.ts";
import { levels, PLAIN, QUEUED } from "./running-jobs.ts";

/**
 * Since when the oldest due jobs wait that no worker has claimed: one probe of
 * an index for each priority, and one for the jobs in queues, past the claimed
 * jobs at the head. Where these are more than can be looked at, none is found.
 */
export async function readOldestDue({ executor, schema }: CountTarget): Promise<OldestDueTimes> {
  const jobs = schema.of("_private_jobs");
  const us = schema.of("_howdah_us");
  const oldest = (where: string): string => `
    select greatest(job.run_at, job.created_at) as since from (
      select job.run_at, job.created_at, job.locked_at from ${jobs} as job
      where ${where} and job.run_at operator(pg_catalog.<=) pg_catalog.now()
      order by job.run_at, job.id limit ${MOST_CLAIMED}
    ) as job where job.locked_at is null limit 1`;
  const text = `
with recursive ${levels(schema)}
select ${us}((
    select pg_catalog.min(job.since) from level
    cross join lateral (${oldest(`${PLAIN} and job.priority operator(pg_catalog.=) level.priority`)}) as job
  )),
  ${us}((${oldest(QUEUED)})), ${us}(pg_catalog.now())`;
  const [[plain = null, queued = null, asOf] = []] = (await executor.query({ name: "oldest_due", text })).rows;
  return { plain, queued, asOf: asOf ?? "0" };
}

/** Times in microseconds since 1970; null where no due job waits. */
export interface OldestDueTimes {
  /** Of the jobs without a queue. */
  readonly plain: string | null;
  /** Of the jobs in queues. */
  readonly queued: string | null;
  readonly asOf: string;
}

/** How many claimed jobs before the first that waits are looked past. */
const MOST_CLAIMED = 3_000;
