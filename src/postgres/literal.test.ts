import { describe, expect, it } from "vitest";
import { numberArray, textArray } from "./literal.ts";

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

it("writes numbers and null as they are", () => {
  expect(numberArray([1, "2", 3n, "null"])).toBe("{1,2,3,null}");
});
