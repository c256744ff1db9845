import { afterAll, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { FAST_RECOVERY, locked, PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";

const SLOTS = 4;
const JOBS = 3_000;

const database = await createDatabase();
const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});

const startWorker = (options: object): Promise<TestProcess> =>
  startNode(new URL("../fixtures/read-ahead-worker.mjs", import.meta.url), {
    args: [
      JSON.stringify({
        connectionString: database.connectionString,
        concurrency: SLOTS,
        recovery: PATIENT_RECOVERY,
        ...options,
      }),
    ],
  });

/** The ids of the jobs that a process has completed, each with its attempt. */
const doneBy = ({ lines }: TestProcess): string[][] =>
  lines.filter((line) => line.startsWith("done ")).map((line) => line.split(" ").slice(1));

it("a worker that is killed while it holds more jobs than it has slots loses none, and none an attempt", async () => {
  await client.addJobs(Array.from({ length: JOBS }, () => ({ task: "quick" })));
  await client.pauseTask("quick");
  const victim = await startWorker({ dies: true });
  const victimId = (await victim.line("started ")).split(" ")[1] ?? "";
  await locked(database, victimId);
  await client.resumeTask("quick");
  expect(await victim.ended).toMatchObject({ signal: "SIGKILL" });
  const held = await database.sql("select id, attempts from howdah._private_jobs where locked_by = $1", [victimId]);
  expect(held.length).toBeGreaterThan(SLOTS);
  expect(held.map((row) => row["attempts"])).toEqual(held.map(() => 1));

  // One that reads ahead, and one that does not.
  await using first = await startWorker({ recovery: FAST_RECOVERY });
  await using second = await startWorker({ readAhead: false });
  await until(async () => (await database.sql("select from howdah._private_jobs limit 1")).length === 0, {
    deadlineMs: 30_000,
  });
  const later = () => [...doneBy(first), ...doneBy(second)];
  // Their last lines may still be on the way.
  await until(() => held.every((row) => later().some(([id]) => id === row["id"])));
  const done = [...doneBy(victim), ...later()];
  expect(new Set(done.map(([id]) => id)).size).toBe(done.length);
  expect(done.filter(([, attempt]) => attempt !== "1")).toEqual([]);
}, 60_000);
