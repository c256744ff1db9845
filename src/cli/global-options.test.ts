import { expect, it } from "vitest";
import { respell } from "./global-options.ts";

const cases: readonly (readonly [given: string, respelled: string])[] = [
  ["work tasks --jobs 5", "work tasks --concurrency 5"],
  ["work -j 5 -c postgres://h/d", "work --concurrency 5 --database-url postgres://h/d"],
  ["work --jobs=5", "work --concurrency=5"],
  ["--connection postgres://h/d?a=b stats", "--database-url postgres://h/d?a=b stats"],
  ["stats --connection=postgres://h/d?a=b", "stats --database-url=postgres://h/d?a=b"],
  ["list --jobs 5", "list --jobs 5"],
  ["work --concurrency 5", "work --concurrency 5"],
  ["add t -- --connection", "add t -- --connection"],
  ["add t toString", "add t toString"],
  ["", ""],
];

it.each(cases)("%s is read as %s", (given, respelled) => {
  expect(respell(given.split(" ")).join(" ")).toBe(respelled);
});
