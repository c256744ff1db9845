import { expect, describe, inject, it } from "vitest";
import pg from "pg";
import { defineTask, isHowdahError } from "../../../src/index.ts";
import {
  addedJobs,
  assertAdded,
  createTestDatabase,
  createTestQueue,
  drain,
  startTestServer,
} from "../../../src/testing/index.ts";
import { createDatabase } from "../../harness/database.ts";

const email = defineTask({ identifier: "email", run(_payload: { to: string }) {} });

async function databases(): Promise<string[]> {
  const client = new pg.Client({ connectionString: inject("serverUrl") });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>("select datname from pg_database");
  await client.end();
  return rows.map(({ datname }) => datname);
}

describe("a test database", () => {
  it("is one of its own, with a queue, and gone when it is closed, also while others are connected", async () => {
    const connectionString = inject("serverUrl");
    await using one = await createTestDatabase({ connectionString });
    const two = await createTestDatabase({ connectionString });
    const name = new URL(two.connectionString).pathname.slice(1);
    expect(await databases()).toContain(name);
    await one.client.addJob(email, { to: "ada" });
    expect(await addedJobs(one.client, { task: email })).toHaveLength(1);
    expect(await addedJobs(two.client, { task: email })).toEqual([]);

    const other = new pg.Client({ connectionString: two.connectionString });
    const ended = new Promise((resolve) => other.on("error", resolve));
    await other.connect();
    const worker = await two.createWorker({ tasks: [email] });
    const running = worker.run();
    await two.close();
    await running;
    await two.close();
    await ended;
    expect(await databases()).not.toContain(name);
    await expect(two.client.addJob(email, { to: "bob" })).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });

  it("is that of its workers, also where an option is undefined", async () => {
    await using one = await createTestDatabase({ connectionString: inject("serverUrl"), schema: "mine" });
    const worker = await one.createWorker({ tasks: [email], driver: undefined, schema: undefined });
    await worker.client.addJob(email, { to: "ada" });
    expect(await addedJobs(one.client, { task: email })).toHaveLength(1);
  });

  it("can be only a schema", async () => {
    await using shared = await createDatabase({ migrate: false });
    const { connectionString } = shared;
    const one = await createTestDatabase({ connectionString, isolation: "schema" });
    const two = await createTestDatabase({ connectionString, isolation: "schema", schema: "mine" });
    expect(two.schema).toBe("mine");
    const worker = await one.createWorker({ tasks: [email] });
    await worker.client.addJob(email, { to: "ada" });
    expect((await drain(worker)).completed).toBe(1);
    await Promise.all([one.close(), two.close()]);
    const left = "select nspname from pg_namespace where nspname = any($1)";
    expect(await shared.sql(left, [[one.schema, "mine"]])).toEqual([]);
  });

  it("is cleared of its jobs, whatever their state", async () => {
    await using database = await createTestDatabase({ connectionString: inject("serverUrl") });
    const { client } = database;
    await client.addJob(email, { to: "ada" });
    await client.addJob(email, { to: "bob" }, { runAt: "2099-01-01", queueName: "q" });
    const { id } = await client.addJob(email, { to: "eve" });
    await client.permanentlyFailJobs([id]);
    await database.clear();
    expect(await client.stats()).toMatchObject({ ready: { value: 0 }, scheduled: { value: 0 }, failed: { value: 0 } });
    await database.clear();
  });

  it("leaves nothing behind when its queue cannot be made", async () => {
    const before = await databases();
    const connectionString = inject("serverUrl");
    const made = createTestDatabase({ connectionString, schema: "pg_mine" });
    await expect(made).rejects.toSatisfy((error) => isHowdahError(error, "HOWDAH_OPTION_INVALID"));
    await expect(createTestDatabase({ connectionString, isolation: "table" } as never)).rejects.toThrow(/isolation/);
    expect((await databases()).filter((name) => name.startsWith("howdah_test_") && !before.includes(name))).toEqual([]);
  });

  it("is on the server of the run, which its processes know of", async () => {
    const connectionString = inject("serverUrl");
    const { DATABASE_URL: before } = process.env;
    process.env["DATABASE_URL"] = connectionString;
    try {
      const server = await startTestServer();
      expect(server.connectionString).toBe(connectionString);
      expect(process.env["HOWDAH_TEST_SERVER"]).toBe(connectionString);
      delete process.env["DATABASE_URL"];
      await using database = await createTestDatabase();
      expect(new URL(database.connectionString).port).toBe(new URL(connectionString).port);
      await server.stop();
      expect(process.env["HOWDAH_TEST_SERVER"]).toBeUndefined();
    } finally {
      if (before !== undefined) process.env["DATABASE_URL"] = before;
      else delete process.env["DATABASE_URL"];
    }
  });
});

describe("an empty DATABASE_URL", () => {
  it("is as good as none: the server is an embedded one of this process", async () => {
    const { DATABASE_URL: before } = process.env;
    process.env["DATABASE_URL"] = " ";
    try {
      await using database = await createTestDatabase();
      expect(new URL(database.connectionString).port).not.toBe(new URL(inject("serverUrl")).port);
      await database.client.addJob(email, { to: "ada" });
    } finally {
      if (before !== undefined) process.env["DATABASE_URL"] = before;
      else delete process.env["DATABASE_URL"];
    }
  });
});

describe("a test queue", () => {
  it("is over a driver of the application, which stays open", async () => {
    await using database = await createDatabase({ migrate: false });
    const queue = await createTestQueue({ driver: database.driver, schema: "own" });
    const worker = await queue.createWorker({ tasks: [email] });
    await queue.client.addJob(email, { to: "ada" });
    await assertAdded(queue.client, email, { payload: { to: "ada" } });
    expect((await drain(worker)).completed).toBe(1);
    await queue.close();
    expect((await database.driver.query({ text: "select count(*) from own.jobs" })).rows).toEqual([["0"]]);
  });
});

describe("added jobs", () => {
  it("are those that wait, of a client and of a transaction", async () => {
    await using database = await createTestDatabase({ connectionString: inject("serverUrl") });
    const { client } = database;
    const jobs = Array.from({ length: 2_500 }, (_, n) => ({ task: email, payload: { to: `${n}` } }));
    await client.addJobs(jobs);
    const { id } = await client.addJob(email, { to: "failed" });
    await client.permanentlyFailJobs([id]);
    expect((await addedJobs(client, { task: email })).map(({ payload }) => payload.to)).toEqual(
      jobs.map(({ payload }) => payload.to),
    );
    expect(await addedJobs(client, { state: "failed" })).toHaveLength(1);

    const session = new pg.Client({ connectionString: database.connectionString });
    await session.connect();
    await session.query("begin");
    const inside = client.inTransaction(session);
    await inside.addJob(email, { to: "inside" });
    expect(await addedJobs(inside, { payload: { to: "inside" } })).toHaveLength(1);
    await session.query("rollback");
    await session.end();
    expect(await addedJobs(client, { payload: { to: "inside" } })).toEqual([]);
  });
});
