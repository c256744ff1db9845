import { afterAll, beforeAll, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { BY_WORKER } from "./outcomes/by-others.ts";
import { WAYS } from "./outcomes/ending-case.ts";
import { play } from "./outcomes/stage.ts";
let database: TestDatabase;
beforeAll(async () => { database = await createDatabase(); });
afterAll(() => database.drop());
for (const one of BY_WORKER) for (const way of one.ways ?? WAYS)
  it(`${one.what} / ${way}`, async () => {
    await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
    console.log(one.what, way, JSON.stringify(await play(database, way, [one])));
  }, 15000);
