import type { Observation } from "./observation.ts";

/** What was seen of one case, without a queue and in one. */
export interface Finding {
  readonly what: string;
  readonly alone: Observation | undefined;
  readonly queued: Observation | undefined;
}

const COLUMNS = [
  ["the row", "row"],
  ["the attempt", "attempt"],
  ["runs again", "runsAgain"],
  ["`last_error`", "lastError"],
  ["hooks", "hooks"],
  ["its queue", "queue"],
] as const satisfies readonly (readonly [string, keyof Observation])[];

/** The rows of a table, as the page has them when it is formatted. */
export function toRows(findings: readonly Finding[]): string[][] {
  return findings.map(({ what, alone, queued }) => [
    what,
    ...COLUMNS.map(([, key]) => {
      const [without, within] = [alone?.[key], queued?.[key]];
      if (without === undefined || within === undefined || without === within) return without ?? within ?? "–";
      return `${without}; in a queue: ${within}`;
    }),
  ]);
}

/** The rows of the table below a heading of the page. */
export function readTable(page: string, heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The page with other rows in the table below a heading. */
export function replaceTable(page: string, heading: string, rows: readonly (readonly string[])[]): string {
  const head = [heading === "" ? "" : "how", ...COLUMNS.map(([title]) => title)];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const table = [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
  const start = page.indexOf(`## ${heading}\n`);
  if (start === -1) throw new Error(`The page has no heading “${heading}”.`);
  const end = page.indexOf("\n## ", start + 1);
  const section = page.slice(start, end === -1 ? undefined : end);
  const rest = end === -1 ? "" : page.slice(end);
  const written = /^\|/m.test(section)
    ? section.replace(/(?:^\|.*\n?)+/m, `${table}\n`)
    : `${section.trimEnd()}\n\n${table}\n`;
  return page.slice(0, start) + written + rest;
}
