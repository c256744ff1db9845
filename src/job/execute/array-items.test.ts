import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrayItems } from "./execute-batch.ts";

/** JSON that `JSON.stringify` would not write: spaces, numbers of any size, names given twice, escapes. */
const { value: jsonText } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(
      "null",
      "true",
      "9007199254740993",
      "-0",
      "1.10",
      "1e400",
      '""',
      '"\\\\"',
      '"\\""',
      '"]"',
      '"}, {"',
      '"\\u005d"',
    ),
    fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => `[ ${items.join(" ,\n")}\t]`),
    fc
      .array(fc.tuple(fc.constantFrom('"a"', '"[,"', '"\\"{"'), tie("value")), { maxLength: 4 })
      .map((entries) => `{${entries.map(([name, text]) => `${name} : ${text}`).join(",")} }`),
  ),
}));

describe("arrayItems", () => {
  it("cuts the very texts of the items out, whatever they are", () => {
    fc.assert(
      fc.property(fc.array(jsonText), (items) => {
        const json = `\n[${items.map((item) => ` ${item}\r`).join(",")}] `;
        expect(arrayItems(json)).toEqual(items);
        expect(arrayItems(json).map((item) => JSON.parse(item) as unknown)).toEqual(JSON.parse(json));
      }),
      { numRuns: 1000 },
    );
  });

  it.each(["[]", " [ ] ", "[\n]"])("finds nothing in %j", (json) => {
    expect(arrayItems(json)).toEqual([]);
  });
});
