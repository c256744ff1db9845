import { afterAll, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { FAST_RECOVERY, PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});

const startWorker = (options: object): Promise<TestProcess> =>
  startNode(new URL("../fixtures/recovery-worker.mjs", import.meta.url), {
    args: [JSON.stringify({ connectionString: database.connectionString, concurrency: 6, ...options })],
  });

/** Who holds lanes of the queue and of its pool, one entry a lane. */
const holders = async (): Promise<string[]> =>
  (await database.sql("select locked_by from howdah._howdah_lanes where locked_at is not null")).map((row) =>
    String(row["locked_by"]),
  );

it("lanes of a worker that was killed are free again when its jobs are recovered, and not before", async () => {
  await client.setQueuePool("shared", { concurrency: 3 });
  await client.setQueueRules("k", { concurrency: 2, pool: "shared" });
  for (let job = 0; job < 2; job++) await client.addJob("hold", {}, { queueName: "k" });
  await using victim = await startWorker({ taskNames: ["hold"], recovery: PATIENT_RECOVERY });
  await until(async () => (await holders()).length === 4, { message: "two lanes of the queue and two of the pool" });
  victim.kill();
  await victim.ended;
  for (let job = 0; job < 4; job++) await client.addJob("quick", {}, { queueName: "k" });
  await using second = await startWorker({ taskNames: ["quick"], recovery: FAST_RECOVERY });
  await until(() => second.lines.filter((line) => line.includes('"ran"')).length === 4, { deadlineMs: 30_000 });
  await until(async () => (await holders()).length === 0);
  const lanes = await database.sql("select lane from howdah._howdah_lanes where owner_id > 0 order by lane");
  expect(lanes.map((row) => row["lane"])).toEqual([1, 2]);
}, 60_000);

it("a lane of a call of several jobs is free again when the last of them is recovered", async () => {
  await client.setQueuePool("calls", { concurrency: 3 });
  await client.setQueueRules("g", { concurrency: 2, pool: "calls" });
  await client.addJobs(
    Array.from({ length: 15 }, () => ({ identifier: "push", spec: { queueName: "g" } })),
    { returning: "ids" },
  );
  const options = { connectionString: database.connectionString, concurrency: 4, recovery: PATIENT_RECOVERY };
  await using victim = await startNode(new URL("../fixtures/gather-worker.mjs", import.meta.url), {
    args: [JSON.stringify(options)],
  });
  await until(() => victim.lines.filter((line) => line.startsWith("holds")).length === 2);
  expect(victim.lines.filter((line) => line.startsWith("holds")).map((line) => line.split(" ").length - 1)).toEqual([
    10, 5,
  ]);
  expect(await holders()).toHaveLength(4);
  victim.kill();
  await victim.ended;
  await using second = await startNode(new URL("../fixtures/gather-worker.mjs", import.meta.url), {
    args: [JSON.stringify({ ...options, recovery: FAST_RECOVERY })],
  });
  await until(() => second.lines.filter((line) => line.startsWith("holds")).length === 2, { deadlineMs: 30_000 });
  const attempts = await database.sql("select distinct attempts from howdah._private_jobs where locked_by is not null");
  expect(attempts).toEqual([{ attempts: 1 }]);
  expect(await holders()).toHaveLength(4);
}, 60_000);
