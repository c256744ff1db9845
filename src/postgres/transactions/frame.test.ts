import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Cell } from "../driver.ts";
import { frame, readFrame, readRecord } from "./frame.ts";

/** As PostgreSQL does: quotes only where they are needed. */
function writeRecord(cells: readonly Cell[]): string {
  const written = cells.map((cell) => {
    if (cell === null) return "";
    const needsQuotes = cell === "" || /["\\(),\s]/.test(cell);
    return needsQuotes ? `"${cell.replaceAll(/["\\]/g, "$&$&")}"` : cell;
  });
  return `(${written.join(",")})`;
}

describe("a framed statement", () => {
  it("gives each value as text, wherever it stands", () => {
    const query = { text: "select f($1::int8, $10::text[]), $1::int8", values: ["1"] };
    expect(frame(query).text).toBe(
      "with howdah_answer as materialized (\n" +
        "select f($1::pg_catalog.text::int8, $10::pg_catalog.text::text[]), $1::pg_catalog.text::int8\n" +
        ")\nselect howdah_answer::pg_catalog.text as howdah from howdah_answer",
    );
  });

  it("leaves names and texts alone that look like values", () => {
    const text = `select "a ""$1"" ?"."f $2"($1::int8, 'it''s $3', E'\\\\ $4')`;
    expect(frame({ text }).text).toContain(text.replace("$1::int8", "$1::pg_catalog.text::int8"));
  });

  it.each(["select $1", "select $1, $2::text", "select f($12)"])(
    "has to write its values with their types: %s",
    (text) => {
      expect(() => frame({ text })).toThrow(/The value \$\d+ has no type/);
    },
  );

  it.each(["create table a ()", "set local array_nulls = on", "begin", "  drop schema howdah"])(
    "has to answer with rows: %s",
    (text) => {
      expect(() => frame({ text })).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    },
  );
});

describe("a row as PostgreSQL writes it", () => {
  it.each<[string, Cell[]]>([
    ["(1,two)", ["1", "two"]],
    ["()", [null]],
    ['(,"",)', [null, "", null]],
    ['("a,b","(c)","say ""hi""","back\\\\slash")', ["a,b", "(c)", 'say "hi"', "back\\slash"]],
    ['("two\nlines")', ["two\nlines"]],
  ])("%s", (text, cells) => {
    expect(readRecord(text)).toEqual(cells);
  });

  it("is read as it was written, whatever is in it", () => {
    const cell = fc.option(fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^["\\(), \n]{0,6}$/)), {
      nil: null,
    });
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), (cells) => {
        expect(readRecord(writeRecord(cells))).toEqual(cells);
      }),
    );
  });

  it.each(["", "1", "(1", "1)", '("1)', '("1"2)', "(1)2", "{1}", "(1))"])("is not %j", (text) => {
    expect(readRecord(text)).toBeUndefined();
  });

  it("comes in rows that have one column", () => {
    expect(readFrame([{ howdah: "(1,)" }, { howdah: "(2,b)" }])).toEqual({
      rows: [
        ["1", null],
        ["2", "b"],
      ],
      count: 2,
    });
    for (const rows of [
      undefined,
      null,
      {},
      { rows: [] },
      [1],
      [null],
      [{}],
      [{ howdah: 1 }],
      [{ howdah: "x" }],
      [["(1)"]],
    ]) {
      expect(readFrame(rows)).toBeUndefined();
    }
  });
});
