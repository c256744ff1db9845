import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;
/** The texts of the statements that the client sent. */
const statements: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  const driver = Object.create(database.driver, {
    share: { value: undefined },
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
const stores = (all: readonly string[]): readonly string[] => all.filter((text) => text.includes("_howdah_add_job"));

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
      const jobs = await client.addJobs(entries);
      expect(jobs.map(({ task, payload, priority }) => [task, payload, priority])).toEqual(
        entries.map(({ identifier, payload, spec }) => [identifier, payload, spec.priority]),
      );
      expect(jobs.map(({ queueName }) => queueName)).toEqual(entries.map(({ spec }) => spec.queueName ?? null));
      expect(jobs.map(({ revision }) => revision)).toEqual(entries.map(({ spec }) => (spec.jobKey ? round : 0)));
      for (const job of jobs.slice(0, 8)) expect(await client.getJob(job.id)).toEqual(job);
    }
  });

  it("returns each job with its own id and time, whatever queues and times they have", async () => {
    const spec = (n: number) => ({
      queueName: n % 3 === 0 ? `queue ${9 - n}` : undefined,
      runAt: n % 4 === 0 ? new Date(Date.UTC(2020, 0, 20 - n)) : undefined,
    });
    const added = await client.addJobs(
      Array.from({ length: 9 }, (_, n) => ({
        identifier: n % 2 === 0 ? "even" : "odd",
        payload: { n },
        spec: spec(n),
      })),
    );
    for (const job of added) expect(await client.getJob(job.id)).toEqual(job);
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

  it("asks nothing of the database for an empty list", async () => {
    expect(await client.addJobs([])).toEqual([]);
    expect(stores(statements)).toEqual([]);
  });

  it("refuses unsafe_dedupe (behaviours 52)", async () => {
    const jobs = [{ identifier: "t", spec: { jobKey: "k", jobKeyMode: "unsafe_dedupe" as const } }];
    await expect(client.addJobs(jobs)).rejects.toMatchObject({
      code: "HOWDAH_JOB_KEY_MODE_UNSUPPORTED",
      message: /unsafe_dedupe/,
    });
    expect(stores(statements)).toEqual([]);
  });

  it("refuses one key given twice, and says where", async () => {
    const jobs = ["a", "b", "a"].map((jobKey) => ({ identifier: "t", spec: { jobKey } }));
    await expect(client.addJobs(jobs)).rejects.toMatchObject({
      code: "HOWDAH_JOB_KEY_DUPLICATE",
      message: /jobs\[0\] and jobs\[2\]/,
    });
    expect(stores(statements)).toEqual([]);
  });

  it("stores none of the jobs when one of them is wrong", async () => {
    const jobs = [{ identifier: "t" }, { identifier: "t", spec: { priority: 1.5 } }];
    await expect(client.addJobs(jobs)).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID", message: /jobs\[1\]/ });
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
