import { Option } from "commander";
import { describeWhen } from "../../client/views/when.ts";
import { formatCount, formatSeconds } from "../../client/views/amounts.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Duration } from "../../runtime/duration.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { type Column, printTable } from "../table.ts";
import { checkDuration } from "../values.ts";

/** `howdah workers`: the registered workers, and those that are dead. */
export const workersCommand: CliCommand = {
  usage: "workers",
  summary: "list registered workers, or recover the jobs of stale ones",
  examples: ["howdah workers", "howdah workers --sweep --dry-run", "howdah workers --sweep --threshold 10m"],
  options: [
    new Option("--sweep", "recover the jobs of workers that have sent no heartbeat for the threshold"),
    new Option(
      "--threshold <duration>",
      "treat workers as stale after this long without a heartbeat (default: 5m)",
    ).argParser(checkDuration),
    new Option("--dry-run", "with --sweep: change nothing and print the effect"),
  ],
  async run({ screen, globals, options }) {
    // It is checked with all other durations.
    const threshold = options["threshold"] as Duration | undefined;
    const dryRun = options["dryRun"] === true;
    const given = threshold === undefined ? {} : { sweepThreshold: threshold };
    if (options["sweep"] !== true) {
      if (dryRun) throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --dry-run goes with --sweep only.");
      const [workers, idle] = await withClient(globals, async (client) => [
        await client.listActiveWorkers(given),
        await client.listIdleWorkers(),
      ]);
      if (globals.json) return screen.printJson(workers);
      printTable(screen, { columns: columnsFor(screen), rows: workers, none: "No workers." });
      if (idle.length > 0) screen.note(describeIdle(idle.length));
      return;
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
    screen.print(screen.paint.dim(dryRun ? `${swept.workerIds.length} would be declared dead.` : count));
  },
};

function columnsFor(screen: Screen): Column<WorkerInfo>[] {
  const nowMs = systemClock.now();
  const metadata = (worker: WorkerInfo, name: string): string => {
    const value = worker.metadata?.[name];
    return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
  };
  return [
    { title: "WORKER", text: ({ id }) => printable(id) },
    { title: "HOST", dispensable: 1, text: (worker) => metadata(worker, "host") },
    { title: "PID", align: "right", text: (worker) => metadata(worker, "pid") },
    { title: "SLOTS", align: "right", text: ({ report }) => (report ? `${report.busy}/${report.slots}` : "") },
    { title: "RUNS", flexible: true, text: (worker) => describeWork(worker, nowMs) },
    {
      title: "STARTED",
      dispensable: 2,
      text: ({ startedAt }) => describeWhen(startedAt, nowMs),
      plain: ({ startedAt }) => startedAt.toISOString(),
    },
    {
      title: "HEARTBEAT",
      text: ({ lastHeartbeatAt }) => describeWhen(lastHeartbeatAt, nowMs),
      plain: ({ lastHeartbeatAt }) => lastHeartbeatAt.toISOString(),
    },
    { title: "SESSION", text: ({ session }) => session },
    {
      title: "TROUBLE",
      text: describeTrouble,
      tint: (text) => screen.paint.red(text),
    },
  ];
}

function describeIdle(count: number): string {
  return count === 1
    ? "1 more is idle: it only listens, and what it is is not known."
    : `${formatCount(count)} more are idle: they only listen, and what they are is not known.`;
}

/** What a worker ran with its last heartbeat, the longest first. */
function describeWork({ report }: WorkerInfo, nowMs: number): string {
  if (!report) return "";
  const shown = report.running.slice(0, MOST_SHOWN).map(({ id, task, since }) => {
    const seconds = Math.max(0, nowMs - since.getTime()) / 1_000;
    return `${printable(task)} ${printable(id)} for ${formatSeconds(seconds)}`;
  });
  const more = report.running.length + report.moreRunning - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function describeTrouble({ isStale, report }: WorkerInfo): string {
  if (isStale) return "stale";
  if (report?.claims.failingSince) return `claims fail: ${printable(report.claims.lastError ?? "")}`;
  if (report?.isStopping) return "shutting down";
  return report?.isRetired ? "retired" : "";
}

const MOST_SHOWN = 5;
