import { Option } from "commander";
import type { CancelFilter } from "../../client/control.ts";
import { changingCommand } from "../change-jobs.ts";

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
