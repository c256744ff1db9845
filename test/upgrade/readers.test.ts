import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient } from "../../src/index.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import type { TestProcess } from "../harness/process.ts";
import { runCli } from "../harness/run-cli.ts";
import { until } from "../harness/until.ts";
import { eventsOf, startWorker } from "./fleet.ts";
import { releaseNames, unpackRelease } from "./releases.ts";

/** Workers of 0.1.0 say nothing with their heartbeats: what is read of them is less, and nothing of it is wrong. */
const RELEASES = releaseNames().filter((name) => name.includes("0.1.0"));

describe.each(RELEASES)("a worker of %s, as readers of this tree see it", (name) => {
  let database: TestDatabase;
  let client: Client;
  let worker: TestProcess;
  let remove: () => PromiseLike<void>;

  beforeAll(async () => {
    const release = await unpackRelease(name);
    remove = () => release[Symbol.asyncDispose]();
    database = await createDatabase();
    const { connectionString } = database;
    client = await createClient({ connectionString, migrate: false, logger: silentLogger });
    worker = await startWorker(release, { connectionString, migrate: false, concurrency: 1 });
    expect(eventsOf(worker, "refused")).toEqual([]);
    await until(async () => (await client.listActiveWorkers())[0]?.session === "held", { deadlineMs: 20_000 });
  }, 120_000);

  afterAll(async () => {
    worker.kill();
    await worker.ended;
    await client.close();
    await database.drop();
    await remove();
  });

  const call = (...args: string[]) => runCli([...args, "--database-url", database.connectionString]);

  /** A job that runs for so long that it can be looked at. */
  async function hold(): Promise<string> {
    const { id } = await client.addJob("work", { name: "long", fails: false, ms: 3_000 });
    await until(async () => (await client.getJob(id))?.lockedBy);
    return id;
  }

  it("is registered and alive, without a report, and is not taken for an idle one", async () => {
    const [registered, ...others] = await client.listActiveWorkers();
    expect(others).toEqual([]);
    expect(registered).toMatchObject({ session: "held", isStale: false, report: null });
    expect(await client.listIdleWorkers()).toEqual([]);
    const { code, out } = await call("workers");
    expect({ code, rows: out.split("\n").length }).toEqual({ code: 0, rows: 3 });
    const health = await call("health", "--json");
    expect({ code: health.code, ...JSON.parse(health.out) }).toMatchObject({ code: 0, alive: 1, idle: 0 });
  });

  it("runs jobs that are seen as running, and explained", async () => {
    const id = await hold();
    expect((await client.stats()).running.value).toBe(1);
    expect((await client.listJobs({ state: "running" })).jobs.map((job) => job.id)).toEqual([id]);
    const [reason] = (await client.explainJob(id)).reasons;
    expect(reason).toMatchObject({ code: "running", message: expect.stringContaining("holds it") });
    const { id: behind } = await client.addJob("work", { name: "behind", fails: false, ms: 1 });
    // How many slots it has is not known.
    expect(["soon", "unannounced"]).toContain((await client.explainJob(behind)).reasons[0]?.code);
    await until(async () => (await client.getJob(behind)) === undefined, { deadlineMs: 20_000 });
  });

  it("is known by its tasks", async () => {
    const { id: unknown } = await client.addJob("wrok");
    await client.addJob("work", { name: "again", fails: false, ms: 1 });
    const [reason] = (await client.explainJob(unknown)).reasons;
    const { results } = await client.diagnose({ only: ["workers", "unknown-tasks"] });
    const says = results.map(({ id, status }) => `${id} ${status}`);
    const [row] = await database.sql("select metadata -> 'tasks' is not null as tells from howdah._private_workers");
    if (row?.["tells"] === true) {
      expect(reason).toMatchObject({ code: "task_unknown", message: expect.stringContaining('"work"') });
      expect(says).toEqual(["workers ok", "unknown-tasks fail"]);
    } else {
      // It may run anything.
      expect(["soon", "unannounced"]).toContain(reason?.code);
      expect(says).toEqual(["workers ok", "unknown-tasks note"]);
    }
    await client.removeJobs([unknown]);
  });

  it("is watched, counted and cleaned up beside", async () => {
    const id = await hold();
    const watched = await call("watch", "--once", "--tab", "running");
    expect(watched.code).toBe(0);
    expect(stripVTControlCharacters(watched.out)).toMatch(new RegExp(`^ *${id} +work `, "m"));
    const json = JSON.parse((await call("watch", "--once", "--json")).out) as { readonly workers: unknown[] };
    expect(json.workers).toHaveLength(1);
    // Its task is in use, by the job if by nothing else; the queue of nothing goes.
    await call("cleanup", "--unused-tasks");
    expect(await database.sql("select from howdah._private_tasks where identifier = 'work'")).toHaveLength(1);
    await until(async () => (await client.getJob(id)) === undefined, { deadlineMs: 20_000 });
    const { results } = await client.diagnose();
    expect(results.filter(({ status }) => status === "fail")).toEqual([]);
  });
});
