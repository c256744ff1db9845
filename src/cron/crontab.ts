import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import type { CronEntry } from "./cron.ts";
import { parseCrontabLine } from "./crontab-line.ts";
import { CrontabFault } from "./crontab-fault.ts";

/** A mistake in a crontab. */
export interface CrontabProblem {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** What was expected and what was found, as a sentence. */
  readonly message: string;
}

/** A crontab with its mistakes. */
export interface CrontabReading {
  readonly entries: readonly CronEntry[];
  readonly problems: readonly CrontabProblem[];
}

/**
 * Reads a crontab: one job a line, `minute hour day month weekday task ?options
 * {payload}`. `docs/reference/crontab.md` describes the syntax. Throws
 * `HOWDAH_CRON_INVALID` with the line, the column and what was expected there.
 */
export function parseCrontab(text: string): CronEntry[] {
  if (typeof text !== "string") {
    throw new HowdahError("HOWDAH_CRON_INVALID", `A crontab must be a text, found ${describeValue(text)}.`);
  }
  const { entries, problems } = readCrontab(text);
  const [first, ...more] = problems;
  if (first === undefined) return [...entries];
  const rest =
    more.length === 0 ? "" : ` There ${more.length === 1 ? "is 1 more problem" : `are ${more.length} more problems`}.`;
  throw new HowdahError("HOWDAH_CRON_INVALID", `${describeProblem(first)}${rest}`);
}

/** A problem in one sentence that begins with its place. */
function describeProblem({ line, column, message }: CrontabProblem): string {
  return `Line ${line}, column ${column} of the crontab: ${message}`;
}

/** Reads every line of a crontab, also behind a mistake. */
export function readCrontab(text: string): CrontabReading {
  const entries: CronEntry[] = [];
  const problems: CrontabProblem[] = [];
  const lineOfId = new Map<string, number>();
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)
    .entries()) {
    try {
      const found = parseCrontabLine(line);
      if (found === undefined) continue;
      const earlier = lineOfId.get(found.entry.id);
      if (earlier !== undefined) throw duplicate(found, earlier);
      lineOfId.set(found.entry.id, index + 1);
      entries.push(found.entry);
    } catch (error) {
      if (!(error instanceof CrontabFault)) throw error;
      problems.push({ line: index + 1, column: error.offset + 1, message: `${error.message}.` });
    }
  }
  return { entries, problems };
}

function duplicate({ entry, idOffset }: { entry: CronEntry; idOffset: number }, earlier: number): CrontabFault {
  return new CrontabFault(
    idOffset,
    `the id ${JSON.stringify(entry.id)} is the one of line ${earlier}; give each a name of its own with \`?id=...\``,
  );
}
