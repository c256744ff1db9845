import type { TaskCountsAt } from "../../client/operator-access.ts";
import { quantilesOf } from "../../client/samples.ts";
import type { TimesView } from "../contract/component.ts";

/** How long the attempts of these minutes and tasks waited and ran, all of them together. */
export function toTimesView(counts: readonly TaskCountsAt[]): TimesView {
  const sum = (numberOf: (one: TaskCountsAt) => number): number =>
    counts.reduce((total, one) => total + numberOf(one), 0);
  const attempts = sum(({ completed, failed }) => completed + failed);
  const runMs = sum((one) => one.runMs);
  return {
    meanMs: attempts === 0 ? null : runMs / attempts,
    ...quantilesOf({ buckets: added(counts.map((one) => one.buckets)), waits: added(counts.map((one) => one.waits)) }),
  };
}

function added(all: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...all.map((buckets) => buckets.length));
  return Array.from({ length }, (_, place) => all.reduce((total, buckets) => total + (buckets[place] ?? 0), 0));
}
