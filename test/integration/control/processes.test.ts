import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const startWorker = (options: object = {}): Promise<TestProcess> =>
  startNode(new URL("../fixtures/control-worker.mjs", import.meta.url), {
    args: [JSON.stringify({ connectionString: database.connectionString, concurrency: 1, ...options })],
  });

const held = async (): Promise<number> =>
  (await database.sql("select from howdah._private_jobs where locked_at is not null")).length;

const add = async (names: readonly string[], queueName: string): Promise<string[]> =>
  (await client.addJobs(names.map((payload) => ({ identifier: "waits", payload, spec: { queueName } })))).map(
    ({ id }) => id,
  );

describe.each([
  ["in direct mode", {}, 1],
  ["with a local queue and a chain at work", { localQueue: { size: 10 } }, 3],
])("a worker of another process, %s", (_, options, holds) => {
  it("stops what was cancelled here, starts nothing that was cancelled or paused here, and goes on when told", async () => {
    await using worker = await startWorker(options);
    const [first = "", second = "", third = ""] = await add(["first", "second", "third"], "q");
    await worker.line("started first");
    await until(async () => (await held()) === holds);

    await client.pauseQueue("q");
    await until(async () => (await held()) === 1);
    const { removed, signalled } = await client.cancelJobs([first, second], "enough");
    expect([removed, signalled]).toEqual([[second], [first]]);
    await worker.line("stopped first HOWDAH_ABORTED_CANCELLED enough");
    await worker.line("ended first failed");
    await until(async () => (await client.listQueues()).queues[0]?.lockedAt === null);
    expect(await client.getJob(third)).toMatchObject({ state: "ready", attempts: 0 });

    await client.resumeQueue("q");
    await worker.line("started third");
    expect(worker.lines).not.toContain("started second");
    expect(await client.getJob(first)).toMatchObject({ state: "failed", lastError: "enough" });
  });
});

describe.each([
  ["that listens", {}],
  ["that polls only", { useNotificationDelivery: false, pollInterval: "50ms" }],
])("a worker of another process, %s, that stood still", (_, options) => {
  it.each([
    ["a chain at work", "q", 3],
    ["its memory", undefined, 3],
  ])("starts nothing of %s that was decided about meanwhile", async (__, queueName, holds) => {
    await using worker = await startWorker({ localQueue: { size: 10 }, ...options });
    const spec = queueName === undefined ? {} : { queueName };
    const jobs = await client.addJobs(
      ["first", "second", "third"].map((payload) => ({ identifier: "waits", payload, spec })),
    );
    await worker.line("started first");
    await until(async () => (await held()) === holds);
    worker.kill("SIGSTOP");
    await client.cancelJobs([jobs[1]?.id ?? ""], "enough");
    const [{ at } = {}] = await database.sql("select clock_timestamp()::text as at");
    await until(async () => {
      const [row] = await database.sql(
        `select clock_timestamp() > '${String(at)}'::timestamptz + interval '1s' as is_over`,
      );
      return row?.["is_over"];
    });
    // The first handler ends as soon as the process goes on, before it can have heard of anything.
    worker.say("first");
    worker.kill("SIGCONT");
    await worker.line("started third");
    expect(worker.lines).not.toContain("started second");
  });
});

describe("a worker that is killed", () => {
  it("leaves no cancelled job behind that runs again, and no pause", async () => {
    const worker = await startWorker({ localQueue: { size: 10 } });
    const ids = await add(["first", "second", "third"], "q");
    await worker.line("started first");
    await until(async () => (await held()) === 3);
    const [row] = await database.sql("select locked_by from howdah._private_jobs limit 1");
    worker.kill("SIGSTOP");
    const [first = "", second = "", third = ""] = ids;
    expect((await client.cancelJobs([first, second], "enough")).signalled).toEqual([first, second]);
    await client.pauseTask("waits");
    worker.kill("SIGKILL");
    await worker.ended;
    await client.forceUnlockWorkers([String(row?.["locked_by"])]);

    await using next = await startWorker();
    for (const id of [first, second]) {
      expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "enough" });
    }
    await add(["not paused"], "r");
    expect(await client.listPauses()).toEqual({ queues: [], tasks: [{ name: "waits", until: null }] });
    await client.resumeTask("waits");
    await next.line(/started (third|not paused)/);
    expect(next.lines.filter((line) => line.startsWith("fetched"))).not.toContain("fetched first");
    expect(await client.getJob(third)).toBeDefined();
  });
});
