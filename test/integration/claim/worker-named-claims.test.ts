import { afterAll, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());

/** The database's driver, with the names of the statements that claim. */
function watchedDriver(): { driver: Driver; claims: string[] } {
  const { driver } = database;
  const claims: string[] = [];
  const watched: Driver = {
    query(query) {
      if (query.name?.startsWith("howdah_claim") === true) claims.push(query.name);
      return driver.query(query);
    },
    transaction: (work) => driver.transaction(work),
    listen: (channels, handlers) => driver.listen(channels, handlers),
    close: () => driver.close(),
  };
  return { driver: watched, claims };
}

it("idle workers run every job that is announced once, most of them claimed by id, long before they poll", async () => {
  const ran: number[] = [];
  const task = defineTask({ identifier: "t", run: ({ n }: { n: number }) => void ran.push(n) });
  const parts = [watchedDriver(), watchedDriver()];
  const workers = await Promise.all(
    parts.map(({ driver }) =>
      createTestWorker(database, { driver, tasks: [task], pollInterval: "1h", concurrency: 2 }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  for (let n = 0; n < 40; n++) {
    const queue = n % 10 === 5 ? "q" : null;
    await database.sql("select howdah.add_job('t', json_build_object('n', $1::int), queue_name => $2)", [n, queue]);
    await until(() => ran.includes(n));
  }
  // More than both have room for, which makes them search.
  await database.sql("select howdah.add_job('t', json_build_object('n', n)) from generate_series(40, 79) as n");
  await until(() => ran.length >= 80);
  expect(ran.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, n) => n));
  const claims = parts.flatMap((part) => part.claims);
  expect(claims.filter((name) => name.startsWith("howdah_claim_named")).length).toBeGreaterThan(20);
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(running);
});
