import { describe, expect, it } from "vitest";
import {
  createWorker,
  defineTasks,
  migrate,
  silentLogger,
  type Worker,
  type WorkerOptions,
} from "../../../src/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import type { TestProcess } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { SCHEMA } from "../layouts.ts";
import { callRust, startRust } from "./rust-program.ts";

/** One whole run of a handler, in microseconds since 1970. */
interface Run {
  readonly n: number;
  readonly by: "ours" | "theirs";
  readonly started: number;
  readonly ended: number;
}

/** Whose schema it is: one that Howdah has made, or one that graphile_worker_rs has made and Howdah has adopted. */
const LAYOUTS = ["owned", "shared"] as const;

async function createPlace(layout: (typeof LAYOUTS)[number]): Promise<TestDatabase> {
  const database = await createDatabase({ migrate: layout === "owned" });
  if (layout === "shared") {
    await callRust("migrate", database.connectionString);
    await adopt(database);
  }
  return database;
}

const adopt = ({ connectionString }: TestDatabase) =>
  migrate({ connectionString, schema: SCHEMA, logger: silentLogger, adopt: true });

const micros = () => Math.round((performance.timeOrigin + performance.now()) * 1_000);

/** A worker of ours that notes its runs. */
function createOurs(database: TestDatabase, runs: Run[], more: Partial<WorkerOptions> = {}): Promise<Worker> {
  return createWorker({
    connectionString: database.connectionString,
    schema: SCHEMA,
    migrate: false,
    logger: silentLogger,
    concurrency: 4,
    pollInterval: 200,
    ...more,
    shutdown: { osSignals: false },
    tasks: defineTasks({
      async t({ n, ms = 0, fails }: { n: number; ms?: number; fails?: boolean }) {
        const started = micros();
        await systemClock.sleep(ms);
        runs.push({ n, by: "ours", started, ended: micros() });
        if (fails) throw new Error("told to fail");
      },
    }),
  });
}

/** What a worker of theirs has run. */
function runsOf({ lines }: TestProcess): Run[] {
  return lines
    .map((line) => JSON.parse(line) as { ran?: number; started: number; ended: number })
    .filter(({ ran }) => ran !== undefined)
    .map(({ ran, started, ended }) => ({ n: Number(ran), by: "theirs", started, ended }));
}

async function idOf(worker: TestProcess): Promise<string> {
  return (JSON.parse(await worker.line('"worker"')) as { worker: string }).worker;
}

/** Pairs of runs of one queue that were under way at the same time. */
function overlapsOf(runs: readonly Run[], queueOf: (n: number) => number): unknown[] {
  const sorted = runs.toSorted((a, b) => a.started - b.started);
  return sorted.flatMap((run, place) =>
    sorted
      .slice(place + 1)
      .filter((later) => queueOf(later.n) === queueOf(run.n) && later.started < run.ended)
      .map((later) => [run, later]),
  );
}

const countJobs = async (database: TestDatabase, where = "true"): Promise<number> =>
  Number((await database.sql(`select count(*) from ${SCHEMA}._private_jobs where ${where}`))[0]?.["count"]);

describe.each(LAYOUTS)("graphile_worker_rs on a schema: %s", (layout) => {
  it("brings its own functions that add, which the doctor names and which go on to work", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    // Two migrations more than a schema of ours has; its own has them already.
    await callRust("migrate", connectionString);
    expect(await database.sql(`select max(id) as latest from ${SCHEMA}.migrations`)).toEqual([{ latest: 22 }]);
    const runs: Run[] = [];
    await using ours = await createOurs(database, runs);
    const { results } = await ours.client.diagnose({ only: ["schema"] });
    expect(results.map(({ finding }) => finding).join(" ")).toMatch(/add_jobs?\b/);
    const running = ours.run();
    await database.sql(
      `select ${SCHEMA}.add_job('t', '{"n":1}'), ${SCHEMA}.add_job('t', '{"n":2}', 'q', job_key := 'k')`,
    );
    await until(() => runs.length === 2, { message: "jobs that SQL has added" });
    await ours.stop();
    await running;
  });

  it("runs jobs that were added with Howdah, and Howdah runs jobs that it adds", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    const runs: Run[] = [];
    await using ours = await createOurs(database, runs);
    await ours.client.addJob("t", { n: 1 }, { queueName: "q" });
    const theirs = await startRust("work", connectionString, { concurrency: 2 });
    await theirs.line('"ran":1');
    theirs.kill("SIGKILL");
    await until(async () => (await countJobs(database, "locked_at is not null")) === 0, { message: "the release" });
    await callRust("add", connectionString, [{ payload: { n: 2 } }, { payload: { n: 3 }, queue: "q" }]);
    await ours.runOnce();
    expect(runs.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual([2, 3]);
  });

  it("replaces and removes jobs with a key, also those that the other side has added", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    const runs: Run[] = [];
    await using ours = await createOurs(database, runs);
    await ours.client.addJob("t", { n: 1 }, { jobKey: "k" });
    await callRust("add", connectionString, [{ payload: { n: 2 }, key: "k" }]);
    expect(await database.sql(`select payload::text from ${SCHEMA}._private_jobs`)).toEqual([{ payload: '{"n": 2}' }]);
    await ours.client.addJob("t", { n: 3 }, { jobKey: "k" });
    expect(await countJobs(database)).toBe(1);
    await callRust("remove", connectionString, "k");
    expect(await countJobs(database)).toBe(0);
  });

  it("completes, fails, reschedules, unlocks and cleans up", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    const added = (await callRust(
      "add",
      connectionString,
      [1, 2, 3, 4].map((n) => ({ payload: { n }, queue: `q${n}` })),
    )) as string[];
    const [first, second, third, fourth] = added;
    expect(await callRust("complete", connectionString, [first])).toBe(1);
    expect(await callRust("fail", connectionString, [second])).toBe(1);
    expect(await callRust("reschedule", connectionString, [third])).toBe(1);
    await database.sql(
      `with queue as (update ${SCHEMA}._private_job_queues set locked_at = now(), locked_by = 'gone' where queue_name = 'q4')
       update ${SCHEMA}._private_jobs set locked_at = now(), locked_by = 'gone' where id = $1`,
      [fourth],
    );
    await callRust("unlock", connectionString, "gone");
    expect(
      await database.sql(
        `select id::text, attempts, max_attempts, last_error, priority, locked_by from ${SCHEMA}._private_jobs order by id`,
      ),
    ).toEqual([
      { id: second, attempts: 25, max_attempts: 25, last_error: "given up", priority: 0, locked_by: null },
      { id: third, attempts: 0, max_attempts: 25, last_error: null, priority: -5, locked_by: null },
      { id: fourth, attempts: 0, max_attempts: 25, last_error: null, priority: 0, locked_by: null },
    ]);
    await callRust("cleanup", connectionString);
    expect(await countJobs(database)).toBe(2);
    expect(await database.sql(`select queue_name from ${SCHEMA}._private_job_queues order by queue_name`)).toEqual([
      { queue_name: "q3" },
      { queue_name: "q4" },
    ]);
    // Howdah goes on with what is left.
    const runs: Run[] = [];
    await using ours = await createOurs(database, runs);
    await ours.runOnce();
    expect(runs.map(({ n }) => n)).toEqual([3, 4]);
  });

  it("sees that a worker of Howdah lives, and does not sweep its jobs", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    const runs: Run[] = [];
    await using ours = await createOurs(database, runs);
    const running = ours.run();
    await ours.client.addJob("t", { n: 1, ms: 6_000 });
    await until(async () => (await countJobs(database, "locked_at is not null")) === 1, { message: "the claim" });
    await systemClock.sleep(4_500);
    const workers = (await callRust("workers", connectionString)) as { id: string; isStale: boolean }[];
    expect(workers).toHaveLength(1);
    expect(workers[0]?.isStale).toBe(false);
    await until(() => runs.length === 1, { message: "the end of the job" });
    await ours.stop();
    await running;
    expect(runs).toHaveLength(1);
    expect(await countJobs(database)).toBe(0);
  });

  it("has its jobs recovered by Howdah when it was killed", async () => {
    await using database = await createPlace(layout);
    const { connectionString } = database;
    await callRust("add", connectionString, [
      { payload: { n: 1, ms: 60_000 }, queue: "q" },
      { payload: { n: 2 }, queue: "q" },
    ]);
    const theirs = await startRust("work", connectionString, { concurrency: 2 });
    const id = await idOf(theirs);
    await until(async () => (await countJobs(database, `locked_by = '${id}'`)) === 1, { message: "their claim" });
    theirs.kill("SIGKILL");
    await database.sql(`update ${SCHEMA}._private_jobs set payload = '{"n":1}'`);
    const runs: Run[] = [];
    // It has no session to be watched by: only its heartbeats say that it lives.
    const recovery = { heartbeatInterval: "500ms", sweepInterval: "500ms", sweepThreshold: "4s" } as const;
    await using ours = await createOurs(database, runs, { recovery });
    const running = ours.run();
    await until(() => runs.length === 2, { message: "both jobs", deadlineMs: 60_000 });
    await ours.stop();
    await running;
    expect(runs.map(({ n }) => n)).toContain(1);
    expect(await countJobs(database)).toBe(0);
  }, 90_000);

  it.each([
    ["taking jobs directly", undefined],
    ["with local queues", 20],
  ])(
    "drains with workers of Howdah, each job once and no queue twice at a time, %s",
    async (_how, size) => {
      await using database = await createPlace(layout);
      const { connectionString } = database;
      const queueOf = (n: number) => n % 10;
      const jobs = Array.from({ length: 600 }, (_, n) => ({ payload: { n, ms: n % 7 }, queue: `q${queueOf(n)}` }));
      const runs: Run[] = [];
      await using ours = await createOurs(database, runs, size === undefined ? {} : { localQueue: { size } });
      const theirs = [
        await startRust("work", connectionString, { concurrency: 4, localQueue: size }),
        await startRust("work", connectionString, { concurrency: 4, localQueue: size }),
      ];
      for (const worker of theirs) await idOf(worker);
      const running = ours.run();
      await callRust("add", connectionString, jobs);
      await until(async () => (await countJobs(database)) === 0, { message: "all jobs", deadlineMs: 60_000 });
      await ours.stop();
      await running;
      const all = [...runs, ...theirs.flatMap(runsOf)];
      expect(all.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(jobs.map((_, n) => n));
      expect(new Set(all.map(({ by }) => by)).size).toBe(2);
      expect(overlapsOf(all, queueOf)).toEqual([]);
    },
    90_000,
  );
});

it("a schema that graphile_worker_rs has made is adopted while it runs and adds, and its jobs go on", async () => {
  await using database = await createDatabase({ migrate: false });
  const { connectionString } = database;
  await callRust("migrate", connectionString);
  const theirs = await startRust("work", connectionString, { concurrency: 2 });
  await idOf(theirs);
  const before = Array.from({ length: 200 }, (_, n) => ({ payload: { n, ms: 5 }, queue: `q${n % 5}` }));
  await callRust("add", connectionString, before);
  await adopt(database);
  const after = Array.from({ length: 200 }, (_, n) => ({ payload: { n: 200 + n, ms: 5 }, queue: `q${n % 5}` }));
  await callRust("add", connectionString, after);
  const runs: Run[] = [];
  await using ours = await createOurs(database, runs);
  const running = ours.run();
  await until(async () => (await countJobs(database)) === 0, { message: "all jobs", deadlineMs: 60_000 });
  await ours.stop();
  await running;
  const all = [...runs, ...runsOf(theirs)];
  expect(all.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, n) => n));
  expect(overlapsOf(all, (n) => n % 5)).toEqual([]);
  expect(theirs.errorLines.filter((line) => /panic/i.test(line))).toEqual([]);
}, 90_000);
