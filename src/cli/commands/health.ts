import { hostname } from "node:os";
import { Option } from "commander";
import { formatSeconds } from "../../client/views/amounts.ts";
import { parseDuration } from "../../runtime/duration.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { Verdict } from "../verdict.ts";
import { checkDuration } from "../values.ts";

/** `howdah health`: whether the database answers and a worker sends heartbeats, as an exit code. */
export const healthCommand: CliCommand = {
  usage: "health",
  summary: "check that the database answers and a worker lives, for probes",
  examples: ["howdah health", "howdah health --here --max-age 15s", "howdah health --json | jq .alive"],
  options: [
    new Option("--here", "ask only about workers of this host"),
    new Option("--max-age <duration>", "how long ago a worker may have sent its last heartbeat")
      .argParser(checkDuration)
      .default("20s"),
  ],
  async run({ screen, globals, options }) {
    const maxAgeMs = parseDuration(options["maxAge"], "--max-age");
    const host = options["here"] === true ? hostname() : undefined;
    const [all, resting] = await withClient(globals, async (client) => [
      await client.listActiveWorkers({ sweepThreshold: maxAgeMs }),
      await client.listIdleWorkers(),
    ]);
    const asked = all.filter(({ metadata }) => host === undefined || metadata?.["host"] === host);
    const alive = asked.filter(({ isStale }) => !isStale).length;
    const registered = asked.length;
    const idle = resting.filter(({ isFromHere }) => host === undefined || isFromHere).length;
    const place = host === undefined ? "" : ` of host ${host}`;
    const more = idle === 0 ? "" : ` ${idle} more ${idle === 1 ? "is idle: it listens" : "are idle: they listen"}.`;
    const message = `${alive} of ${registered} workers${place} sent a heartbeat in the last ${formatSeconds(maxAgeMs / 1_000)}.${more}`;
    // It listens, and would be back with the next job.
    const healthy = alive + idle > 0;
    if (globals.json) screen.printJson({ healthy, alive, registered, idle, message });
    else screen.print(message);
    if (!healthy) throw new Verdict(UNHEALTHY);
  },
};

/** The exit code when no worker lives; it is the same when the database does not answer. */
const UNHEALTHY = 1;
