import type { Client } from "../client/client.ts";
import type { Job } from "../job/job.ts";
import { allJobs } from "./all-jobs.ts";

/**
 * Lets time pass until the next waiting job comes due, at most `mostMs`, by
 * moving every waiting job towards now: the clock of the database, which decides
 * what is due, stands as it is. Resolves with how much that was, or with
 * `undefined` and nothing changed when no job comes due in that time.
 */
export async function passToNextJob(client: Client, mostMs: number): Promise<number | undefined> {
  if (mostMs <= 0) return undefined;
  const { jobs, now } = await waiting(client);
  const next = jobs.reduce((first, { runAt }) => Math.min(first, runAt.getTime()), Number.POSITIVE_INFINITY);
  // At least one: it is due when its time has come, not when it is about to.
  const passedMs = Math.max(1, Math.ceil(next - now));
  if (!(passedMs <= mostMs)) return undefined;
  await moveAll(client, jobs, passedMs);
  return passedMs;
}

/** Lets time pass in which nothing comes due. */
export async function passTime(client: Client, ms: number): Promise<void> {
  if (ms > 0) await moveAll(client, (await waiting(client)).jobs, ms);
}

/** The jobs that are due later, and the time of the database. */
async function waiting(client: Client): Promise<{ readonly jobs: readonly Job[]; readonly now: number }> {
  const jobs = await allJobs(client, { state: "scheduled" });
  const { scheduled } = await client.stats();
  return { jobs, now: scheduled.asOf.getTime() };
}

async function moveAll(client: Client, jobs: readonly Job[], ms: number): Promise<void> {
  const byTime = new Map<number, string[]>();
  for (const { id, runAt } of jobs) {
    const time = runAt.getTime();
    const ids = byTime.get(time);
    if (ids) ids.push(id);
    else byTime.set(time, [id]);
  }
  for (const [time, ids] of byTime) await client.rescheduleJobs(ids, { runAt: new Date(time - ms) });
}
