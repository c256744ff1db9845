import { Option } from "commander";
import type { BulkFilter } from "../../client/bulk.ts";
import type { Client } from "../../client/client.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";

/** `howdah complete`: deletes jobs as if they had run. */
export const completeCommand = changingCommand({
  name: "complete",
  summary: "delete jobs as if they had run, failed ones too",
  examples: ["howdah complete 42", "howdah complete 42 --force", "howdah complete --key welcome:17 --yes"],
  states: ["ready", "scheduled", "failed"],
  options: [new Option("--force", "with ids: first cancel those that run, and wait until their handlers have ended")],
  done: "completed",
  prepare({ force }, ids) {
    if (force === true && ids.length === 0)
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --force goes with the ids of jobs only.");
    return {
      async byId(client, chosen) {
        if (force === true) await stopRunning(client, chosen);
        return changedJobs(await client.completeJobs(chosen));
      },
      preview: (client, filter) => client.completeJobs(filter as IdleFilter, { dryRun: true }),
      byFilter: (client, filter, options) => client.completeJobs(filter as IdleFilter, options),
    };
  },
});

type IdleFilter = BulkFilter<"ready" | "scheduled" | "failed">;

/** How long handlers get to end once they were told to stop. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 250;

/** Tells the running ones to stop, and waits until no worker holds one. Those that go on are left to the caller. */
async function stopRunning(client: Client, ids: readonly string[]): Promise<void> {
  const running = await runningOf(client, ids);
  if (running.length === 0) return;
  await client.cancelJobs(running, "Completed by an operator");
  const deadline = systemClock.monotonic() + PATIENCE_MS;
  while (systemClock.monotonic() < deadline) {
    if ((await runningOf(client, running)).length === 0) return;
    await systemClock.sleep(LOOK_MS);
  }
}

async function runningOf(client: Client, ids: readonly string[]): Promise<string[]> {
  const jobs = await Promise.all(ids.map((id) => client.getJob(id)));
  return jobs.flatMap((job) => (job?.state === "running" ? [job.id] : []));
}
