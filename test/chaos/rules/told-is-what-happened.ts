import type { Rule } from "../verdict.ts";

/**
 * What a worker told of a job is what its row says: completed when this worker's
 * claim has ended with the row, failed when it has ended and the row was kept,
 * refused when it was not this worker that ended it. Where that cannot be known, it
 * told that, which is counted.
 */
export const toldIsWhatHappened: Rule = ({ history, tables }) => {
  const ends = countBy(tables.ends, ({ id, worker, how }) => keyOf(id, worker, how));
  const runs = history.runs.map((run) => ({ ...run, told: run.told?.how }));
  const all = countBy(runs, ({ id, w }) => keyOf(id, w));
  const told = (how: readonly string[]) =>
    countBy(
      runs.filter((run) => run.told !== undefined && how.includes(run.told)),
      ({ id, w }) => keyOf(id, w),
    );
  const violations: string[] = [];
  for (const [key, count] of told(["completed"])) {
    const happened = ends.get(`${key} deleted`) ?? 0;
    if (count > happened) violations.push(`${key} was told ${count} times to be completed, and was ${happened} times`);
  }
  for (const [key, count] of told(["failed", "dead"])) {
    const happened = ends.get(`${key} kept`) ?? 0;
    if (count > happened)
      violations.push(`${key} was told ${count} times to have failed, and was kept ${happened} times`);
  }
  for (const [key, count] of told(["refused"])) {
    if (count === all.get(key) && ends.has(`${key} deleted`))
      violations.push(`${key} was told to be refused, and has completed`);
  }
  return { violations, counts: { toldUnknown: runs.filter((run) => run.told === "unknown").length } };
};

function keyOf(...parts: readonly string[]): string {
  return parts.join(" ");
}

function countBy<T>(items: readonly T[], keyOfItem: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOfItem(item), (counts.get(keyOfItem(item)) ?? 0) + 1);
  return counts;
}
