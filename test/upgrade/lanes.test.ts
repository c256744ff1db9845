import { describe, expect, it } from "vitest";
import { clientOver } from "../../src/client/create-client.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createDatabase } from "../harness/database.ts";
import { FAST_RECOVERY, startWorkerProcess } from "../harness/recovery.ts";
import { until } from "../harness/until.ts";
import { eventsOf, startWorker } from "./fleet.ts";
import { releaseNames, unpackRelease } from "./releases.ts";

// Releases that know nothing of rules watch over workers whose queues have some.
describe.each(releaseNames())("a worker of %s, alone with what dead workers of this tree held", (name) => {
  it("frees their lanes, and those of their pool, and never runs a job of a queue with rules", async () => {
    await using release = await unpackRelease(name);
    const database = await createDatabase();
    const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
    const { connectionString } = database;
    await client.setQueuePool("shared", { concurrency: 5 });
    await client.setQueueRules("k*", { concurrency: 3, pool: "shared" });
    for (const queueName of ["k1", "k1", "k1", "k2", "k2", "serial"]) await client.addJob("hold", {}, { queueName });
    const lanes = () => database.sql("select locked_by from howdah._howdah_lanes where locked_at is not null");
    {
      await using victim = await startWorkerProcess(database, { taskNames: ["hold"], concurrency: 6 });
      await until(async () => (await lanes()).length === 10, { message: "five lanes of queues and five of the pool" });
      // It is there before the other one dies, as in a deployment.
      await using old = await startWorker(release, {
        connectionString,
        migrate: false,
        concurrency: 2,
        recovery: FAST_RECOVERY,
      });
      for (let job = 0; job < 4; job += 1)
        await client.addJob("work", { name: `ruled ${job}`, ms: 1 }, { queueName: "k1" });
      await client.addJob("work", { name: "serial", ms: 1 }, { queueName: "serial" });
      victim.kill();
      await victim.ended;
      await until(async () => (await lanes()).length === 0, { message: "all lanes to be free", deadlineMs: 30_000 });
      await until(() => eventsOf(old, "completed").some((event) => event.name === "serial"), { deadlineMs: 30_000 });
      await until(
        async () =>
          (await database.sql("select from howdah._private_workers where id = $1", [victim.workerId])).length === 0,
        { message: "the dead worker to be gone", deadlineMs: 30_000 },
      );
      // What the dead one held can be claimed, by workers that know of rules.
      const held = await database.sql("select from howdah._private_jobs where locked_by is not null");
      expect(held).toEqual([]);
      expect(eventsOf(old, "completed").map((event) => event.name)).toEqual(["serial"]);
    }
    const widths = await database.sql(
      `select queue_name as name, locked_by, _howdah_width as width from howdah._private_job_queues
       where queue_name like 'k%' order by 1`,
    );
    expect(widths).toEqual(["k1", "k2"].map((queue) => ({ name: queue, locked_by: "_howdah_lanes", width: 3 })));
    await client.close();
    await database.drop();
  }, 120_000);
});
