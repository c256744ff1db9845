import { describe, expect, it } from "vitest";
import { z } from "zod";
import { cancel, snooze } from "../job/directive.ts";
import type { JobContext } from "../job/execute/context.ts";
import type { GatheredJob } from "../job/execute/gather-context.ts";
import { defineBatchTask, defineGatherTask, defineTask } from "../job/task.ts";
import { unrecoverable } from "../job/unrecoverable.ts";
import { createManualClock } from "./manual-clock.ts";
import { runTask } from "./run-task.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

/** A task whose handler does what a test says. */
function task(run: (payload: unknown, context: JobContext) => unknown, options = {}) {
  return defineTask({ identifier: "t", ...options, run: run as () => undefined });
}

describe("a handler that runs alone", () => {
  it("is given the payload as a queue gives it: through JSON and the schema", async () => {
    const given: unknown[] = [];
    const dated = defineTask({
      identifier: "dated",
      payload: z.object({ at: z.string().transform((text) => new Date(text)) }),
      run: (payload) => void given.push(payload),
    });
    const plain = task((payload) => given.push(payload));
    expect(await runTask(dated, { at: "2026-01-01" })).toMatchObject({ task: "dated", payload: { at: "2026-01-01" } });
    await runTask(plain, { at: new Date(NOON), nothing: undefined });
    await runTask(plain, undefined);
    expect(given).toEqual([{ at: new Date("2026-01-01") }, { at: "2026-01-01T12:00:00.000Z" }, {}]);
  });

  it("is given a context as a worker's", async () => {
    const seen: unknown[] = [];
    const lines: unknown[] = [];
    const write = (message: string, fields: object = {}) => void lines.push([message, fields]);
    const logger = { error: write, warn: write, info: write, debug: write };
    const stateful = defineTask({
      identifier: "stateful",
      defaults: { queueName: "mail", maxAttempts: 3 },
      run(_payload: unknown, { job, state, signal, logger: log, workerId }: JobContext<{ db: string }>) {
        log.info("hello");
        seen.push(job.task, job.attempts, job.maxAttempts, job.queueName, job.jobKey, job.lastError, job.state);
        seen.push(job.runAt, job.createdAt, job.flags, state.db, signal.aborted, workerId === job.lockedBy);
      },
    });
    const run = await runTask(
      stateful,
      {},
      {
        state: { db: "pg" },
        attempt: 2,
        lastError: "broke",
        spec: { jobKey: "k", flags: ["f"] },
        clock: createManualClock(NOON),
        logger,
      },
    );
    const now = new Date(NOON);
    expect(seen).toEqual(["stateful", 2, 3, "mail", "k", "broke", "running", now, now, ["f"], "pg", false, true]);
    expect(lines).toEqual([["hello", { job: "1", task: "stateful", attempt: 2 }]]);
    expect(run).toMatchObject({ outcome: "completed", next: "done", job: { attempts: 2, queueName: "mail" } });
    expect(run.retryAt).toBeUndefined();
  });

  it("is called as the method of its task", async () => {
    const callers: unknown[] = [];
    const own = defineTask({
      identifier: "own",
      run() {
        callers.push(this);
      },
    });
    await runTask(own, {});
    expect(callers[0]).toBe(own);
  });

  it.each<[string, () => unknown, object]>([
    ["completed when it returns", () => 5, { outcome: "completed", next: "done", error: undefined }],
    ["snoozed", () => snooze("1m"), { outcome: "snoozed", next: "again", retryAt: new Date(NOON + 60_000) }],
    ["cancelled", () => cancel("no need"), { outcome: "cancelled", next: "failed", message: "no need" }],
    [
      "tried again when it throws, after the delay of the policy",
      () => {
        throw new Error("broke");
      },
      { outcome: "failed", next: "again", message: "broke", retryAt: new Date(NOON + 5_000) },
    ],
    [
      "failed for good when it cannot succeed",
      () => {
        throw unrecoverable("never");
      },
      { outcome: "failed", next: "failed", message: "never", retryAt: undefined },
    ],
    [
      "tried again when it rejects",
      async () => Promise.reject(new TypeError("later")),
      { outcome: "failed", next: "again", message: "later", error: new TypeError("later") },
    ],
  ])("is %s", async (_title, run, expected) => {
    const clock = createManualClock(NOON);
    expect(await runTask(task(run, { retry: { type: "exponential", first: "5s" } }), {}, { clock })).toMatchObject(
      expected,
    );
  });

  it("has failed for good at its last attempt", async () => {
    const broken = task(
      () => {
        throw new Error("broke");
      },
      { defaults: { maxAttempts: 4 } },
    );
    expect(await runTask(broken, {}, { attempt: 3 })).toMatchObject({ outcome: "failed", next: "again" });
    expect(await runTask(broken, {}, { attempt: 4 })).toMatchObject({ outcome: "failed", next: "failed" });
    expect(await runTask(broken, {}, { attempt: 2, spec: { maxAttempts: 2 } })).toMatchObject({ next: "failed" });
  });

  it("runs again from when its job was due, if that is later", async () => {
    const spec = { runAt: new Date(NOON + 3_600_000) };
    const run = await runTask(
      task(() => snooze("1m")),
      {},
      { clock: createManualClock(NOON), spec },
    );
    expect(run.retryAt).toEqual(new Date(NOON + 3_660_000));
  });
});

describe("a handler that is told to stop", () => {
  const stops = task(
    (_payload, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
    { timeout: "5s" },
  );
  const hangs = task(() => new Promise(() => {}), { timeout: "5s" });

  it("has failed when it takes longer than its timeout", async () => {
    const clock = createManualClock(NOON);
    const running = runTask(stops, {}, { clock });
    await clock.advance(5_000);
    expect(await running).toMatchObject({
      outcome: "failed",
      next: "again",
      error: { code: "HOWDAH_ABORTED_TIMEOUT" },
      isLeftBehind: false,
      durationMs: 5_000,
    });
  });

  it("is left behind when it does not stop", async () => {
    const clock = createManualClock(NOON);
    const running = runTask(hangs, {}, { clock, spec: { timeout: "2s" }, abortPeriod: "3s" });
    await clock.advance(5_000);
    expect(await running).toMatchObject({ outcome: "failed", isLeftBehind: true, durationMs: 5_000 });
    expect(clock.pending).toBe(0);
  });

  it("is cancelled, with the reason that its signal has", async () => {
    const cancelled = AbortSignal.abort("not wanted");
    expect(await runTask(stops, {}, { cancelled })).toMatchObject({
      outcome: "cancelled",
      next: "failed",
      message: "not wanted",
    });
    const later = new AbortController();
    const running = runTask(stops, {}, { cancelled: later.signal });
    later.abort();
    expect(await running).toMatchObject({ outcome: "cancelled", message: "Cancelled" });
  });

  it("is interrupted by a shutdown, and comes back", async () => {
    const clock = createManualClock(NOON);
    const shutdown = AbortSignal.abort();
    expect(await runTask(stops, {}, { clock, shutdown })).toMatchObject({
      outcome: "interrupted",
      next: "again",
      retryAt: new Date(NOON + 30_000),
      isLeftBehind: false,
    });
    const running = runTask(
      task(() => new Promise(() => {})),
      {},
      { clock, shutdown },
    );
    await clock.advance(1_000);
    expect(await running).toMatchObject({ outcome: "interrupted", durationMs: 1_000, isLeftBehind: true });
  });
});

describe("a payload", () => {
  const strict = defineTask({ identifier: "strict", payload: z.object({ to: z.string() }), run() {} });

  it("that could not be added is refused as an add refuses it", async () => {
    await expect(runTask(strict, { to: 1 } as never)).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    await expect(runTask(strict, { to: "a" }, { spec: { priority: 1.5 } })).rejects.toMatchObject({
      code: "HOWDAH_JOB_INVALID",
    });
  });

  it("that is stored already fails the attempt as it would in a queue", async () => {
    const failed = { outcome: "failed", error: { code: "HOWDAH_PAYLOAD_INVALID" } };
    expect(await runTask(strict, { to: 1 }, { asStored: true })).toMatchObject({ ...failed, next: "failed" });
    const options = { asStored: true, invalidPayload: "retry" } as const;
    expect(await runTask(strict, { to: 1 }, options)).toMatchObject({ ...failed, next: "again" });
    const batch = defineBatchTask({ identifier: "b", runBatch(_items: string[]) {} });
    expect(await runTask(batch, { no: "list" }, { asStored: true })).toMatchObject({ ...failed, next: "failed" });
  });
});

describe("a batch that runs alone", () => {
  it("keeps the items that failed", async () => {
    const batch = defineBatchTask({
      identifier: "batch",
      runBatch: async (items: { id: number }[]) =>
        Promise.allSettled(items.map(async ({ id }) => (id === 2 ? Promise.reject(new Error("two")) : id))),
    });
    const run = await runTask(batch, [{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(run).toMatchObject({ outcome: "failed", next: "again", remaining: [{ id: 2 }] });
    expect((await runTask(batch, [{ id: 1 }])).remaining).toBeUndefined();
  });

  it("needs items", async () => {
    const batch = defineBatchTask({ identifier: "batch", runBatch(_items: number[]) {} });
    await expect(runTask(batch, [])).rejects.toMatchObject({ code: "HOWDAH_BATCH_EMPTY" });
  });
});

describe("what a handler notes", () => {
  it("is kept in order, checked as ever", async () => {
    const noting = task((_payload, { progress, log }) => {
      progress(1);
      progress({ done: "all" });
      log("seen", { n: 1n });
    });
    const { progress, logged } = await runTask(noting, {}, { clock: createManualClock(NOON), attempt: 3 });
    expect(progress).toEqual([1, { done: "all" }]);
    expect(logged).toEqual([{ at: new Date(NOON), attempt: 3, message: "seen", fields: { n: "1" } }]);
    const wrong = task((_payload, { progress }) => progress(undefined));
    expect(await runTask(wrong, {})).toMatchObject({ outcome: "failed", error: { code: "HOWDAH_PROGRESS_INVALID" } });
  });
});

describe("what a handler adds", () => {
  const follow = defineTask({
    identifier: "follow",
    payload: z.object({ n: z.number() }),
    defaults: { priority: 3 },
    run() {},
  });

  it("is kept in order, checked and with the defaults of its task", async () => {
    const adding = task(async (_payload, { client }) => {
      const job = await client.addJob(follow, { n: 1 }, { jobKey: "k", runAt: new Date(NOON + 1_000) });
      await client.inTransaction({} as never).addJobs([{ identifier: "raw", payload: [job.id] }]);
      await client.addBatchJob("batch", [1, 2], { flags: ["f"], runIn: "5m" });
    });
    const { added, outcome } = await runTask(adding, {}, { clock: createManualClock(NOON) });
    expect(outcome).toBe("completed");
    expect(added).toMatchObject([
      { id: "1", task: "follow", payload: { n: 1 }, priority: 3, jobKey: "k", state: "scheduled", attempts: 0 },
      { id: "2", task: "raw", payload: ["1"], state: "ready", runAt: new Date(NOON) },
      { id: "3", task: "batch", payload: [1, 2], flags: ["f"], runAt: new Date(NOON + 300_000), state: "scheduled" },
    ]);
  });

  it("fails the attempt when it cannot be added", async () => {
    const wrong = task(async (_payload, { client }) => client.addJob(follow, { n: "1" } as never));
    expect(await runTask(wrong, {})).toMatchObject({ outcome: "failed", error: { code: "HOWDAH_PAYLOAD_INVALID" } });
    const twice = task(async (_payload, { client }) => {
      const job = { identifier: "raw", spec: { jobKey: "k" } };
      await client.addJobs([job, job]);
    });
    const run = await runTask(twice, {});
    expect(run).toMatchObject({ outcome: "failed", error: { code: "HOWDAH_JOB_KEY_DUPLICATE" }, added: [] });
  });

  it("goes to the client that the test gives", async () => {
    const added: unknown[] = [];
    const client = { addJob: async (...call: unknown[]) => void added.push(call) };
    const adding = task(async (_payload, context) => context.client.addJob("x"));
    expect((await runTask(adding, {}, { client: client as never })).added).toEqual([]);
    expect(added).toEqual([["x"]]);
  });
});

describe("what needs a database", () => {
  it.each<[string, (context: JobContext) => Promise<unknown>, RegExp]>([
    ["context.client", ({ client }) => client.listJobs(), /^context\.client\.listJobs\(\) needs a database.*`client`/],
    ["schedules", ({ client }) => client.schedules.list(), /^context\.client\.schedules\.list\(\) needs a database/],
    ["query", ({ query }) => query("select 1"), /^context\.query\(\) needs a database.*`driver`/],
    ["withTransaction", (context) => context.withTransaction(async () => 1), /^context\.withTransaction\(\) needs/],
    ["complete", ({ complete }) => complete({} as never), /^context\.complete\(\) needs a database.*drain\(\)\.$/],
  ])("is refused: %s", async (_what, run, message) => {
    const ended = await runTask(
      task(async (_payload, context) => run(context)),
      {},
    );
    expect(ended).toMatchObject({ outcome: "failed", error: { code: "HOWDAH_OPTION_INVALID" } });
    expect(ended.message).toMatch(message);
  });

  it("is done by the driver that the test gives", async () => {
    const driver = { query: async () => ({ rows: [["1"]], count: 1 }), transaction: async () => undefined };
    const seen: unknown[] = [];
    const asking = task(async (_payload, { query }) => seen.push(await query("select 1")));
    await runTask(asking, {}, { driver: driver as never });
    expect(seen).toEqual([{ rows: [["1"]], count: 1 }]);
  });
});

describe("the options of runTask", () => {
  it("are checked", async () => {
    const plain = task(() => {});
    await expect(runTask(plain, {}, { atempt: 2 } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: expect.stringContaining("did you mean `attempt`"),
    });
    await expect(runTask(plain, {}, { attempt: 0 })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(runTask(undefined as never, {})).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});

describe("a handler that gathers jobs", () => {
  const push = defineGatherTask({
    identifier: "push",
    gather: { size: 10, within: "1h" },
    async runMany(jobs: GatheredJob<{ does: string }>[], { settle, client }) {
      for (const job of jobs) {
        const { does } = job.payload;
        if (does === "settle") settle(job, new Error("settled"));
        if (does === "add") await client.addJob("other");
        if (does === "complete") await job.complete({} as never);
      }
      return jobs.map(({ payload: { does } }) => (does === "snooze" ? snooze("1m") : undefined));
    },
  });

  it.each([
    ["nothing", { outcome: "completed" }],
    ["settle", { outcome: "failed" }],
    ["snooze", { outcome: "snoozed" }],
    ["add", { outcome: "completed", added: [{ task: "other" }] }],
    ["complete", { outcome: "failed" }],
  ])("is given one job, does not wait for more, and says what becomes of it: %s", async (does, run) => {
    expect(await runTask(push, { does })).toMatchObject(run);
  });
});
