import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ connectionString: database.connectionString, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

/** A process of its own whose whole work is one worker. */
function startWorker(shutdown: object): Promise<TestProcess> {
  const options = { connectionString: database.connectionString, shutdown };
  return startNode(new URL("../fixtures/run-worker.mjs", import.meta.url), { args: [JSON.stringify(options)] });
}

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  it("shuts the worker down: jobs are given back, and the process ends by itself with code 0", async () => {
    await client.addJob("obeys");
    await client.addJob("ignores");
    await client.addJob("obeys", {}, { queueName: "q" });
    await client.addJob("obeys", {}, { queueName: "q" });
    const worker = await startWorker({ gracePeriod: "50ms", abortPeriod: "50ms" });
    await until(() => worker.lines.filter((line) => line.startsWith("started")).length === 3);
    worker.kill(signal);

    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.lines.filter((line) => !line.startsWith("started"))).toEqual([
      "before 0,0,0,0",
      "running 1,1,1,1",
      "shutdown signal",
      "stopped 0,0,0,0",
    ]);
    expect(await database.sql("select attempts, locked_by from howdah.jobs")).toEqual(
      Array.from({ length: 4 }, () => ({ attempts: 0, locked_by: null })),
    );
    expect((await client.listQueues()).queues).toMatchObject([{ lockedBy: null, jobCount: { value: 2 } }]);
  });

  it("a second time ends the process at once", async () => {
    await client.addJob("ignores");
    const worker = await startWorker({ gracePeriod: "1h" });
    await worker.line("started");
    worker.kill(signal);
    await until(() => worker.errorLines.some((line) => line.includes("a second signal ends the process at once")));
    worker.kill(signal);
    expect(await worker.ended).toEqual({ code: null, signal });
    expect(worker.lines).not.toContain("shutdown signal");
  });
});

describe("osSignals: false", () => {
  it("leaves signals to the application", async () => {
    await client.addJob("ignores");
    const worker = await startWorker({ osSignals: false });
    await worker.line("started");
    expect(await worker.line("running")).toBe("running 0,0,0,0");
    worker.kill("SIGTERM");
    expect(await worker.ended).toEqual({ code: null, signal: "SIGTERM" });
  });
});

describe("a script that stops its worker", () => {
  it("ends by itself, with code 0 and no listeners left", async () => {
    await client.addJob("stop");
    const worker = await startWorker({});
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.lines.slice(-2)).toEqual(["shutdown stopped", "stopped 0,0,0,0"]);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});
