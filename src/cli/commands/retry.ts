import type { BulkFilter } from "../../client/bulk.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";

/** `howdah retry`: lets jobs that failed for good run again. */
export const retryCommand = changingCommand({
  name: "retry",
  summary: "let failed jobs run again, at once and with all their attempts",
  examples: [
    "howdah retry 42 43",
    "howdah retry --task send_email --dry-run",
    "howdah retry --error ECONNREFUSED --since 2030-01-31T08:00:00Z --yes",
  ],
  states: ["failed"],
  done: "retried",
  prepare: () => ({
    byId: async (client, ids) => changedJobs(await client.retryJobs(ids)),
    preview: (client, filter) => client.retryJobs(filter as BulkFilter<"failed">, { dryRun: true }),
    byFilter: (client, filter, options) => client.retryJobs(filter as BulkFilter<"failed">, options),
  }),
});
