import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { defineTask } from "../../src/job/task.ts";
import { parseDuration } from "../../src/runtime/duration.ts";
import { readWorkerOptions } from "../../src/worker/options.ts";
import { projectFiles, readProjectFile } from "./project-tree.ts";

const PROMISES = "docs/guides/promises.md";
const OPERATIONS = "docs/guides/operations.md";

/** The rows of the table below a line of a page, cell by cell. */
function rowsBelow(page: string, line: string): string[][] {
  const after = readProjectFile(page).split(`\n${line}\n`)[1] ?? "";
  const table = /(?:^\|.*\|\n)+/m.exec(after)?.[0] ?? "";
  const rows = table.trim().split("\n").slice(2);
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("the timeouts in docs/guides/promises.md", () => {
  const task = defineTask({ identifier: "t", run: () => undefined });
  const options = readWorkerOptions({ tasks: [task] });

  it("are the defaults of the options", () => {
    const rows = rowsBelow(PROMISES, "Options of a worker, and of a client where it has them:");
    expect(rows.length).toBeGreaterThan(10);
    const inCode = rows.map(([name = ""]) => {
      const [group = "", key] = name.replaceAll("`", "").split(".");
      const place = key === undefined ? options : (options as unknown as Record<string, unknown>)[group];
      return [name, (place as Record<string, unknown>)[`${key ?? group}Ms`]];
    });
    expect(rows.map(([name, value = ""]) => [name, parseDuration(value, "value")])).toEqual(inCode);
  });

  it("are all that recovery has", () => {
    const documented = rowsBelow(PROMISES, "Options of a worker, and of a client where it has them:").map(
      ([name]) => name,
    );
    const durations = Object.keys(options.recovery ?? {}).filter((name) => name.endsWith("Ms"));
    for (const name of durations) expect(documented).toContain(`\`recovery.${name.slice(0, -2)}\``);
  });

  it("are those that the code names", () => {
    const rows = rowsBelow(PROMISES, "Fixed:");
    expect(rows.length).toBeGreaterThan(3);
    for (const [value = "", , where = ""] of rows) {
      const [, link = "", name] = /\]\(([^)]+)\) `([^`]+)`/.exec(where) ?? [];
      const source = readProjectFile(posix.join(posix.dirname(PROMISES), link));
      const [, , inCode = "", longest] =
        new RegExp(`const ${name} = (\\{ firstMs: )?([\\d_]+)(?:, maxMs: ([\\d_]+) \\})?;`).exec(source) ?? [];
      const milliseconds = [inCode, longest].flatMap((text) =>
        text === undefined ? [] : [Number(text.replaceAll("_", ""))],
      );
      expect([name, ...milliseconds]).toEqual([
        name,
        ...value.split(" to ").map((part) => parseDuration(part, "value")),
      ]);
    }
  });
});

describe("the log lines in docs/guides/operations.md", () => {
  const sources = projectFiles("src")
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map(readProjectFile)
    .join("\n");

  it("are written by the code", () => {
    const lines = rowsBelow(OPERATIONS, "## What the log says, and what to do\n").map(([line = ""]) =>
      line.replaceAll("`", ""),
    );
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines) {
      const [, activity] = /^The worker could not (.*); it goes on$/.exec(line) ?? [];
      expect(sources).toContain(activity === undefined ? `"${line}` : `"${activity}"`);
    }
  });
});
