import { describe, expect, it } from "vitest";
import { createScreen, type Screen } from "./screen.ts";
import { type Column, formatTable, printTable, type TableContent } from "./table.ts";

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

describe("printTable", () => {
  const print = (columns: number | undefined, content: TableContent<Row>): string => {
    const lines: string[] = [];
    printTable({ ...screenOf(columns), print: (line = "") => void lines.push(line) }, content);
    return lines.join("\n");
  };
  const content = {
    columns: [...COLUMNS, { title: "BYTES", isForPrograms: true, text: () => "1,000", plain: () => "1000" }],
    rows: [{ id: "7", name: "a\tb", note: "" }],
    none: "No rows.",
  };

  it("separates the columns by tabs where stdout is no terminal, with what is for programs", () => {
    expect(print(undefined, content)).toBe("ID\tNAME\tNOTE\tBYTES\n7\ta b\t\t1000");
    expect(print(undefined, { ...content, rows: [] })).toBe("ID\tNAME\tNOTE\tBYTES");
  });

  it("prints a table for people, or that there are no rows", () => {
    expect(print(40, content)).not.toContain("BYTES");
    expect(print(40, { ...content, rows: [] })).toContain("No rows.");
  });
});

describe("formatTable", () => {
  it("cuts nothing where there is no limit", () => {
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
