import { expect, it } from "vitest";
import { CAP, type IndexedCounts } from "../postgres/queries/count-jobs.ts";
import { combine, countUpTo, needsSample } from "./counts.ts";

const MANY = CAP + 1;
const HELD = { all: 0, later: 0, isComplete: true, told: 0, toldAt: null, untold: 0 };
const NONE = { due: 0, later: 0, estimate: null };

function stats(counts: Partial<IndexedCounts>, sample?: Parameters<typeof combine>[1]) {
  const indexed: IndexedCounts = {
    plain: NONE,
    queued: NONE,
    failed: { counted: 0, estimate: null },
    held: HELD,
    asOf: "0",
    ...counts,
  };
  const { ready, scheduled, running, failed } = combine(indexed, sample);
  const told = [ready, scheduled, running, failed].map(({ value, exact }) => (exact ? value : `~${value}`));
  return { told, needsSample: needsSample(indexed) };
}

const SAMPLE = { plain: { due: 30_000, later: 10_000 }, queued: { due: 0, later: 0 }, failed: 50_000 };

it.each<[string, Partial<IndexedCounts>, Parameters<typeof combine>[1], unknown[], boolean]>([
  ["nothing", {}, undefined, [0, 0, 0, 0], false],
  [
    "few jobs, some of which run, one that is not due",
    {
      plain: { due: 10, later: 5, estimate: 999 },
      queued: { due: 3, later: 1, estimate: null },
      failed: { counted: 7, estimate: 9 },
      held: { ...HELD, all: 4, later: 1 },
    },
    undefined,
    [10, 5, 4, 7],
    false,
  ],
  [
    "many that are due: the index less those that are not",
    { plain: { due: MANY, later: 5, estimate: 20_000 }, held: { ...HELD, all: 4, isComplete: false } },
    undefined,
    ["~19991", "~5", "~4", 0],
    false,
  ],
  [
    "many that are due, and workers that hold more than was found, beside others",
    {
      plain: { due: MANY, later: 0, estimate: 20_000 },
      held: { ...HELD, all: 4, isComplete: false, told: 30, toldAt: "0", untold: 2 },
    },
    undefined,
    ["~19968", "~0", "~32", 0],
    false,
  ],
  [
    "the same where more was found than workers said with their last heartbeats",
    {
      plain: { due: MANY, later: 0, estimate: 20_000 },
      held: { ...HELD, all: 40, isComplete: false, told: 30, toldAt: "0", untold: 2 },
    },
    undefined,
    ["~19960", "~0", "~40", 0],
    false,
  ],
  [
    "many that are not due: the index less those that are",
    { plain: { due: 5, later: MANY, estimate: 20_000 } },
    undefined,
    [5, "~19995", 0, 0],
    false,
  ],
  [
    "many of both: the index as the sample divides it",
    { plain: { due: MANY, later: MANY, estimate: 80_000 } },
    SAMPLE,
    ["~60000", "~20000", 0, 0],
    true,
  ],
  [
    "an index that was never counted: the sample",
    { plain: { due: MANY, later: 5, estimate: null }, failed: { counted: MANY, estimate: null } },
    SAMPLE,
    ["~39995", 5, 0, "~50000"],
    true,
  ],
  [
    "an estimate of less than was counted: what was counted",
    { plain: { due: MANY, later: 0, estimate: 3 }, failed: { counted: MANY, estimate: 3 } },
    undefined,
    ["~10001", 0, 0, "~10001"],
    false,
  ],
])("of %s", (_, counts, sample, told, sampled) => {
  expect(stats(counts, sample)).toEqual({ told, needsSample: sampled });
});

it("counts up to a limit, and says when there were more", () => {
  expect([
    countUpTo(10, { looked: 10, found: 3, asOf: "0" }),
    countUpTo(10, { looked: 11, found: 11, asOf: "0" }),
  ]).toMatchObject([
    { value: 3, exact: true },
    { value: 10, exact: false },
  ]);
});
