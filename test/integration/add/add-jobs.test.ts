import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver, createClient } from "../../../src/client/create-client.ts";
import type { Job, JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { type CatchPoint, openProxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;
/** The texts of the statements that the client sent. */
const statements: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  const driver = Object.create(database.driver, {
    share: { value: undefined },
    transaction: { value: database.driver.transaction.bind(database.driver) },
    query: {
      value: (query: Parameters<typeof database.driver.query>[0]) => {
        statements.push(query.text);
        return database.driver.query(query);
      },
    },
  }) as typeof database.driver;
  client = clientOver({ driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
  statements.length = 0;
});

afterAll(async () => {
  await database.drop();
});

/** The statements that store jobs: workers are told of them by another one, after the commit. */
const stores = (all: readonly string[]): readonly string[] =>
  all.filter((text) => /_howdah_add_(?:keyed_)?job/.test(text));

const typed = defineTask({ identifier: "typed", run(_payload: { value: number }) {} });

describe("addJobs", () => {
  it("stores jobs of several tasks in one statement (behaviours 41, 42, 45, 48)", async () => {
    const [first, second, third] = await client.addJobs([
      { task: typed, payload: { value: 1 } },
      { identifier: "raw", payload: "two", spec: { priority: 5 } },
      { task: typed, payload: { value: 3 }, spec: { flags: ["a"], maxAttempts: 2 } },
    ]);

    expect(stores(statements)).toHaveLength(1);
    expect(first).toMatchObject({ task: "typed", payload: { value: 1 } });
    expect(second).toMatchObject({ task: "raw", payload: "two", priority: 5 });
    expect(third).toMatchObject({ task: "typed", payload: { value: 3 }, flags: ["a"], maxAttempts: 2 });
    expect((await client.listJobs()).jobs).toEqual([first, second, third]);
  });

  describe.each(BULK_ADDS)("as %s", (_name, addAll) => {
    it("returns the jobs in the order given, each with its own names (behaviours 22, S19)", async () => {
      const entries = Array.from({ length: 60 }, (_, index) => ({
        identifier: `task_${index % 7}`,
        payload: index,
        spec: {
          priority: 100 - index,
          ...(index % 3 === 0 ? { queueName: `queue_${index % 5}` } : {}),
          ...(index % 4 === 0 ? { jobKey: `key_${index}` } : {}),
        },
      }));
      for (const round of [0, 1]) {
        const jobs = await addAll(client, entries);
        expect(jobs.map(({ task, payload, priority }) => [task, payload, priority])).toEqual(
          entries.map(({ identifier, payload, spec }) => [identifier, payload, spec.priority]),
        );
        expect(jobs.map(({ queueName }) => queueName)).toEqual(entries.map(({ spec }) => spec.queueName ?? null));
        expect(jobs.map(({ revision }) => revision)).toEqual(entries.map(({ spec }) => (spec.jobKey ? round : 0)));
        for (const job of jobs.slice(0, 8)) expect(await client.getJob(job.id)).toEqual(job);
      }
    });
  });

  it.each(BULK_ADDS)(
    "returns each job with its own id and time, whatever queues and times they have, as %s",
    async (_, addAll) => {
      const spec = (n: number) => ({
        queueName: n % 3 === 0 ? `queue ${9 - n}` : undefined,
        runAt: n % 4 === 0 ? new Date(Date.UTC(2020, 0, 20 - n)) : undefined,
      });
      const added = await addAll(
        client,
        Array.from({ length: 9 }, (_item, n) => ({
          identifier: n % 2 === 0 ? "even" : "odd",
          payload: { n },
          spec: spec(n),
        })),
      );
      expect(added.map(({ payload }) => payload)).toEqual(Array.from({ length: 9 }, (_item, n) => ({ n })));
      for (const job of added) expect(await client.getJob(job.id)).toEqual(job);
    },
  );

  it("stores the same with and without reading it back, whatever jobs have of their own", async () => {
    const specs: readonly JobSpec[] = [
      {},
      { queueName: "q" },
      { runAt: new Date("2100-01-01T00:00:00.123Z") },
      { maxAttempts: 3 },
      { priority: -5 },
      { flags: ["b", "a"] },
      { timeout: "3s" },
      { jobKey: "k" },
    ];
    for (const spec of specs) {
      const told: Job[] = [];
      const stored: Job[] = [];
      for (const [, addAll] of BULK_ADDS) {
        const jobs = await addAll(client, [{ identifier: "t", payload: [1], spec }, { identifier: "t" }]);
        told.push(...jobs);
        stored.push(...(await client.listJobs()).jobs);
        await database.sql("truncate howdah._private_jobs");
      }
      const withoutPlace = told.map(({ id: _id, createdAt, updatedAt, runAt, ...rest }) => ({
        ...rest,
        isNew: createdAt.getTime() === updatedAt.getTime(),
        runAt: spec.runAt === undefined ? undefined : runAt,
      }));
      expect(told).toEqual(stored);
      expect(withoutPlace.slice(0, 1)).toEqual(withoutPlace.slice(2, 3));
    }
  });

  it("shares one spec between many jobs (behaviours 46, 49, 53)", async () => {
    const spec = { queueName: "large_queue", priority: 3, flags: ["sqlx"] };
    const jobs = await client.addJobs(
      Array.from({ length: 512 }, (_, payload) => ({ identifier: "t", payload, spec })),
    );
    expect(jobs).toHaveLength(512);
    expect(jobs.at(-1)).toMatchObject({ payload: 511, ...spec });
    const queues = (await client.listQueues()).queues;
    expect(queues.find(({ name }) => name === "large_queue")).toMatchObject({
      jobCount: { value: 512 },
      readyCount: { value: 512 },
    });
  });

  it("stores ten thousand jobs in one statement (behaviours 21)", async () => {
    const jobs = await client.addJobs(
      Array.from({ length: 10_000 }, (_, index) => ({
        task: typed,
        payload: { value: index },
        ...(index % 2 ? { spec: { queueName: `q${index % 100}` } } : {}),
      })),
    );
    expect(stores(statements)).toHaveLength(1);
    expect(jobs.every((job, index) => job.payload.value === index)).toBe(true);
    expect(await client.stats()).toMatchObject({ ready: { value: 10_000, exact: true } });
  });

  it.each([
    ["plain ones", () => undefined],
    ["some in queues", (n: number) => (n % 2 ? { queueName: `q${n % 100}` } : undefined)],
  ])("answers the ids of ten thousand jobs in their order, from one statement: %s", async (_, specOf) => {
    const entries = Array.from({ length: 10_000 }, (_item, n) => ({ identifier: "t", payload: n, spec: specOf(n) }));
    const ids = await client.addJobs(entries, { returning: "ids" });
    expect(stores(statements)).toHaveLength(1);
    const rows = await database.sql("select id, payload::text from howdah._private_jobs");
    const payloads = new Map(rows.map((row) => [row["id"], row["payload"]]));
    expect(ids.map(({ id }) => payloads.get(id))).toEqual(entries.map((_item, n) => String(n)));
  });

  it.each(BULK_ADDS)("asks nothing of the database for an empty list, as %s", async (_, addAll) => {
    expect(await addAll(client, [])).toEqual([]);
    expect(stores(statements)).toEqual([]);
  });

  describe.each(BULK_ADDS)("as %s", (_name, addAll) => {
    it("refuses unsafe_dedupe (behaviours 52)", async () => {
      const jobs = [{ identifier: "t", spec: { jobKey: "k", jobKeyMode: "unsafe_dedupe" as const } }];
      await expect(addAll(client, jobs)).rejects.toMatchObject({
        code: "HOWDAH_JOB_KEY_MODE_UNSUPPORTED",
        message: /unsafe_dedupe/,
      });
      expect(stores(statements)).toEqual([]);
    });
  });

  it.each(BULK_ADDS)("refuses one key given twice, and says where, as %s", async (_, addAll) => {
    const jobs = ["a", "b", "a"].map((jobKey) => ({ identifier: "t", spec: { jobKey } }));
    await expect(addAll(client, jobs)).rejects.toMatchObject({
      code: "HOWDAH_JOB_KEY_DUPLICATE",
      message: /jobs\[0\] and jobs\[2\]/,
    });
    expect(stores(statements)).toEqual([]);
  });

  it.each(BULK_ADDS)("stores none of the jobs when one of them is wrong, as %s", async (_, addAll) => {
    const jobs = [{ identifier: "t" }, { identifier: "t", spec: { priority: 1.5 } }];
    await expect(addAll(client, jobs)).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID", message: /jobs\[1\]/ });
    expect(stores(statements)).toEqual([]);
  });

  it("tells the workers of the jobs that are due, once", async () => {
    const listener = await database.connect();
    await listener.query('listen "jobs:insert"');
    const heard: string[] = [];
    listener.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await client.addJobs([
      { identifier: "t" },
      { identifier: "t", spec: { queueName: "q" } },
      { identifier: "t", spec: { runAt: "2200-01-01" } },
    ]);
    await until(() => heard.length > 0);
    expect(heard.map((payload) => JSON.parse(payload))).toMatchObject([{ schema: "howdah" }]);
  });
});

describe.each<[words: string, at: CatchPoint, how: "cut" | "cutClient", storedCount: number]>([
  ["before the server has seen it", "before", "cut", 0],
  ["and it arrives later", "before", "cutClient", 10],
  ["after the commit", "after", "cut", 10],
])("a bulk add whose statement loses its connection, %s,", (_words, at, how, storedCount) => {
  it.each([
    ["addJobs", "_howdah_add_jobs_without_keys", undefined, {}],
    ["addJobs for ids", "_howdah_add_jobs_without_keys", { returning: "ids" }, {}],
    ["addJobs for ids, with a key", "_howdah_add_keyed_job_ids_v1", { returning: "ids" }, { jobKey: "k" }],
  ] as const)("rejects as %s, and is not repeated", async (_way, statement, options, spec) => {
    await using proxy = await openProxy(database.connectionString);
    await using cut = await createClient({ connectionString: proxy.connectionString, logger: silentLogger });
    const add = (): Promise<unknown> =>
      cut.addJobs(
        Array.from({ length: 10 }, (_item, n) => ({ identifier: "t", spec: n === 0 ? spec : {} })),
        options as undefined,
      );
    const count = async (): Promise<number> => (await database.sql("select from howdah._private_jobs")).length;
    const breaking = proxy.next(statement, at).then((caught) => caught[how]());
    await expect(add()).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    await breaking;
    await until(async () => (await count()) === storedCount);
    // It goes on over another connection.
    await add();
    const isFound = "jobKey" in spec && storedCount > 0;
    expect(await count()).toBe(storedCount + (isFound ? 9 : 10));
  });
});

it.each(BULK_ADDS)("two callers of %s that add to the same new queue at once both get through", async (_, addAll) => {
  const jobs = Array.from({ length: 50 }, (_item, n) => ({ identifier: "t", spec: { queueName: `fresh ${n % 7}` } }));
  const added = await Promise.all(Array.from({ length: 6 }, () => addAll(client, jobs)));
  expect(new Set(added.flat().map(({ id }) => id)).size).toBe(300);
});
