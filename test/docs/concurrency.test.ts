import { describe, expect, it } from "vitest";
import { missing, testsNamedIn } from "./named-tests.ts";
import { readProjectFile } from "./project-tree.ts";

/** The number, the promise and where it is tested, of every row. */
const rows = [...readProjectFile("test/concurrency.md").matchAll(/^\| (\d+) +\|([^|]+)\|([^|]+)\|$/gm)].map(
  ([, number = "", promise = "", where = ""]) => ({ number: Number(number), promise: promise.trim(), where }),
);

describe("test/concurrency.md", () => {
  it("has every scenario, in order", () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 33 }, (_, index) => index + 1));
    expect(rows.filter(({ promise }) => promise === "")).toEqual([]);
  });

  it("names at least one test for each", () => {
    expect(rows.filter(({ where }) => testsNamedIn(where).length === 0)).toEqual([]);
  });

  it("names only tests that exist", () => {
    expect(missing(rows.flatMap(({ where }) => testsNamedIn(where)))).toEqual([]);
  });
});
