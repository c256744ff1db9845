import { Option } from "commander";
import type { BulkFilter } from "../../client/bulk.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";

/** `howdah fail`: marks jobs as failed for good. */
export const failCommand = changingCommand({
  name: "fail",
  summary: "mark waiting jobs as failed for good",
  examples: ["howdah fail 42 --reason 'the account is closed'", "howdah fail --queue mail --yes"],
  states: ["ready", "scheduled"],
  options: [new Option("--reason <text>", "becomes the last error (default: Manually marked as failed)")],
  done: "marked as failed",
  prepare({ reason }) {
    const why = reason as string | undefined;
    return {
      byId: async (client, ids) => changedJobs(await client.permanentlyFailJobs(ids, why)),
      preview: (client, filter) => client.permanentlyFailJobs(filter as WaitingFilter, why, { dryRun: true }),
      byFilter: (client, filter, options) => client.permanentlyFailJobs(filter as WaitingFilter, why, options),
    };
  },
});

type WaitingFilter = BulkFilter<"ready" | "scheduled">;
