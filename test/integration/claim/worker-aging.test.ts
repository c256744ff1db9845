import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules } from "../../harness/shape-queues.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

// Old jobs of a low priority under a backlog of urgent ones that does not end.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));

/** How many old jobs there are. */
const OLD = 20;

/** Adds urgent jobs that are due for a minute. */
const addUrgent = (count: number) =>
  database.sql(
    `select howdah.add_job('timed', '"urgent"', priority => 0, run_at => now() - interval '1 min')
     from generate_series(1, $1)`,
    [count],
  );

/** Adds the old ones, some of them with a queue. */
const addOld = (queues: boolean) =>
  database.sql(
    `select howdah.add_job('timed', '"old"', priority => 10, run_at => now() - interval '1 h',
       queue_name => case when $2 and n % 2 = 0 then 'q' || n end)
     from generate_series(1, $1) as n`,
    [OLD, queues],
  );

/** What started, in order, until all old jobs have, while there is always urgent work. */
async function run(options: Partial<WorkerOptions>): Promise<readonly string[]> {
  const started: string[] = [];
  const task = defineTask({
    identifier: "timed",
    async run(kind: string) {
      started.push(kind);
      await systemClock.sleep(2);
    },
  });
  const worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
  const running = worker.run();
  const countOld = (): number => started.filter((kind) => kind === "old").length;
  await until(() => countOld() === OLD || started.length >= 900, { deadlineMs: 30_000 });
  const seen = [...started];
  await worker.stop();
  await running;
  return seen;
}

describe.each<[string, Partial<WorkerOptions>, number]>([
  ["claims directly", {}, 40],
  ["reads nothing ahead", { readAhead: false }, 32],
  ["has one slot", { concurrency: 1, readAhead: false }, 16],
  ["has a local queue", { localQueue: { size: 80 } }, 170],
])("a worker that %s", (_how, options, slack) => {
  it.each([
    ["without a queue", false],
    ["some of which have queues", true],
  ])(
    "starts an old job, of those %s, at each eighth place or so, and no more",
    async (_what, queues) => {
      await addUrgent(1_200);
      await addOld(queues);
      const started = await run({ ...options, priorityAging: "10m" });
      const places = started.flatMap((kind, place) => (kind === "old" ? [place] : []));
      expect(places).toHaveLength(OLD);
      for (const [index, place] of places.entries()) {
        expect(place).toBeLessThan((index + 1) * 8 + slack);
        // Not more than their part has gone to them.
        expect(index + 1).toBeLessThanOrEqual(place / 8 + slack / 8 + 1);
      }
    },
    60_000,
  );
});

it("a worker without the option starts nothing else while there is urgent work", async () => {
  await addUrgent(1_200);
  await addOld(false);
  expect((await run({})).slice(0, 900)).not.toContain("old");
});
