import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonArray, numberArray, textArray } from "./literal.ts";

describe("textArray", () => {
  it("quotes every text and leaves null bare", () => {
    expect(textArray([])).toBe("{}");
    expect(textArray(["a", null, "", "null", "{,}"])).toBe('{"a",null,"","null","{,}"}');
    expect(textArray(['a"b', "c\\d"])).toBe('{"a\\"b","c\\\\d"}');
  });

  it("escapes a long text of nothing but quotes, across the pieces in which it is escaped", () => {
    const quotes = '"'.repeat(1_000_000);
    expect(textArray([quotes]) === `{"${'\\"'.repeat(1_000_000)}"}`).toBe(true);
  });
});

describe("jsonArray", () => {
  it("writes what JSON.stringify has made as any text, whatever it holds", () => {
    expect(jsonArray([])).toBe("{}");
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), text, fc.dictionary(text, text))), (values) => {
        const texts = values.map((value) => JSON.stringify(value));
        expect(jsonArray(texts)).toBe(textArray(texts));
      }),
    );
    const nasty = JSON.stringify([
      '\\"',
      "\u0000\u001f\u007f\u2028\u2029",
      "\ud800",
      "\udc00\ud800",
      "null",
      "{,}",
      " ",
    ]);
    expect(jsonArray([nasty, nasty])).toBe(textArray([nasty, nasty]));
  });

  it("has room for texts of nothing but quotes", () => {
    const quotes = JSON.stringify('"'.repeat(1_000_000));
    expect(jsonArray([quotes]) === textArray([quotes])).toBe(true);
  });
});

it("writes numbers and null as they are", () => {
  expect(numberArray([1, "2", 3n, "null"])).toBe("{1,2,3,null}");
});
