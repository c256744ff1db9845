import { describe, expect, it } from "vitest";
import { createScreen, type Screen } from "./screen.ts";
import { formatTable, type Column } from "./table.ts";

interface Row {
  readonly id: string;
  readonly name: string;
  readonly note: string;
}

const COLUMNS: Column<Row>[] = [
  { title: "ID", align: "right", text: ({ id }) => id },
  { title: "NAME", flexible: true, text: ({ name }) => name },
  { title: "NOTE", flexible: true, dispensable: 1, text: ({ note }) => note },
];
const ROWS = [
  { id: "7", name: "short", note: "" },
  { id: "1234", name: "n".repeat(40), note: "o".repeat(60) },
];

function screenOf(columns: number | undefined): Screen {
  const stream = { columns: columns ?? 0, isTTY: columns !== undefined, write: () => true, on: () => undefined };
  return createScreen({ stdout: stream, stderr: stream });
}

describe("formatTable", () => {
  it("cuts nothing when the output is no terminal", () => {
    expect(formatTable(screenOf(undefined), COLUMNS, ROWS).split("\n")).toEqual([
      `  ID  NAME${" ".repeat(38)}NOTE`,
      "   7  short",
      `1234  ${"n".repeat(40)}  ${"o".repeat(60)}`,
    ]);
  });

  it.each([200, 100, 60, 40, 30])("fits a terminal of %d columns", (columns) => {
    const lines = formatTable(screenOf(columns), COLUMNS, ROWS).split("\n");
    expect(lines).toHaveLength(3);
    // oxlint-disable-next-line no-control-regex -- colours take no room
    const widths = lines.map((line) => line.replace(/\u001B\[\d+m/g, "").length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(columns);
    expect(lines[2]).toContain("1234");
  });

  it("leaves out what can be spared before it cuts everything to nothing", () => {
    const narrow = formatTable(screenOf(22), COLUMNS, ROWS);
    expect(narrow).toContain("NAME");
    expect(narrow).not.toContain("NOTE");
  });

  it("leaves room for characters that take two columns", () => {
    const rows = [{ id: "1", name: "漢".repeat(30), note: "" }];
    const line = formatTable(screenOf(40), COLUMNS, rows).split("\n")[1] ?? "";
    expect(line.match(/漢/g)?.length).toBeLessThanOrEqual(17);
  });
});
