import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, defineTask, silentLogger, type Logger, type WorkerOptions } from "../../../src/index.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyFlow, SERIAL, shapeOf } from "../../harness/flow.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
const { connectionString } = database;
const client = await createClient({ connectionString, logger: silentLogger, migrate: false });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyFlow(database));

const quick = defineTask({ identifier: "quick", run: () => undefined });

/** Creates a worker that declares these rules, and resolves to what it has warned of. */
async function declare(queues: WorkerOptions["queues"], tasks = [quick]): Promise<string[]> {
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  await using _worker = await createTestWorker(database, { tasks, queues, logger });
  return warnings;
}

const widthOf = async (pattern: string) =>
  (await client.listQueueRules()).rules.find((rule) => rule.pattern === pattern)?.concurrency;

describe("rules that workers declare", () => {
  it("are stored, and change with what is deployed, also when an old worker starts once more meanwhile", async () => {
    await client.addJob("quick", {}, { queueName: "tenant:1" });
    expect(await declare({ "tenant:*": { concurrency: 2 } })).toEqual([]);
    expect(await shapeOf(database, "tenant:1")).toMatchObject({ width: 2 });
    expect((await client.listQueueRules()).rules).toMatchObject([{ pattern: "tenant:*", isDeclared: true }]);
    expect(await declare({ "tenant:*": { concurrency: 3 } })).toEqual([]);
    expect(await declare({ "tenant:*": { concurrency: 2 } })).toEqual([
      "Declared rules of queues are not used: another deployment has declared others since",
    ]);
    expect(await shapeOf(database, "tenant:1")).toMatchObject({ width: 3 });
    // Later it is a deployment that was taken back.
    await database.sql("update howdah._howdah_rules set updated_at = now() - interval '11 minutes'");
    expect(await declare({ "tenant:*": { concurrency: 2 } })).toEqual([]);
    expect(await shapeOf(database, "tenant:1")).toMatchObject({ width: 2 });
  });

  it("write nothing when they are the same", async () => {
    await declare({ "tenant:*": { concurrency: 2 } });
    const read = () => database.sql("select xmin::text, * from howdah._howdah_rules");
    const before = await read();
    await declare({ "tenant:*": { concurrency: 2 } });
    expect(await read()).toEqual(before);
  });

  it("leave alone what a call has set, which is told once", async () => {
    await client.setQueueRules("q", { concurrency: 5 });
    expect(await declare({ q: { concurrency: 2 } })).toEqual([
      "Declared rules of queues are not used: a call has set others",
    ]);
    expect(await widthOf("q")).toBe(5);
    await declare({ r: { concurrency: 2 } });
    await client.setQueueRules("r", { concurrency: 2 });
    await declare({ r: { concurrency: 3 } });
    expect(await widthOf("r")).toBe(2);
  });

  it("are refused with their place when they are wrong, or name a pool that is not there", async () => {
    await expect(declare({ "a*b": { concurrency: 2 } })).rejects.toThrow(/Worker option `queues\["a\*b"\]` must be/);
    await expect(declare({ q: { concurrency: 2000 } })).rejects.toThrow(/`queues\["q"\]\.concurrency` must be/);
    await expect(declare({ q: { pool: "api" } })).rejects.toMatchObject({ code: "HOWDAH_POOL_UNKNOWN" });
  });
});

describe("a worker that runs", () => {
  it("gives its shape to a queue that was missed when its rule was set", async () => {
    await using worker = await createTestWorker(database, { tasks: [quick], recovery: FAST_RECOVERY });
    await client.setQueueRules("q*", { concurrency: 2 });
    const running = worker.run();
    await database.sql("insert into howdah._private_job_queues (queue_name) values ('q1')");
    await until(async () => (await shapeOf(database, "q1"))?.width === 2, { message: "the sweep" });
    await worker.stop();
    await running;
  });
});

describe("the limit of a task", () => {
  const sync = defineTask({
    identifier: "sync",
    limit: { key: ({ tenant }) => tenant, concurrency: 2, rate: { limit: 10, per: "1s" } },
    run: (_payload: { tenant: string }) => undefined,
  });

  it("puts its jobs into the queues of their keys, whose rules its workers declare", async () => {
    await client.addJob(sync, { tenant: "a" });
    await client.addJob(sync, { tenant: "b" }, { queueName: "other" });
    expect(await shapeOf(database, "sync:a")).toMatchObject(SERIAL);
    await using _worker = await createTestWorker(database, { tasks: [sync] });
    expect(await shapeOf(database, "sync:a")).toMatchObject({ width: 2, buckets: [[100_000, 10]] });
    expect(await shapeOf(database, "other")).toMatchObject(SERIAL);
    await client.addJob(sync, { tenant: "c" });
    expect(await shapeOf(database, "sync:c")).toMatchObject({ width: 2 });
  });

  it("is for all of its jobs without a key, beside its own defaults", async () => {
    const all = defineTask({
      identifier: "all",
      limit: { concurrency: 3 },
      defaults: { priority: 4 },
      run: () => undefined,
    });
    const job = await client.addJob(all);
    expect(job).toMatchObject({ queueName: "all", priority: 4 });
    await using _worker = await createTestWorker(database, { tasks: [all] });
    expect(await shapeOf(database, "all")).toMatchObject({ width: 3 });
  });

  it("is checked where it is written", () => {
    const run = () => undefined;
    expect(() => defineTask({ identifier: "t", limit: {}, run })).toThrow(/`limit` must say something/);
    expect(() => defineTask({ identifier: "t", limit: { key: () => "k", concurrency: 101 }, run })).toThrow(
      /from 1 to 100/,
    );
    const typo = { concurency: 1 } as object;
    expect(() => defineTask({ identifier: "t", limit: typo, run })).toThrow(/Unknown .* option `limit\.concurency`/);
  });

  it("is refused where its queues would not be its own", () => {
    const run = () => undefined;
    for (const [identifier, key] of [
      ["s*", undefined],
      ["s*", () => "k"],
      ["s".repeat(127), () => "k"],
    ] as const) {
      expect(() => defineTask({ identifier, limit: { key, concurrency: 2 }, run })).toThrow(/cannot have a `limit`/);
    }
    expect(defineTask({ identifier: "s".repeat(126), limit: { key: () => "k", concurrency: 2 }, run })).toBeDefined();
  });

  it("refuses a job without a key, and keys that are no texts or numbers", async () => {
    const broken = defineTask({
      identifier: "broken",
      limit: { key: ({ tenant }) => tenant as string, concurrency: 2 },
      run: (_payload: { tenant?: unknown }) => undefined,
    });
    for (const tenant of [undefined, null, {}, Number.NaN, true]) {
      await expect(client.addJob(broken, { tenant })).rejects.toMatchObject({
        code: "HOWDAH_JOB_INVALID",
        message: expect.stringContaining("`limit.key` of job `broken` returned") as unknown,
      });
    }
    expect(await client.addJob(broken, { tenant: 7 })).toMatchObject({ queueName: "broken:7" });
  });

  it("says that its key failed", async () => {
    const deep = defineTask({
      identifier: "deep",
      limit: { key: ({ of }) => of.tenant, concurrency: 2 },
      run: (_payload: { of: { tenant: string } }) => undefined,
    });
    await expect(client.addJob(deep, {} as never)).rejects.toThrow("The function `limit.key` of job `deep` failed.");
  });
});
