import { Option } from "commander";
import type { BulkFilter } from "../../client/bulk.ts";
import type { RescheduleOptions } from "../../client/manage.ts";
import { HowdahError } from "../../errors.ts";
import type { Duration } from "../../runtime/duration.ts";
import { changedJobs, changingCommand } from "../change-jobs.ts";
import { checkDuration, parseAttempts, parseMaxAttempts, parsePriority } from "../values.ts";

/** `howdah reschedule`: changes when, in which order and how often jobs run. */
export const rescheduleCommand = changingCommand({
  name: "reschedule",
  summary: "change when, in which order and how often jobs run",
  examples: [
    "howdah reschedule 42 --now",
    "howdah reschedule 42 43 --run-at 2030-01-31T08:00:00Z",
    "howdah reschedule --task send_email --run-in 2h --yes",
    "howdah reschedule --queue mail --set-priority 5 --dry-run",
  ],
  states: ["ready", "scheduled", "failed"],
  options: [
    new Option("--now", "run them at once").conflicts(["runAt", "runIn"]),
    new Option("--run-at <time>", "not before this time, in ISO 8601 with its offset").conflicts("runIn"),
    new Option("--run-in <duration>", "not before this time has passed, such as 90s, 5m or 2h").argParser(
      checkDuration,
    ),
    new Option("--set-priority <number>", "their new priority").argParser(parsePriority),
    new Option("--attempts <number>", "how often they count as started").argParser(parseAttempts),
    new Option("--max-attempts <number>", "how often they may be started").argParser(parseMaxAttempts),
  ],
  done: "rescheduled",
  prepare(own) {
    const to = changeOf(own);
    return {
      byId: async (client, ids) => changedJobs(await client.rescheduleJobs(ids, to)),
      preview: (client, filter) => client.rescheduleJobs(filter as IdleFilter, to, { dryRun: true }),
      byFilter: (client, filter, options) => client.rescheduleJobs(filter as IdleFilter, to, options),
    };
  },
});

type IdleFilter = BulkFilter<"ready" | "scheduled" | "failed">;

interface RescheduleFlags {
  readonly now?: boolean;
  readonly runAt?: string;
  readonly runIn?: Duration;
  readonly setPriority?: number;
  readonly attempts?: number;
  readonly maxAttempts?: number;
}

function changeOf(own: Readonly<Record<string, unknown>>): RescheduleOptions {
  const { now, runAt, runIn, setPriority, attempts, maxAttempts } = own as RescheduleFlags;
  const given = { runAt, runIn: now === true ? 0 : runIn, priority: setPriority, attempts, maxAttempts };
  if (Object.values(given).some((value) => value !== undefined)) return given;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "Give what to change: --now, --run-at, --run-in, --set-priority, --attempts or --max-attempts.",
  );
}
