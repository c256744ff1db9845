import { expect, it } from "vitest";
import { quantile } from "./samples.ts";

it.each<[string, number[], number | null, number | null]>([
  ["nothing", [0, 0, 0], null, null],
  ["one run", [0, 1, 0], 2, 2],
  ["half of the runs in each of two", [1, 1, 0], 1, 2],
  ["nearly all in the first", [99, 1, 0], 1, 1],
  ["all that is longer", [0, 0, 5], null, null],
])("estimates quantiles of %s by the ends of buckets", (_, buckets, p50, p95) => {
  expect([quantile(buckets, 0.5), quantile(buckets, 0.95)]).toEqual([p50, p95]);
});
