import { Option } from "commander";
import type { BulkFilter } from "../../client/bulk.ts";
import type { CancelFilter } from "../../client/control.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";
import { checkDuration, parseMaxAttempts } from "../values.ts";

/** `howdah cancel`: deletes waiting jobs, aborts running ones. */
export const cancelCommand = changingCommand({
  name: "cancel",
  summary: "cancel jobs: delete waiting ones, abort running ones",
  examples: [
    "howdah cancel 42 43 --reason 'not needed any more'",
    "howdah cancel --task send_email --state scheduled",
    "howdah cancel --queue mail --yes",
  ],
  states: ["ready", "scheduled", "running"],
  options: [new Option("--reason <text>", "the reason for handlers, which becomes the last error")],
  done: "cancelled",
  prepare({ reason }) {
    const why = reason as string | undefined;
    return {
      async byId(client, ids) {
        const result = await client.cancelJobs(ids, why);
        return { result, changed: result.removed, signalled: result.signalled };
      },
      preview: (client, filter) => client.cancelJobs(filter as CancelFilter, why, { dryRun: true }),
      byFilter: (client, filter, options) => client.cancelJobs(filter as CancelFilter, why, options),
    };
  },
});

/** `howdah retry`: lets jobs that failed for good run again. */
export const retryCommand = changingCommand({
  name: "retry",
  summary: "let failed jobs run again, at once and with all their attempts",
  examples: [
    "howdah retry 42 43",
    "howdah retry --task send_email --dry-run",
    "howdah retry --error ECONNREFUSED --failed-since 2030-01-31T08:00:00Z --yes",
    "howdah retry --all --spread 10m --attempts 3",
  ],
  states: ["failed"],
  options: [
    new Option("--all", "all that failed for good").implies({ state: "failed" }),
    new Option("--spread <duration>", "each at a random time within it, such as 90s, 10m or 2h").argParser(
      checkDuration,
    ),
    new Option("--attempts <number>", "how many attempts they get (default: as many as they had)").argParser(
      parseMaxAttempts,
    ),
  ],
  done: "retried",
  prepare({ spread, attempts }) {
    const again = Object.fromEntries(Object.entries({ spread, attempts }).filter(([, value]) => value !== undefined));
    return {
      byId: async (client, ids) => changedJobs(await client.retryJobs(ids, again)),
      preview: (client, filter) => client.retryJobs(filter as BulkFilter<"failed">, { ...again, dryRun: true }),
      byFilter: (client, filter, options) => client.retryJobs(filter as BulkFilter<"failed">, { ...again, ...options }),
    };
  },
});

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

type WaitingFilter = BulkFilter<"ready" | "scheduled">;

type IdleFilter = BulkFilter<"ready" | "scheduled" | "failed">;
