import { afterAll, beforeAll, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { BY_OTHERS } from "./outcomes/by-others.ts";
import { play } from "./outcomes/stage.ts";
let database: TestDatabase;
beforeAll(async () => { database = await createDatabase(); });
afterAll(() => database.drop());
for (const one of BY_OTHERS.filter((c) => c.waits)) for (const way of one.ways ?? [])
  it(`${one.what} / ${way}`, async () => {
    await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
    try { console.log(one.what, way, JSON.stringify(await play(database, way, [one]))); }
    catch (e) { console.log(await database.sql("select id, task_id, attempts, max_attempts, locked_by, last_error, _howdah_cancelled, run_at from howdah._private_jobs"), e); throw e; }
  }, 25000);
