import { describe, expect, it } from "vitest";
import { describeValue } from "./describe-value.ts";

describe("describeValue", () => {
  it.each([
    ["a text", '"a text"'],
    ["", "an empty string"],
    ["x".repeat(61), "a string of 61 characters"],
    ["line\nbreak", '"line\\nbreak"'],
    [5, "5"],
    [5n, "5n"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [[1, 2], "a list of 2"],
    [{ secret: 1 }, "an object"],
    [new Date(Number.NaN), "an invalid date"],
    [() => 1, "a function"],
    [Symbol("s"), "a symbol"],
  ])("describes %o", (value, expected) => {
    expect(describeValue(value)).toBe(expected);
  });

  it.each(["postgres://user:hunter2@host/db", "host=x password=hunter2"])("shows no credentials", (text) => {
    expect(describeValue(text)).toBe("a string");
  });
});
