import { afterAll, beforeAll, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const JOB_COUNT = 10_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

it("three workers with default options drain 10,000 jobs, each once, without waiting for a poll", async () => {
  const times = new Map<number, number>();
  const task = defineTask({
    identifier: "count",
    run(id: number) {
      times.set(id, (times.get(id) ?? 0) + 1);
    },
  });
  // A worker that waits for a poll even once is late for the deadline below.
  const options = { tasks: [task], pollInterval: "60s" } as const;
  const workers = await Promise.all([1, 2, 3].map(() => createTestWorker(database, options)));
  await database.sql(
    `insert into howdah._private_jobs (task_id, payload)
     select (select id from howdah._private_tasks where identifier = 'count'), to_json(number)
     from generate_series(1, $1::integer) as number`,
    [JOB_COUNT],
  );

  const runs = workers.map((worker) => worker.run());
  await until(async () => (await database.sql("select from howdah._private_jobs limit 1")).length === 0, {
    message: "the last job to be done",
    deadlineMs: 25_000,
  });
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(runs);

  expect(times.size).toBe(JOB_COUNT);
  expect([...times].filter(([, count]) => count !== 1)).toEqual([]);
});
