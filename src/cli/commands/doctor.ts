import { Option } from "commander";
import type { Client } from "../../client/client.ts";
import type { Diagnosis, DiagnosisResult } from "../../client/doctor/diagnose.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { printTable } from "../table.ts";
import { Verdict } from "../verdict.ts";

/** `howdah doctor`: what slows the database and the queue down, or stops them. */
export const doctorCommand: CliCommand = {
  usage: "doctor",
  summary: "look for what slows the queue down or stops it, and say what to do",
  examples: ["howdah doctor", "howdah doctor --only workers,unknown-tasks,locked-queues", "howdah doctor --json"],
  options: [
    new Option("--only <ids>", "make only these checks, separated by commas"),
    new Option("--watch", "look again every five seconds, until Ctrl-C; without --only at what changes quickly"),
    new Option("--strict", "count what this role cannot see as a warning"),
  ],
  async run({ screen, globals, options }) {
    const given = options["only"] as string | undefined;
    const isWatching = options["watch"] === true;
    const only = given?.split(",").map((id) => id.trim()) ?? (isWatching ? QUICK : []);
    const look = async (client: Client): Promise<Diagnosis> => {
      const diagnosis = await client.diagnose({ only });
      if (globals.json && isWatching) screen.printLine(diagnosis);
      else if (globals.json) screen.printJson(diagnosis);
      else print(screen, diagnosis);
      return diagnosis;
    };
    const { status, unseen } = await withClient(globals, async (client, { waiting }) => {
      if (!isWatching) return look(client);
      waiting.cancel();
      return repeat(screen, () => look(client));
    });
    if (status !== "ok") throw new Verdict(EXIT_CODES[status]);
    if (unseen > 0 && options["strict"] === true) throw new Verdict(EXIT_CODES.warn);
  },
};

const EXIT_CODES = { warn: 1, fail: 2 };

/** What may change from one look to the next. */
export const QUICK = [
  "workers",
  "oldest-due",
  "locked-queues",
  "unknown-tasks",
  "open-transactions",
  "dead-rows",
  "notifications",
  "lock-waits",
];

const INTERVAL_MS = 5_000;

/** Goes on until the reader of the output has left. */
async function repeat(screen: Screen, look: () => Promise<Diagnosis>): Promise<Diagnosis> {
  const closed = new AbortController();
  screen.onClosed(() => closed.abort());
  for (;;) {
    const diagnosis = await look();
    await systemClock.sleep(INTERVAL_MS, closed.signal);
    if (closed.signal.aborted) return diagnosis;
  }
}

function print(screen: Screen, { results }: Diagnosis): void {
  const tints = { ok: screen.paint.green, note: screen.paint.cyan, unseen: screen.paint.dim };
  const tint = (text: string, { status }: DiagnosisResult): string =>
    status === "warn" ? screen.paint.yellow(text) : status === "fail" ? screen.paint.red(text) : tints[status](text);
  printTable(screen, {
    none: "",
    columns: [
      { title: "STATUS", text: ({ status }) => status, tint },
      { title: "CHECK", text: ({ id }) => id },
      { title: "FINDING", flexible: true, text: ({ finding }) => printable(finding) },
      { title: "MEANS", isForPrograms: true, text: ({ means }) => means },
      { title: "TODO", isForPrograms: true, text: ({ todo }) => todo },
      { title: "GUIDE", isForPrograms: true, text: ({ guide }) => `docs/${guide}` },
    ],
    rows: results,
  });
  if (screen.width === undefined) return screen.note(summaryOf(results));
  for (const result of results) if (result.status === "warn" || result.status === "fail") explain(screen, result);
  screen.print();
  screen.print(summaryOf(results));
}

/** What was found in one line: how much of it was not seen, too. */
function summaryOf(results: readonly DiagnosisResult[]): string {
  const counted = STATUSES.map((status) => ({ status, count: results.filter((one) => one.status === status).length }));
  const told = counted.filter(({ count }) => count > 0).map(({ status, count }) => `${count} ${status}`);
  const isPartial = results.some(({ status }) => status === "unseen");
  return `${formatCount(results.length, "check")}: ${told.join(", ")}.${isPartial ? " What is unseen may be wrong: see the findings for what to grant." : ""}`;
}

const STATUSES = ["fail", "warn", "note", "unseen", "ok"] as const;

function explain(screen: Screen, { id, finding, means, todo, guide }: DiagnosisResult): void {
  screen.print();
  screen.print(screen.paint.bold(id));
  screen.print(`  ${printable(finding)}`);
  screen.print(`  ${means}`);
  screen.print(`  ${todo}`);
  screen.print(screen.paint.dim(`  docs/${guide}`));
}
