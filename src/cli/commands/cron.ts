import { readFile } from "node:fs/promises";
import { InvalidArgumentError, Option } from "commander";
import { describeWhen } from "../../client/views/when.ts";
import { type CronEntry, identifierOf } from "../../cron/cron.ts";
import { readCrontab } from "../../cron/crontab.ts";
import { parseExpression } from "../../cron/expression.ts";
import { formatFill } from "../../cron/fill.ts";
import { ticksAfter } from "../../cron/stored-schedule.ts";
import { checkTimeZone, DEFAULT_TIME_ZONE } from "../../cron/time-zone.ts";
import { createTimetable } from "../../cron/timetable.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Call, CliCommand } from "../command.ts";
import { printable } from "../printable.ts";
import { type Column, printTable } from "../table.ts";

const MOST = 1000;

/** `howdah cron check FILE` and `howdah cron next FILE|EXPRESSION`: checks and previews crontabs without a database. */
export const cronCommand: CliCommand = {
  usage: "cron <action> <source>",
  summary: "check a crontab, or show when it or an expression is due next",
  examples: [
    "howdah cron check crontab",
    "howdah cron next crontab -n 3",
    "howdah cron next '30 2 * * *' --time-zone Europe/Berlin",
  ],
  options: [
    new Option("--count, -n <number>", `how many times to show, 1 to ${MOST}`).default(5).argParser(parseCount),
    new Option("--time-zone <name>", "the zone of an expression").default(DEFAULT_TIME_ZONE),
  ],
  async run(call) {
    const [action, source = ""] = call.arguments;
    if (action === "check") await check(call, source);
    else if (action === "next") await next(call, source);
    else
      throw new HowdahError(
        "HOWDAH_OPTION_INVALID",
        `Say what to do: \`howdah cron check FILE\` or \`cron next ...\`.`,
      );
  },
};

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST) return count;
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${MOST}.`);
}

async function check({ screen, globals }: Call, file: string): Promise<void> {
  const { entries, problems } = readCrontab(await readText(file));
  if (globals.json) screen.printJson({ entries: entries.map(describeEntry), problems });
  else {
    for (const { line, column, message } of problems) {
      screen.note(printable(`${file}:${line}:${column}: ${message}`));
    }
    if (problems.length === 0)
      printTable(screen, { columns: columnsAt(systemClock.now()), rows: entries, none: "No entries." });
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    throw new HowdahError("HOWDAH_CRON_INVALID", `There ${problems.length === 1 ? "is" : "are"} ${count} in ${file}.`);
  }
}

function columnsAt(nowMs: number): Column<CronEntry>[] {
  return [
    { title: "ID", flexible: true, text: ({ id }) => printable(id) },
    { title: "TASK", flexible: true, text: ({ task }) => printable(identifierOf(task)) },
    { title: "SCHEDULE", text: ({ schedule }) => schedule },
    { title: "ZONE", dispensable: 2, text: ({ timeZone }) => timeZone },
    { title: "FILL", dispensable: 1, text: ({ fill }) => formatFill(fill) },
    {
      title: "NEXT",
      text: (entry) => whenNext(entry, nowMs),
      plain: (entry) => upcoming(entry, nowMs, 1)[0]?.toISOString() ?? "",
    },
  ];
}

function whenNext(entry: CronEntry, nowMs: number): string {
  const [first] = upcoming(entry, nowMs, 1);
  return first === undefined ? "never" : describeWhen(first, nowMs);
}

async function next({ screen, globals, options }: Call, source: string): Promise<void> {
  const count = Number(options["count"]);
  const nowMs = systemClock.now();
  const entries = await entriesOf(source, options["timeZone"]);
  const ticks = entries.map((entry) => ({ ...describeEntry(entry), next: upcoming(entry, nowMs, count) }));
  if (globals.json) {
    screen.printJson(ticks);
    return;
  }
  for (const [index, { id, schedule, timeZone, next: times }] of ticks.entries()) {
    if (index > 0) screen.print();
    const name = id === undefined ? "" : `${printable(id)}  `;
    screen.print(`${screen.paint.bold(name + schedule)}  ${screen.paint.dim(timeZone)}`);
    for (const at of times) {
      screen.print(`  ${at.toISOString()}  ${localTime(at, timeZone)}  ${screen.paint.dim(describeWhen(at, nowMs))}`);
    }
  }
}

interface Described extends Pick<CronEntry, "schedule" | "timeZone"> {
  readonly id?: string | undefined;
  readonly task?: string | undefined;
}

/** An expression has blanks and begins like a field, a file has a name. */
async function entriesOf(source: string, timeZone: unknown): Promise<(Described & Partial<CronEntry>)[]> {
  const isExpression = /^\s*[\d*]\S*\s+\S/.test(source);
  if (isExpression) return [{ schedule: parseExpression(source).text, timeZone: checkTimeZone(timeZone) }];
  const { entries, problems } = readCrontab(await readText(source));
  const [first] = problems;
  if (first === undefined) return entries.map((entry) => ({ ...entry, task: identifierOf(entry.task) }));
  throw new HowdahError(
    "HOWDAH_CRON_INVALID",
    `${source}:${first.line}:${first.column}: ${first.message} See howdah cron check.`,
  );
}

function describeEntry(
  entry: Described | CronEntry,
): Described & { readonly fill?: number; readonly payload?: unknown } {
  return entry.task === undefined ? (entry as Described) : { ...entry, task: identifierOf(entry.task) };
}

function upcoming({ schedule, timeZone }: Described | CronEntry, nowMs: number, count: number): Date[] {
  return ticksAfter(createTimetable(parseExpression(schedule), timeZone), nowMs, count);
}

/** The local time there, with the name of the offset, which distinguishes the two occurrences of a time. */
function localTime(at: Date, timeZone: string): string {
  return at.toLocaleString("en-GB", {
    timeZone,
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new HowdahError(
      "HOWDAH_CRON_INVALID",
      `The crontab ${JSON.stringify(file)} cannot be read: ${code ?? "unknown reason"}.`,
      error,
    );
  }
}
