import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { TheirUtils } from "./graphile-worker.ts";
import { createPlace, emptyPlace, LAYOUTS, type Place } from "./layouts.ts";

describe.each(LAYOUTS)("makeWorkerUtils of graphile-worker on a schema: %s", (layout) => {
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

  const lock = (ids: readonly string[], age = "1 minute", by = "pool-dead") =>
    place.sql(
      `update howdah._private_jobs set locked_at = now() - $2::interval, locked_by = $3 where id = any($1::bigint[])`,
      [ids, age, by],
    );
  const add = async (count: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) ids.push((await utils.addJob("t", { index })).id);
    return ids;
  };
  const idsOf = (jobs: readonly { readonly id: string }[]) => jobs.map(({ id }) => id).toSorted();

  it("adds a job with the defaults", async () => {
    const job = await utils.addJob("t");
    expect(job).toMatchObject({
      task_identifier: "t",
      payload: {},
      priority: 0,
      attempts: 0,
      max_attempts: 25,
      last_error: null,
      key: null,
      revision: 0,
      flags: null,
      locked_at: null,
      locked_by: null,
      is_available: true,
    });
    expect(job.id).toMatch(/^\d+$/);
    expect(job.run_at).toBeInstanceOf(Date);
  });

  it("adds a job with everything that can be said of it", async () => {
    const runAt = new Date("2099-01-01T00:00:00Z");
    const job = await utils.addJob(
      "t",
      { a: [1, "é"] },
      { queueName: "q", runAt, priority: -3, maxAttempts: 4, jobKey: "k", flags: ["slow", "big"] },
    );
    expect(job).toMatchObject({
      payload: { a: [1, "é"] },
      run_at: runAt,
      priority: -3,
      max_attempts: 4,
      key: "k",
      flags: { slow: true, big: true },
    });
    expect(await place.sql("select queue_name, task_identifier from howdah.jobs")).toEqual([
      { queue_name: "q", task_identifier: "t" },
    ]);
  });

  it("adds many jobs at once, each as it was specified", async () => {
    const jobs = await utils.addJobs([
      { identifier: "a", payload: { n: 1 } },
      { identifier: "b", payload: { n: 2 }, queueName: "q", priority: 5, jobKey: "k2", flags: ["f"] },
      { identifier: "a", payload: { n: 3 }, maxAttempts: 2, runAt: new Date("2099-01-01T00:00:00Z") },
    ]);
    expect(jobs).toHaveLength(3);
    expect(
      await place.sql(
        `select task_identifier as task, (payload ->> 'n')::integer as n, queue_name as queue, jobs.priority, jobs.key,
           jobs.max_attempts as max, jobs.flags, jobs.run_at > now() as later
         from howdah.jobs join howdah._private_jobs own using (id) order by n`,
      ),
    ).toEqual([
      { task: "a", n: 1, queue: null, priority: 0, key: null, max: 25, flags: null, later: false },
      { task: "b", n: 2, queue: "q", priority: 5, key: "k2", max: 25, flags: { f: true }, later: false },
      { task: "a", n: 3, queue: null, priority: 0, key: null, max: 2, flags: null, later: true },
    ]);
  });

  describe("keys", () => {
    const later = new Date("2099-01-01T00:00:00Z");
    const sooner = new Date("2098-01-01T00:00:00Z");

    it("replace a job that waits, and keep its id", async () => {
      const first = await utils.addJob("t", { n: 1 }, { jobKey: "k", runAt: later, queueName: "q" });
      const second = await utils.addJob("t", { n: 2 }, { jobKey: "k", runAt: sooner });
      expect(second).toMatchObject({ id: first.id, payload: { n: 2 }, run_at: sooner, revision: 1 });
      expect(await place.sql("select queue_name from howdah.jobs")).toEqual([{ queue_name: null }]);
    });

    it("keep the time with preserve_run_at, also in bulk", async () => {
      await utils.addJob("t", { n: 1 }, { jobKey: "k", runAt: later });
      const kept = await utils.addJob("t", { n: 2 }, { jobKey: "k", runAt: sooner, jobKeyMode: "preserve_run_at" });
      expect(kept).toMatchObject({ payload: { n: 2 }, run_at: later });
      const [bulk] = await utils.addJobs([{ identifier: "t", payload: { n: 3 }, jobKey: "k", runAt: sooner }], true);
      expect(bulk).toMatchObject({ payload: { n: 3 }, run_at: later });
    });

    it("leave the job alone with unsafe_dedupe, also one that failed for good", async () => {
      const first = await utils.addJob("t", { n: 1 }, { jobKey: "k" });
      await utils.permanentlyFailJobs([first.id]);
      const again = await utils.addJob("t", { n: 2 }, { jobKey: "k", jobKeyMode: "unsafe_dedupe" });
      expect(again).toMatchObject({ id: first.id, payload: { n: 1 }, revision: 1 });
    });

    it.each(["replace", "preserve_run_at"] as const)("take over from a job that runs: %s", async (jobKeyMode) => {
      const first = await utils.addJob("t", { n: 1 }, { jobKey: "k", maxAttempts: 3 });
      await lock([first.id]);
      const second = await utils.addJob("t", { n: 2 }, { jobKey: "k", jobKeyMode });
      expect(second.id).not.toBe(first.id);
      expect(await place.sql("select key, attempts from howdah._private_jobs order by id")).toEqual([
        { key: null, attempts: 3 },
        { key: "k", attempts: 0 },
      ]);
    });

    it("join the payloads when both are lists", async () => {
      await utils.addJob("t", [{ n: 1 }], { jobKey: "k" });
      const joined = await utils.addJob("t", [{ n: 2 }], { jobKey: "k" });
      expect(joined.payload).toEqual([{ n: 1 }, { n: 2 }]);
    });
  });

  it("completes jobs that do not run, and those that have run for four hours", async () => {
    const [waits = "", runs = "", stale = ""] = await add(3);
    await lock([runs]);
    await lock([stale], "5 hours");
    expect(idsOf(await utils.completeJobs([waits, runs, stale]))).toEqual([waits, stale].toSorted());
    expect(await place.sql("select id::text from howdah._private_jobs")).toEqual([{ id: runs }]);
  });

  it("fails jobs for good, with a reason or without", async () => {
    const [one = "", two = "", runs = ""] = await add(3);
    await lock([runs]);
    expect(await utils.permanentlyFailJobs([one], "because")).toMatchObject([
      { attempts: 25, max_attempts: 25, last_error: "because", is_available: false },
    ]);
    expect(await utils.permanentlyFailJobs([two, runs])).toMatchObject([
      { id: two, last_error: "Manually marked as failed" },
    ]);
  });

  it("reschedules jobs that do not run, and changes only what is given", async () => {
    const [one = "", runs = ""] = await add(2);
    await lock([runs]);
    const runAt = new Date("2099-01-01T00:00:00Z");
    expect(await utils.rescheduleJobs([one, runs], { runAt, priority: 7, attempts: 3, maxAttempts: 9 })).toMatchObject([
      { id: one, run_at: runAt, priority: 7, attempts: 3, max_attempts: 9 },
    ]);
    expect(await utils.rescheduleJobs([one], {})).toMatchObject([{ run_at: runAt, priority: 7, attempts: 3 }]);
  });

  it("unlocks the jobs and queues of the workers that it is told, and keeps their attempts", async () => {
    const [dead = "", alive = ""] = await add(2);
    await utils.addJob("t", {}, { queueName: "q" });
    await lock([dead]);
    await lock([alive], "1 minute", "pool-alive");
    await place.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'pool-dead'");
    await place.sql("update howdah._private_jobs set attempts = 1 where locked_at is not null");
    await utils.forceUnlockWorkers(["pool-dead", "pool-unknown"]);
    expect(
      await place.sql("select id::text, locked_by, attempts from howdah._private_jobs order by id limit 2"),
    ).toEqual([
      { id: dead, locked_by: null, attempts: 1 },
      { id: alive, locked_by: "pool-alive", attempts: 1 },
    ]);
    expect(await place.sql("select locked_by, is_available from howdah._private_job_queues")).toEqual([
      { locked_by: null, is_available: true },
    ]);
  });

  it("cleans up tasks, queues and jobs that failed for good, and nothing that is in use", async () => {
    const failed = await utils.addJob("gone", {}, { queueName: "gone" });
    await utils.addJob("used", {}, { queueName: "used" });
    await utils.addJob("empty");
    await utils.addJob("kept");
    await place.sql(
      "delete from howdah._private_jobs where task_id = (select id from howdah._private_tasks where identifier = 'kept')",
    );
    await utils.permanentlyFailJobs([failed.id]);
    await utils.cleanup({ tasks: ["DELETE_PERMAFAILED_JOBS"] });
    await utils.cleanup();
    await utils.cleanup({ tasks: ["GC_TASK_IDENTIFIERS", "GC_JOB_QUEUES"], taskIdentifiersToKeep: ["kept"] });
    expect(await place.sql("select queue_name from howdah._private_job_queues")).toEqual([{ queue_name: "used" }]);
    expect(await place.sql("select identifier from howdah._private_tasks order by 1")).toEqual([
      { identifier: "empty" },
      { identifier: "kept" },
      { identifier: "used" },
    ]);
  });

  it("migrates again without a change, and lends its connection", async () => {
    const ledger = "select id, breaking from howdah.migrations order by id";
    const before = await place.sql(ledger);
    await utils.migrate();
    await place.theirs.runMigrations(place.options);
    expect(await place.sql(ledger)).toEqual(before);
    const { rows } = await utils.withPgClient((client) => client.query("select count(*)::integer from howdah.jobs"));
    expect(rows).toEqual([{ count: 0 }]);
  });

  it("adds a job without utils, by either name", async () => {
    await place.theirs.addJobAdhoc(place.options, "t", { n: 1 }, { priority: 2 });
    await place.theirs.quickAddJob(place.options, "t", { n: 2 });
    expect(await place.sql("select priority, payload::text from howdah._private_jobs order by id")).toEqual([
      { priority: 2, payload: '{"n":1}' },
      { priority: 0, payload: '{"n":2}' },
    ]);
  });
});
