import type { BulkFilter } from "../../client/bulk.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";

/** `howdah remove`: deletes jobs that no worker runs. */
export const removeCommand = changingCommand({
  name: "remove",
  summary: "delete jobs that no worker runs, failed ones too",
  examples: ["howdah remove 42", "howdah remove --key welcome:17 --yes", "howdah remove --state failed --dry-run"],
  states: ["ready", "scheduled", "failed"],
  done: "removed",
  prepare: () => ({
    byId: async (client, ids) => changedJobs(await client.removeJobs(ids)),
    preview: (client, filter) => client.removeJobs(filter as IdleFilter, { dryRun: true }),
    byFilter: (client, filter, options) => client.removeJobs(filter as IdleFilter, options),
  }),
});

type IdleFilter = BulkFilter<"ready" | "scheduled" | "failed">;
