import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../docs/project-tree.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { BY_HANDLER, BY_INTERCEPTOR } from "./outcomes/by-handler.ts";
import { BY_OTHERS, BY_WORKER } from "./outcomes/by-others.ts";
import { type EndingCase, WAYS, type Way } from "./outcomes/ending-case.ts";
import type { Observation } from "./outcomes/observation.ts";
import { type Finding, readTable, replaceTable, toRows } from "./outcomes/page.ts";
import { play } from "./outcomes/stage.ts";

/** With `HOWDAH_WRITE_OUTCOMES=1` the page is written from what is seen here; prettier does the rest. */
const isWriting = process.env["HOWDAH_WRITE_OUTCOMES"] === "1";
const PAGE = join(ROOT, "docs/reference/outcomes.md");

/** The tables of the page, by their headings. */
const TABLES: readonly (readonly [heading: string, cases: readonly EndingCase[]])[] = [
  ["What the handler does", BY_HANDLER],
  ["What interceptors decide", BY_INTERCEPTOR],
  ["What is done to the job", BY_OTHERS],
  ["What happens to the worker", BY_WORKER],
];

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

/** What was seen of each case, for each way that it can go. */
type Seen = Map<EndingCase, Map<Way, Observation>>;

/** Cases that have the same options share a worker. */
async function playAll(cases: readonly EndingCase[]): Promise<Seen> {
  const seen: Seen = new Map(cases.map((one) => [one, new Map<Way, Observation>()]));
  for (const way of WAYS) {
    await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
    const possible = cases.filter(({ ways = WAYS }) => ways.includes(way));
    for (const group of bySharedWorker(possible)) {
      const observed = await play(database, way, group);
      for (const [index, one] of group.entries()) seen.get(one)?.set(way, observed[index] as Observation);
    }
  }
  return seen;
}

/** A case that ends its worker cannot share it. */
function bySharedWorker(cases: readonly EndingCase[]): readonly (readonly EndingCase[])[] {
  const groups = new Map<unknown, EndingCase[]>();
  for (const one of cases) {
    const key = one.endsWorker ? one : one.options;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

function toFinding(one: EndingCase, seen: Map<Way, Observation>): Finding {
  return {
    what: one.what,
    alone: seen.get("direct") ?? seen.get("local queue"),
    queued: seen.get("direct, in a queue") ?? seen.get("chain"),
  };
}

/** Every ending is played in four ways, one after another. */
const PLAY_LIMIT_MS = 180_000;

describe.each(TABLES)("how a job can end: %s", (heading, cases) => {
  let seen: Seen;

  beforeAll(async () => {
    seen = await playAll(cases);
    if (!isWriting) return;
    const rows = toRows(cases.map((one) => toFinding(one, seen.get(one) ?? new Map())));
    await writeFile(PAGE, replaceTable(await readFile(PAGE, "utf8"), heading, rows));
  }, PLAY_LIMIT_MS);

  it.each(cases.map((one) => [one.what, one] as const))(
    "%s: the same from the local queue as without it",
    (_what, one) => {
      const found = seen.get(one) ?? new Map<Way, Observation>();
      const pairs: [Way, Way][] = [
        ["direct", "local queue"],
        ["direct, in a queue", "chain"],
      ];
      expect(found.size).toBeGreaterThan(0);
      for (const [direct, cached] of pairs) {
        if (found.has(direct) && found.has(cached)) expect(found.get(cached)).toEqual(found.get(direct));
      }
    },
  );

  it("leaves behind what the reference says", async () => {
    const rows = toRows(cases.map((one) => toFinding(one, seen.get(one) ?? new Map())));
    expect(readTable(await readFile(PAGE, "utf8"), heading)).toEqual(rows);
  });
});
