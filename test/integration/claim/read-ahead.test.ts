import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { HOLD_MS } from "../../../src/job/claim/ahead-quantity.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createManualClock, type ManualClock } from "../../../src/testing/manual-clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { openProxy, type Proxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// A worker on a clock that stands still: what it reads ahead waits until the test lets the time pass.
const SLOTS = 4;
/** More than enough for a batch of slots to be read ahead. */
const QUICK_JOBS = 400;

const database = await createDatabase();
afterAll(() => database.drop());

type Held = ReturnType<typeof createHeldTask>;
const open: { readonly worker: Worker; readonly held: Held; readonly run: Promise<unknown> }[] = [];

/** Closed when the workers that go through them have stopped. */
const proxies: Proxy[] = [];
async function openLink(): Promise<Proxy> {
  const proxy = await openProxy(database.connectionString);
  proxies.push(proxy);
  return proxy;
}

beforeEach(() =>
  database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_paused_tasks"),
);

afterEach(async () => {
  for (const { worker, held, run } of open.splice(0)) {
    held.openAll();
    await worker.stop();
    await run;
  }
  for (const proxy of proxies.splice(0)) await proxy[Symbol.asyncDispose]();
});

interface Reader {
  readonly worker: Worker;
  readonly held: Held;
  readonly clock: ManualClock;
}

/** Whether it runs until it is stopped, or until nothing is left. */
type RunKind = (worker: Worker) => Promise<unknown>;
const run: RunKind = (worker) => worker.run();

/** A worker and quick jobs for it, and what it is to hold if it runs once; resolves when it has run the quick ones. */
async function startReader(options: Partial<WorkerOptions> = {}, start = run): Promise<Reader> {
  const held = createHeldTask("waits");
  const clock = createManualClock();
  const worker = await createTestWorker(database, {
    tasks: [held.task, defineTask({ identifier: "quick", run: () => undefined })],
    concurrency: SLOTS,
    recovery: false,
    clock,
    ...options,
  });
  const completed = record(worker.hooks, "jobComplete");
  await worker.client.addJobs(Array.from({ length: QUICK_JOBS }, () => ({ task: "quick", spec: { priority: -1 } })));
  if (start !== run) await worker.client.addJobs(named(12));
  open.push({ worker, held, run: start(worker) });
  await completed.reach(QUICK_JOBS);
  return { worker, held, clock };
}

const named = (count: number, spec: object = {}) =>
  Array.from({ length: count }, (_, index) => ({ task: "waits", payload: `job ${index + 1}`, spec }));

/** As `startReader`; it runs the jobs 1 to 4, is then told that 1 ends, runs 5, and has 6 to 9 read ahead. */
async function startReadingAhead(
  options: Partial<WorkerOptions> = {},
): Promise<Reader & { readonly ids: readonly string[] }> {
  const reader = await startReader(options);
  const { worker, held } = reader;
  const ids = (await worker.client.addJobs(named(9))).map(({ id }) => id);
  await until(() => held.running.size === SLOTS);
  held.open("job 1");
  await until(() => held.running.has("job 5"));
  expect(worker.metrics()).toMatchObject({ running: SLOTS, cached: SLOTS });
  expect(await lockedJobs()).toEqual(names(2, 9));
  return { ...reader, ids };
}

/** A worker in a process of its own, with more slots than there are jobs. */
const startIdle = (): Promise<TestProcess> =>
  startNode(new URL("../fixtures/control-worker.mjs", import.meta.url), {
    args: [JSON.stringify({ connectionString: database.connectionString, concurrency: 12, pollInterval: "60s" })],
  });

const names = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `job ${from + index}`);
const lockedJobs = async () =>
  (await database.sql("select payload from howdah._private_jobs where locked_at is not null order by id")).map(
    ({ payload }) => payload,
  );
const freeJobs = () =>
  database.sql("select payload, attempts, last_error from howdah._private_jobs where locked_at is null order by id");
const untouched = (...payloads: readonly string[]) =>
  payloads.map((payload) => ({ payload, attempts: 0, last_error: null }));

describe("a worker whose claims come back full and whose jobs are quick", () => {
  it("starts what it has read ahead as soon as slots are free, without another claim", async () => {
    const proxy = await openLink();
    const { held } = await startReadingAhead({ connectionString: proxy.connectionString });
    const claims = () => proxy.statements.filter((text) => /_howdah_(release_and_)?claim/.test(text)).length;
    const before = claims();
    for (const name of names(2, 5)) held.open(name);
    await until(() => held.running.size === SLOTS && held.running.has("job 9"));
    expect(held.started).toEqual(names(1, 9));
    expect(claims()).toBe(before);
  });

  it("gives back what has not started 50 ms after the claim, and another worker that is idle runs it", async () => {
    const { clock, held, worker } = await startReadingAhead();
    // It hears of them: its poll is too far away to help.
    await using idle = await startIdle();
    await worker.client.addJob(held.task, "first");
    await idle.line("started first", 30_000);
    await clock.advance(HOLD_MS - 1);
    expect(worker.metrics().cached).toBe(SLOTS);
    await clock.advance(1);
    for (const name of names(6, 9)) await idle.line(`started ${name}`);
    expect(idle.lines.filter((line) => line.startsWith("started "))).toHaveLength(1 + SLOTS);
    expect(worker.metrics()).toMatchObject({ running: SLOTS, cached: 0 });
    const attempts = await database.sql("select attempts from howdah._private_jobs");
    expect(attempts.map((row) => row["attempts"])).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    expect(held.started).toEqual(names(1, 5));
  });

  it("starts nothing later than that although its process stood still, and no job before a better one by then", async () => {
    const { clock, held, worker } = await startReadingAhead();
    await worker.client.addJob(held.task, "urgent", { priority: -10 });
    held.open("job 2");
    await until(() => held.running.size === SLOTS && held.running.has("job 6"));
    // The timers are late, as after SIGSTOP.
    Object.assign(clock, { monotonic: () => HOLD_MS + 1 });
    held.open("job 3");
    await until(() => held.started.length === 7);
    expect(held.started).toEqual([...names(1, 6), "urgent"]);
  });

  it("runs what it had to give back as soon as that is free, although it hears of no jobs", async () => {
    const proxy = await openLink();
    const options = { useNotificationDelivery: false, connectionString: proxy.connectionString };
    const { clock, held, worker } = await startReader(options, (started) => started.run());
    await until(() => held.running.size === SLOTS);
    for (let ended = 1; worker.metrics().cached === 0; ended++) {
      held.open(`job ${ended}`);
      await until(() => held.running.size === SLOTS && held.started.length === SLOTS + ended);
    }
    const waiting = (await lockedJobs()).find((name) => !held.started.includes(String(name)));
    await database.sql("delete from howdah._private_jobs where locked_at is null");
    const release = proxy.next(/_howdah_release_v2/, "before");
    const claim = proxy.next(/_howdah_claim_/, "after");
    // The timers are late, and the claim for the slot looks before these jobs are free.
    Object.assign(clock, { monotonic: () => HOLD_MS + 1 });
    held.open([...held.running][0] ?? "");
    const [released, claimed] = await Promise.all([release, claim]);
    claimed.pass();
    released.pass();
    await until(() => held.running.has(String(waiting)));
  });

  it("reads nothing ahead for a second after it had to give jobs back", async () => {
    const { clock, held, worker } = await startReadingAhead();
    await clock.advance(HOLD_MS);
    await until(async () => (await freeJobs()).length === SLOTS);
    expect(await freeJobs()).toEqual(untouched(...names(6, 9)));
    held.open("job 2");
    await until(() => held.running.has("job 6"));
    expect(worker.metrics()).toMatchObject({ running: SLOTS, cached: 0 });
    expect(await lockedJobs()).toEqual(names(3, 6));
  });

  it("has no job of a queue read ahead, and starts those it claims", async () => {
    const { worker, held } = await startReader();
    const jobs = named(24).map((job, index) =>
      index % 3 === 0 ? job : { ...job, spec: { queueName: `queue ${index}` } },
    );
    await worker.client.addJobs(jobs);
    await until(() => held.running.size === SLOTS);
    const seen: number[] = [];
    // A job that has ended stays locked until that is written, while others that were read ahead start.
    const ended = new Set<unknown>();
    while (ended.size < 20) {
      const [name = ""] = held.running;
      ended.add(name);
      held.open(name);
      await until(() => !held.running.has(name) && held.running.size === SLOTS);
      const rows = await database.sql(
        "select payload, job_queue_id from howdah._private_jobs where locked_at is not null",
      );
      const waiting = rows.filter(({ payload }) => !held.running.has(String(payload)) && !ended.has(payload));
      expect(waiting.filter((row) => row["job_queue_id"] !== null)).toEqual([]);
      seen.push(waiting.length);
    }
    expect(Math.max(...seen)).toBeGreaterThan(0);
  });

  it("gives back what it has read ahead as soon as it is told to stop", async () => {
    const { worker, held } = await startReadingAhead();
    const stopped = worker.stop();
    await until(async () => (await freeJobs()).length === SLOTS);
    expect(await freeJobs()).toEqual(untouched(...names(6, 9)));
    expect(await lockedJobs()).toEqual(names(2, 5));
    held.openAll();
    await stopped;
    expect(held.started).toEqual(names(1, 5));
    expect(await freeJobs()).toEqual(untouched(...names(6, 9)));
  });

  it("gives back what it has read ahead of a task that is paused", async () => {
    const { worker, held } = await startReadingAhead();
    await worker.client.pauseTask("waits");
    await until(async () => (await freeJobs()).length === SLOTS);
    expect(await freeJobs()).toEqual(untouched(...names(6, 9)));
    expect([worker.metrics().cached, held.running.size]).toEqual([0, SLOTS]);
    await worker.client.resumeTask("waits");
    held.open("job 2");
    await until(() => held.running.has("job 6"));
  });

  it("does not start what was read ahead and is cancelled", async () => {
    const { worker, held, ids } = await startReadingAhead();
    const { signalled } = await worker.client.cancelJobs([ids[6] ?? "", ids[8] ?? ""], "enough");
    expect(signalled).toEqual([ids[6], ids[8]]);
    await until(() => worker.metrics().cached === 2);
    held.openAll();
    await until(async () => (await lockedJobs()).length === 0);
    expect(held.started).toEqual([...names(1, 6), "job 8"]);
    for (const id of signalled) {
      expect(await worker.client.getJob(id)).toMatchObject({ state: "failed", lastError: "enough" });
    }
  });

  it("gives back what a claim brings whose answer comes late, but for what starts, after it was asked about", async () => {
    const proxy = await openLink();
    const { worker, held, clock } = await startReader({ connectionString: proxy.connectionString });
    const ids = (await worker.client.addJobs(named(9))).map(({ id }) => id);
    await until(() => held.running.size === SLOTS);
    const caught = proxy.next(/_howdah_(release_and_)?claim/, "after");
    held.open("job 1");
    const claim = await caught;
    expect(await lockedJobs()).toEqual(names(2, 9));
    await worker.client.cancelJobs([ids[4] ?? ""], "enough");
    await clock.advance(1_500);
    claim.pass();
    await until(async () => (await lockedJobs()).length < 8);
    await until(() => held.running.size === SLOTS);
    expect(held.started).not.toContain("job 5");
    expect(await worker.client.getJob(ids[4] ?? "")).toMatchObject({ state: "failed", lastError: "enough" });
    expect(await lockedJobs()).toEqual(["job 2", "job 3", "job 4", "job 6"]);
    expect((await freeJobs()).slice(1)).toEqual(untouched(...names(7, 9)));
  });
});

describe("a worker that", () => {
  it.each<[string, Partial<WorkerOptions>, RunKind?]>([
    ["is told not to read ahead", { readAhead: false }],
    ["asks a function which flags are forbidden", { forbiddenFlags: () => [] }],
    ["runs once", {}, (worker) => worker.runOnce()],
    ["runs once, a number of jobs", {}, (worker) => worker.runOnce({ maxJobs: QUICK_JOBS + 9 })],
  ])("%s locks no job that it does not start", async (_, options, start = run) => {
    const { worker, held } = await startReader(options, start);
    if (start === run) await worker.client.addJobs(named(12));
    await until(() => held.running.size === SLOTS);
    for (const name of names(1, 5)) {
      held.open(name);
      await until(() => !held.running.has(name) && held.running.size === SLOTS);
      expect(worker.metrics()).toMatchObject({ running: SLOTS, cached: 0 });
      await until(async () => (await lockedJobs()).length === SLOTS);
    }
    expect(held.started).toEqual(names(1, 9));
  });

  it("has one slot starts its jobs in the exact order, those of queues too", async () => {
    const { worker, held } = await startReader({ concurrency: 1 });
    await worker.client.addJobs([
      ...named(2),
      { task: "waits", payload: "queued", spec: { queueName: "q" } },
      { task: "waits", payload: "last" },
    ]);
    for (const name of ["job 1", "job 2", "queued", "last"]) {
      await until(() => held.running.has(name));
      expect([await lockedJobs(), worker.metrics().cached]).toEqual([[name], 0]);
      held.open(name);
    }
  });

  it("runs slow jobs locks none that it does not start, however many it runs", async () => {
    const held = createHeldTask("waits");
    const clock = createManualClock();
    const worker = await createTestWorker(database, { tasks: [held.task], concurrency: SLOTS, recovery: false, clock });
    await worker.client.addJobs(named(100));
    open.push({ worker, held, run: worker.run() });
    for (let ended = 0; ended < 80; ended += SLOTS) {
      await until(() => held.running.size === SLOTS && held.started.length === ended + SLOTS);
      expect(worker.metrics()).toMatchObject({ running: SLOTS, cached: 0 });
      await clock.advance(30);
      for (const name of held.running) held.open(name);
    }
  });
});
