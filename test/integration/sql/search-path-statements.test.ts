import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type Client,
  createClient,
  createWorker,
  defineBatchTask,
  defineTask,
  migrate,
  silentLogger,
  snooze,
  type WorkerOptions,
} from "../../../src/index.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHostileSchema, type HostileSchema } from "../../harness/hostile-schema.ts";
import { until } from "../../harness/until.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const PATH = "hostile, public, pg_catalog";

const database = await createDatabase({ migrate: false });
const role = `howdah_victim_${randomBytes(4).toString("hex")}`;
const url = new URL(database.connectionString);
url.username = role;
url.password = "secret";
const connectionString = url.href;
const logger = silentLogger;

let hostile: HostileSchema;
let client: Client;

beforeAll(async () => {
  await database.sql(`create role ${role} login password 'secret'`);
  await database.sql(`grant create on database ${url.pathname.slice(1)} to ${role}`);
  hostile = await createHostileSchema(database);
  await database.sql(`alter role ${role} set search_path = ${PATH}`);
  await migrate({ connectionString, logger });
  expect(await hostile.sprung()).toBeUndefined();
  client = await createClient({ connectionString, logger });
}, 120_000);
afterAll(async () => {
  await client?.close();
  await database.sql(`drop owned by ${role} cascade`);
  await database.sql(`drop role ${role}`);
  await database.drop();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});
afterEach(async () => {
  expect(await hostile.sprung()).toBeUndefined();
});

async function connect(): Promise<pg.Client> {
  const connection = new pg.Client({ connectionString });
  await connection.connect();
  return connection;
}

describe("an attacker's schema before pg_catalog in the search_path", () => {
  it.each([
    ["a function", "select now()", "function now()"],
    ["an operator", "select pg_catalog.text 'a' = pg_catalog.text 'b'", "operator = (text, text)"],
    ["an aggregate", "select count(*)", "aggregate count()"],
    ["a type", "select 'a'::text", "type text"],
    ["a catalog", "select from pg_class limit 1", "table pg_class"],
    ["a better match", "select unnest('{a}'::pg_catalog.text[])", "function unnest(anyarray)"],
  ])("is really a trap for %s", async (_, statement, trap) => {
    const connection = await connect();
    await expect(connection.query(statement)).rejects.toThrow("was sprung");
    await connection.end();
    expect(await hostile.sprung()).toBe(trap);
    await hostile.reset();
  });

  it("gets no call from adding", async () => {
    await client.addJob("plain");
    await client.addJob("later", {}, { runAt: "2100-01-01T00:00:00Z", priority: 3, maxAttempts: 2 });
    await client.addJob("queued", {}, { queueName: "q", flags: ["f"], timeout: "1m" });
    for (const jobKeyMode of ["replace", "preserve_run_at", "unsafe_dedupe"] as const) {
      await client.addJob("keyed", [1], { jobKey: "k", jobKeyMode });
    }
    await Promise.all(Array.from({ length: 20 }, (_, n) => client.addJob("joined", n, { queueName: `q${n % 3}` })));
    await client.addJobs([{ identifier: "one" }, { identifier: "two", spec: { queueName: "q" } }]);
    await client.addJobs([{ identifier: "one", spec: { jobKey: "k" } }, { identifier: "three" }]);
    await client.addJobs([{ identifier: "one" }], { returning: "ids" });
    await client.addJobs([{ identifier: "one", spec: { queueName: "q" } }], { returning: "ids" });
    await client.addJobs([{ identifier: "one", spec: { jobKey: "k" } }], { returning: "ids" });
    await client.addBatchJob("batch", [1, 2]);
    expect(await client.stats()).toMatchObject({ ready: { value: 29 }, scheduled: { value: 1 } });
  });

  it("gets no call from adding and managing inside of a transaction of the application", async () => {
    const connection = await connect();
    await connection.query("begin");
    const inside = client.inTransaction(connection);
    await inside.addJob("plain");
    const keyed = await inside.addJob("keyed", {}, { jobKey: "k", queueName: "q" });
    await inside.addJobs([{ identifier: "one" }, { identifier: "two", spec: { jobKey: "j" } }]);
    await inside.addJobs([{ identifier: "two", spec: { jobKey: "j" } }], { returning: "ids" });
    await inside.rescheduleJobs([keyed.id], { runAt: new Date(), priority: 1, attempts: 0, maxAttempts: 4 });
    await inside.listJobs({ task: "keyed", queueName: "q", jobKey: "k", state: "ready", limit: 1 });
    await inside.removeJob("k");
    await inside.pauseQueue("q");
    await inside.resumeQueue("q");
    await connection.query("commit");
    await connection.end();
    expect(await client.stats()).toMatchObject({ ready: { value: 3 } });
  });

  it("gets no call from managing", async () => {
    const jobs = await client.addJobs(Array.from({ length: 6 }, () => ({ identifier: "t", spec: { queueName: "q" } })));
    const ids = jobs.map(({ id }) => id);
    await client.rescheduleJobs(ids, { runAt: new Date(), priority: 1 });
    await client.completeJobs(ids.slice(0, 1));
    await client.permanentlyFailJobs(ids.slice(1, 2), "no");
    await client.cancelJobs(ids.slice(2, 3));
    await client.cancelJobs({ task: "t", queueName: "q", state: "ready" });
    for (const filter of [{ queueName: "q" }, { jobKey: "none" }, { task: "t", payload: { none: 1 } }] as const) {
      await client.retryJobs(filter, { dryRun: true });
      await client.rescheduleJobs(filter, { priority: 2 });
      await client.retryJobs(filter);
      const { id } = await client.removeJobs(filter);
      for (const method of ["get", "pause", "resume", "stop"] as const) await client.operations[method](id);
    }
    await client.operations.list();
    await client.addJob("t", {}, { jobKey: "k" });
    await client.removeJob("k");
    await client.removeJob("none");
    await client.forceUnlockWorkers(["w"]);
    await client.pauseQueue("q", { until: "2100-01-01T00:00:00Z" });
    await client.pauseTask("t");
    await client.listPauses();
    await client.resumeTask("t");
    await client.resumeQueue("q");
    for (const state of [undefined, "ready", "scheduled", "running", "failed"] as const) {
      for (const queueName of [undefined, "q"]) {
        const { next: after } = await client.listJobs({ state, queueName, limit: 1 });
        await client.listJobs({ state, queueName, after, limit: 1, backward: true });
      }
      await client.listJobs({
        state,
        error: "no",
        payload: {},
        since: "2020-01-01T00:00:00Z",
        until: new Date(),
        priority: 1,
      });
    }
    await client.listErrors({ task: "t", queueName: "q" });
    await client.listQueues({ search: "q", isPaused: false, isLocked: false, hasJobs: true, after: "a", limit: 1 });
    await client.getJob(ids[1] ?? "");
    for (const id of ids) await client.explainJob(id);
    await client.stats();
    await client.listQueues();
    await client.listActiveWorkers();
    await client.listIdleWorkers();
    for (const resolution of ["10s", "1m", "10m"] as const) await client.listSamples({ resolution });
    await client.listTaskSamples({ task: "t", since: new Date(0) });
    await client.sweepStaleWorkers({ dryRun: true });
    await client.sweepStaleWorkers();
    await client.cleanup(["permanentlyFailedJobs", "unusedTasks", "unusedQueues"], { keepTasks: ["t"] });
    await client.migrate();
    expect(await hostile.sprung()).toBeUndefined();
  });

  it("gets no call from estimating how many jobs there are", async () => {
    await database.sql(`
      select howdah._howdah_add_jobs_without_keys_v1(
        '{t}', array_fill('{}'::json, array[100001]), null, null, null, null, null, null, false, null
      )`);
    expect(await client.stats()).toMatchObject({ ready: { exact: false } });
    for (const by of ["task", "queue", "error"] as const) await client.stats({ by });
  });

  it("gets no call from schedules", async () => {
    await client.schedules.upsert({ id: "s", task: "t", schedule: "* * * * *" });
    await client.schedules.list();
    await client.schedules.preview("s");
    await client.schedules.trigger("s");
    await client.schedules.pause("s");
    await client.schedules.resume("s");
    await client.schedules.remove("s");
    expect(await hostile.sprung()).toBeUndefined();
  });

  it.each([
    ["a worker", {}],
    ["a worker with a local queue", { localQueue: true }],
    ["a worker that polls", { useNotificationDelivery: false, pollInterval: 20 }],
  ] satisfies [string, Partial<WorkerOptions>][])("gets no call from the life of %s", async (_, options) => {
    const ran: string[] = [];
    await database.sql("delete from howdah._private_known_crontabs");
    await database.sql(
      "insert into howdah._private_known_crontabs values ('entry', now() - interval '1 hour', now() - interval '2 minutes')",
    );
    const worker = await createWorker({
      connectionString,
      logger,
      concurrency: 4,
      forbiddenFlags: ["never"],
      crontab: "* * * * * cron_tick ?id=entry&fill=5m",
      ...options,
      tasks: [
        defineTask({ identifier: "tick", run: () => void ran.push("tick") }),
        defineTask({ identifier: "cron_tick", run: () => void ran.push("cron tick") }),
        defineTask({
          identifier: "work",
          retry: { type: "fixed", delay: 0 },
          async run(payload: { kind: string }, { job, client: own, query, withTransaction, complete }) {
            ran.push(payload.kind);
            if (payload.kind === "fails" && job.attempts < 2) throw new Error("once");
            if (payload.kind === "gives up") throw new Error("for good");
            if (payload.kind === "snoozes" && ran.filter((kind) => kind === "snoozes").length < 2) return snooze(0);
            if (payload.kind === "adds") await own.addJob("work", { kind: "added" });
            if (payload.kind === "asks") await query("select pg_catalog.now()");
            if (payload.kind === "completes") {
              await withTransaction(async (transaction) => {
                await complete(transaction);
              });
            }
            return undefined;
          },
        }),
        defineBatchTask({
          identifier: "batch",
          retry: { type: "fixed", delay: 0 },
          runBatch: (items: number[], { job }) =>
            job.attempts > 1 ? undefined : items.map((item) => (item > 1 ? new Error("later") : item)),
        }),
      ],
    });
    const running = worker.run();
    const kinds = ["plain", "fails", "snoozes", "adds", "asks", "completes"];
    await worker.client.addJobs(kinds.map((kind) => ({ identifier: "work", payload: { kind } })));
    await worker.client.addJobs(
      kinds.map((kind) => ({ identifier: "work", payload: { kind }, spec: { queueName: "q", flags: ["f"] } })),
    );
    await worker.client.addJob(
      "work",
      { kind: "gives up" },
      { maxAttempts: 1, jobKey: "g", runAt: "2020-01-01T00:00:00Z" },
    );
    await worker.client.addJob("unknown");
    await worker.client.addBatchJob("batch", [1, 2]);
    await worker.client.schedules.upsert({ id: "s", task: "tick", schedule: "* * * * * *" });
    await until(async () => {
      const { ready, running: atWork, scheduled } = await client.stats();
      return ready.value + atWork.value + scheduled.value === 1;
    });
    await until(() => ran.includes("tick") && ran.includes("cron tick"));
    await worker.client.schedules.remove("s");
    await worker.stop();
    await running;
    expect(ran).toEqual(expect.arrayContaining([...kinds, "added", "gives up"]));
  });

  it("gets no call from the recovery of a worker that died", async () => {
    await database.sql(`
      insert into howdah._private_workers (id, last_heartbeat_at) values ('dead', now() - interval '1 day')`);
    const { id } = await client.addJob("work", { kind: "left" }, { queueName: "left" });
    await database.sql(
      "update howdah._private_jobs set locked_at = now() - interval '1 day', locked_by = 'dead', attempts = 1 where id = $1",
      [id],
    );
    await client.sweepStaleWorkers();
    expect(await client.getJob(id)).toMatchObject({ state: "ready" });
  });

  it.each([
    "migrate",
    "stats",
    "list --state ready --task t",
    "show 1",
    "workers",
    "workers --sweep",
    "queues list",
    "queues pause q",
    "queues resume q",
    "tasks list",
    "tasks pause t",
    "tasks resume t",
    "schedules list",
    "schedules trigger none",
    "cancel 1",
    "cancel --task t",
  ])("gets no call from howdah %s", async (command) => {
    const env = { ...process.env, DATABASE_URL: connectionString, HOWDAH_SCHEMA: undefined };
    const child = spawn(process.execPath, [MAIN, ...command.split(" ")], { env, stdio: ["ignore", "ignore", "pipe"] });
    const [error] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect(error).not.toContain("sprung");
    expect(error).not.toContain("Usage");
  });

  it("gets no call from howdah demo and its own table, also when it runs again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "howdah-demo-path-"));
    const manifest = `${folder}.sha256`;
    const env = { ...process.env, DATABASE_URL: connectionString, HOWDAH_SCHEMA: undefined };
    const demo = async (): Promise<unknown> => {
      const args = [MAIN, "demo", folder, "--manifest", manifest, "--json"];
      const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
      const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
      // On a busy machine it may warn of a blocked event loop, which is no failure.
      return child.exitCode === 0 ? (JSON.parse(out) as object) : { error };
    };
    try {
      for (const name of ["kept", "changed", "gone"]) await writeFile(join(folder, name), name);
      expect(await demo()).toMatchObject({ completed: 3, files: 3, problems: [] });
      await writeFile(join(folder, "changed"), "another content");
      await rm(join(folder, "gone"));
      // Looked for in the manifest, which leaves out what is gone.
      expect(await demo()).toMatchObject({ completed: 1, vanished: 1, files: 2, problems: [] });
    } finally {
      await rm(folder, { recursive: true });
      await rm(manifest, { force: true });
    }
  });
});
