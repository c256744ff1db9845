import { Option } from "commander";
import type { WorkerInfo } from "../../client/workers.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Duration } from "../../runtime/duration.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { formatTable } from "../table.ts";
import { describeWhen } from "../when.ts";

/** `howdah workers`: who runs jobs, and who no longer does. */
export const workersCommand: CliCommand = {
  usage: "workers",
  summary: "list the workers that are registered, or recover what silent ones hold",
  examples: ["howdah workers", "howdah workers --sweep --dry-run", "howdah workers --sweep --threshold 10m"],
  options: [
    new Option("--sweep", "return the jobs of workers that have been silent for long"),
    new Option("--threshold <duration>", "which silence is long (default: 5m)"),
    new Option("--dry-run", "with --sweep: change nothing and tell what would be"),
  ],
  async run({ screen, globals, options }) {
    // What it says is checked where every duration is.
    const threshold = options["threshold"] as Duration | undefined;
    const dryRun = options["dryRun"] === true;
    const given = threshold === undefined ? {} : { sweepThreshold: threshold };
    if (options["sweep"] !== true) {
      if (dryRun) throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --dry-run goes with --sweep only.");
      const workers = await withClient(globals, (client) => client.listActiveWorkers(given));
      if (globals.json) return screen.printJson(workers);
      return screen.print(workers.length === 0 ? screen.paint.dim("No workers.") : tableOf(screen, workers));
    }
    const swept = await withClient(globals, (client) => client.sweepStaleWorkers({ ...given, dryRun }));
    if (globals.json) return screen.printJson(swept);
    for (const id of swept.workerIds) screen.print(printable(id));
    for (const { kind, id, workerId, state, message } of swept.refused) {
      const reason = `${state}: ${printable(message)}`;
      screen.print(
        screen.paint.red(`${kind} ${printable(id)} of ${printable(workerId)} cannot be returned: ${reason}`),
      );
    }
    const count = `${swept.workerIds.length} dead, ${swept.jobCount} jobs returned.`;
    screen.print(screen.paint.dim(dryRun ? `${swept.workerIds.length} would be taken for dead.` : count));
  },
};

function tableOf(screen: Screen, workers: readonly WorkerInfo[]): string {
  const nowMs = systemClock.now();
  const metadata = (worker: WorkerInfo, name: string): string => {
    const value = worker.metadata?.[name];
    return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
  };
  return formatTable(
    screen,
    [
      { title: "WORKER", text: ({ id }) => printable(id) },
      { title: "HOST", dispensable: 1, text: (worker) => metadata(worker, "host") },
      { title: "PID", align: "right", text: (worker) => metadata(worker, "pid") },
      { title: "STARTED", dispensable: 2, text: ({ startedAt }) => describeWhen(startedAt, nowMs) },
      { title: "HEARTBEAT", text: ({ lastHeartbeatAt }) => describeWhen(lastHeartbeatAt, nowMs) },
      { title: "SESSION", text: ({ session }) => session },
      {
        title: "",
        text: ({ isStale }) => (isStale ? "stale" : ""),
        tint: (text) => screen.paint.red(text),
      },
    ],
    workers,
  );
}
