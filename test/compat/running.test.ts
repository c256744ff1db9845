import { EventEmitter } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/clock.ts";
import { until } from "../harness/until.ts";
import type { TheirOptions, TheirRunner, TheirTasks, TheirUtils } from "./graphile-worker.ts";
import { createPlace, emptyPlace, LAYOUTS, type Place } from "./layouts.ts";

describe.each(LAYOUTS)("workers of graphile-worker on a schema: %s", (layout) => {
  let place: Place;
  let utils: TheirUtils;

  beforeAll(async () => {
    place = await createPlace(layout);
    utils = await place.theirs.makeWorkerUtils(place.options);
  });
  afterAll(async () => {
    await utils.release();
    await place[Symbol.asyncDispose]();
  });
  beforeEach(() => emptyPlace(place));

  /** What became of a job is written when its worker has ended already. */
  const settled = () =>
    until(async () => (await place.sql("select from howdah._private_jobs where locked_by is not null")).length === 0, {
      message: "all outcomes to be written",
    });
  async function runOnce(taskList: TheirTasks, options: TheirOptions = {}): Promise<void> {
    await place.theirs.runOnce({ ...place.options, ...options, taskList });
    await settled();
  }

  /** Runs a pool for as long as `work` takes. */
  async function running(options: TheirOptions, work: (runner: TheirRunner) => Promise<void>): Promise<void> {
    const runner = await place.theirs.run({ ...place.options, pollInterval: 100, ...options });
    try {
      await work(runner);
    } finally {
      await runner.stop();
    }
  }
  const drained = () =>
    until(
      async () => (await place.sql("select from howdah._private_jobs where attempts < max_attempts")).length === 0,
      {
        message: "all jobs to be done",
      },
    );

  it("run what is due once, in the order of priority and time, and leave the rest", async () => {
    const ran: unknown[] = [];
    await utils.addJob("t", 1, { priority: 1 });
    await utils.addJob("t", 2, { priority: -1, runAt: new Date("2001-01-02T00:00:00Z") });
    await utils.addJob("t", 3, { priority: -1, runAt: new Date("2001-01-01T00:00:00Z") });
    await utils.addJob("t", 4, { runAt: new Date("2099-01-01T00:00:00Z") });
    await utils.addJob("other", 5);
    await runOnce({ t: (payload) => void ran.push(payload) });
    expect(ran).toEqual([3, 2, 1]);
    expect(await place.sql("select payload::text from howdah._private_jobs order by id")).toEqual([
      { payload: "4" },
      { payload: "5" },
    ]);
  });

  it("give a handler its job and everything that helps", async () => {
    const seen: unknown[] = [];
    await utils.addJob("t", { a: 1 }, { queueName: "q" });
    await runOnce({
      async t(payload, helpers) {
        const { rows } = await helpers.query("select attempts, locked_by from howdah._private_jobs");
        await helpers.addJob("next", { from: helpers.job.id });
        await helpers.addJobs([{ identifier: "many" }, { identifier: "many", queueName: "m" }]);
        const count = await helpers.withPgClient((client) => client.query("select count(*)::integer from howdah.jobs"));
        helpers.logger.info("ran");
        seen.push(payload, rows, count.rows, await helpers.getQueueName());
      },
    });
    expect(seen).toEqual([
      { a: 1 },
      [{ attempts: 1, locked_by: expect.stringMatching(/^(otpool|pool|worker)-[0-9a-f]{18}$/) }],
      [{ count: 4 }],
      "q",
    ]);
    expect(await place.sql("select task_identifier from howdah.jobs order by id")).toMatchObject([
      { task_identifier: "next" },
      { task_identifier: "many" },
      { task_identifier: "many" },
    ]);
  });

  it("try a failed job again after the time of its attempt, until its attempts are used up", async () => {
    await utils.addJob("t", {}, { maxAttempts: 2, jobKey: "k", queueName: "q" });
    const fail: TheirTasks = { t: () => Promise.reject(new Error("no luck")) };
    const state = async () =>
      (
        await place.sql(
          `select attempts, last_error, key, locked_by, is_available,
             round(extract(epoch from run_at - now())) as seconds from howdah._private_jobs`,
        )
      )[0];
    await runOnce(fail);
    expect(await state()).toMatchObject({ attempts: 1, last_error: "no luck", locked_by: null, is_available: true });
    expect(Number((await state())?.["seconds"])).toBeGreaterThan(0);
    expect(Number((await state())?.["seconds"])).toBeLessThanOrEqual(3);
    await place.sql("update howdah._private_jobs set run_at = now()");
    await runOnce(fail);
    expect(await state()).toMatchObject({ attempts: 2, last_error: "no luck", key: "k", is_available: false });
    expect(await place.sql("select locked_by from howdah._private_job_queues")).toEqual([{ locked_by: null }]);
  });

  it("keep of a batch the items that have failed", async () => {
    await utils.addJob("t", [1, 2, 3]);
    await runOnce({
      t: (items: number[]) => items.map((item) => (item === 2 ? Promise.reject(new Error("two")) : item)),
    });
    expect(await place.sql("select payload::text, attempts, last_error from howdah._private_jobs")).toEqual([
      { payload: "[2]", attempts: 1, last_error: expect.stringContaining("two") },
    ]);
  });

  it.each([
    ["a list", ["skip"]],
    ["a function", () => ["skip"]],
    ["a function that takes its time", () => Promise.resolve(["skip"])],
  ] as const)("leave jobs alone that have a forbidden flag, given by %s", async (_, forbiddenFlags) => {
    const ran: unknown[] = [];
    await utils.addJob("t", 1, { flags: ["skip"] });
    await utils.addJob("t", 2, { flags: ["other"] });
    await utils.addJob("t", 3);
    await runOnce({ t: (payload) => void ran.push(payload) }, { forbiddenFlags });
    expect(new Set(ran)).toEqual(new Set([2, 3]));
  });

  it.each([
    ["directly", {}],
    ["without prepared statements", { noPreparedStatements: true }],
    ["by the time of Node.js", { useNodeTime: true }],
  ] as const)("run a queue one after another, and others beside it: %s", async (_, options) => {
    let [now, most, alone, mostAlone] = [0, 0, 0, 0];
    const specs = Array.from({ length: 24 }, (__, index) => ({
      identifier: "t",
      payload: { queued: index % 2 === 0 },
      ...(index % 2 === 0 ? { queueName: "serial" } : {}),
    }));
    await utils.addJobs(specs);
    const t: TheirTasks[string] = async ({ queued }: { queued: boolean }) => {
      most = Math.max(most, ++now);
      if (queued) mostAlone = Math.max(mostAlone, ++alone);
      await systemClock.sleep(20);
      now -= 1;
      if (queued) alone -= 1;
    };
    await running({ concurrency: 4, taskList: { t }, ...options }, async () => void (await drained()));
    expect(mostAlone).toBe(1);
    expect(most).toBeGreaterThan(1);
  });

  it("run from a local queue and complete in batches", async () => {
    const ran = new Set<number>();
    await utils.addJobs(Array.from({ length: 60 }, (_, n) => ({ identifier: "t", payload: n })));
    const preset = {
      worker: {
        localQueue: { size: 20, ttl: 1_000, refetchDelay: { durationMs: 20 } },
        completeJobBatchDelay: 5,
        failJobBatchDelay: 5,
      },
    };
    const t = (n: number): void => {
      ran.add(n);
      if (n === 7) throw new Error("seven");
    };
    await running({ concurrency: 3, taskList: { t }, preset }, async () => {
      await until(async () => (await place.sql("select from howdah._private_jobs")).length === 1, {
        message: "one job to be left",
      });
      await until(async () => (await place.sql("select from howdah._private_jobs where attempts = 1")).length === 1);
    });
    expect(ran.size).toBe(60);
    expect(await place.sql("select payload::text, last_error, locked_by from howdah._private_jobs")).toEqual([
      { payload: "7", last_error: "seven", locked_by: null },
    ]);
  });

  it("are notified of a job from their own client and from SQL, and emit an event for each step", async () => {
    const events = new EventEmitter();
    const told: string[] = [];
    for (const name of [
      "pool:create",
      "worker:create",
      "job:start",
      "job:success",
      "job:error",
      "job:failed",
      "job:complete",
      "stop",
    ])
      events.on(name, () => void told.push(name));
    const listening = new Promise((resolve) => void events.once("pool:listen:success", resolve));
    const idle = new Promise((resolve) => void events.once("worker:getJob:empty", resolve));
    const t = (payload: { readonly fails?: boolean }): void => {
      if (payload.fails) throw new Error("as told");
    };
    await running({ events, taskList: { t }, pollInterval: 60_000 }, async (runner) => {
      // Only a worker that rests after it found nothing is woken by a notification; its poll is too far away to help it.
      await Promise.all([listening, idle]);
      await systemClock.sleep(500);
      await runner.addJob("t", {});
      await until(() => told.includes("job:complete"));
      await place.sql("select howdah.add_job('t', '{\"fails\": true}', max_attempts => 1)");
      await until(() => told.includes("job:failed"));
    });
    expect(told).toEqual([
      "pool:create",
      "worker:create",
      "job:start",
      "job:success",
      "job:complete",
      "job:start",
      "job:error",
      "job:failed",
      "job:complete",
      "stop",
    ]);
  });

  it("let a running job end before they do", async () => {
    let [started, ended] = [false, false];
    const t = async (): Promise<void> => {
      started = true;
      await systemClock.sleep(300);
      ended = true;
    };
    await utils.addJob("t");
    await running({ taskList: { t } }, async () => void (await until(() => started)));
    expect(ended).toBe(true);
    // Release 0.17 closes its connections before the outcome is written, so the row may stay, with and without Howdah.
  });

  it("take back what has been locked for four hours, and nothing younger", async () => {
    const ran: unknown[] = [];
    await utils.addJob("t", "stale", { queueName: "stale" });
    await utils.addJob("t", "young");
    await place.sql(
      `update howdah._private_jobs set locked_by = 'pool-dead', attempts = 1,
         locked_at = now() - case payload::text when '"stale"' then interval '5 hours' else interval '3 hours' end`,
    );
    await place.sql(
      "update howdah._private_job_queues set locked_by = 'pool-dead', locked_at = now() - interval '5 hours'",
    );
    const t: TheirTasks[string] = (payload, { job }) => void ran.push(payload, job.attempts);
    const preset = { worker: { minResetLockedInterval: 10, maxResetLockedInterval: 20 } };
    await running({ taskList: { t }, preset }, async () => {
      await until(async () => (await place.sql("select from howdah._private_jobs")).length === 1, {
        message: "one job to be left",
      });
    });
    expect(ran).toEqual(["stale", 2]);
    expect(await place.sql("select locked_by from howdah._private_jobs")).toEqual([{ locked_by: "pool-dead" }]);
  });
});
