import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { START } from "../../../src/postgres/position.ts";
import { createReleaseAndClaim } from "../../../src/postgres/queries/ending/release-and-claim.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createClaims, empty, idsOf, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { claimOf } from "../../harness/fake-claims.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => empty(database));

/** Jobs of one queue, or of none. */
async function add(count: number, queue: string | null = null): Promise<void> {
  await database.sql(
    "select howdah.add_job('t', queue_name => $2, run_at => now() - (1000 - n) * interval '1 s') from generate_series(1, $1) as n",
    [count, queue],
  );
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
const queues = () => database.sql("select locked_by from howdah._private_job_queues order by id");

describe("a release and a claim in one statement", async () => {
  const worker = await createClaims(database);
  const other = await createClaims(database, "other");
  const releaseAndClaim = createReleaseAndClaim(database.driver, database.schema);
  const [task] = await database.sql("select id from howdah._private_tasks where identifier = 't'");
  const wanted = claimOf("w", Number(task?.["id"]));
  const end = (claimedAt: string, lastJobId: string, queueIds: number[]) => ({
    workerId: "w",
    claimTimes: [claimedAt],
    completed: [lastJobId],
    changed: [],
    chainEnds: queueIds.map((queueId) => ({ queueId, lastJobId, claimedAt })),
    patient: true,
  });

  it("takes the next job of the queue that it frees", async () => {
    await add(3, "q");
    const { claimedAt } = await worker.claim();
    const claimed = await releaseAndClaim(end(claimedAt, "1", [1]), { ...wanted, queueIds: [1] });
    expect(idsOf(claimed)).toEqual([2]);
    expect(BigInt(claimed.claimedAt)).toBeGreaterThan(BigInt(claimedAt));
    expect(await queues()).toEqual([{ locked_by: "w" }]);
    expect(Object.keys(await jobsById(database))).toEqual(["2", "3"]);
  });

  it("goes straight to jobs without a queue when it is told to, and sees those that the release has made room for", async () => {
    await add(4);
    const { claimedAt } = await worker.claim({ quantity: 1 });
    const levels = [{ priority: 0, floor: START }];
    const straight = { ...wanted, quantity: 2, levels, isStraight: true };
    const claimed = await releaseAndClaim(end(claimedAt, "1", []), straight);
    expect([idsOf(claimed), claimed.isStraight]).toEqual([[2, 3], true]);
    expect(Object.keys(await jobsById(database))).toEqual(["2", "3", "4"]);
  });

  it.each([
    ["is lost", "2"],
    ["is gone", "99"],
  ])("does neither when one of the jobs %s, and says so", async (_, id) => {
    await add(3);
    const { claimedAt } = await worker.claim({ quantity: 1 });
    const before = await jobsById(database);
    const release = { ...end(claimedAt, "1", []), completed: ["1", id] };
    await expect(releaseAndClaim(release, wanted)).rejects.toMatchObject({ code: "HWPRT" });
    expect(await jobsById(database)).toEqual(before);
  });

  it("does neither while another transaction holds a completed job", async () => {
    await add(2);
    const { claimedAt } = await worker.claim({ quantity: 1 });
    const session = await database.connect();
    await session.query("begin; select from howdah._private_jobs where id = 1 for update");
    const before = await jobsById(database);
    await expect(releaseAndClaim(end(claimedAt, "1", []), wanted)).rejects.toMatchObject({ code: "55P03" });
    expect(await jobsById(database)).toEqual(before);
    await session.query("rollback");
  });

  it("may be sent again as a release: it does not touch what the lost answer had claimed", async () => {
    await add(2, "q");
    const { claimedAt } = await worker.claim();
    const release = end(claimedAt, "1", [1]);
    await releaseAndClaim(release, { ...wanted, queueIds: [1] });
    const before = await jobsById(database);
    expect([...(await worker.release(release)).unreleased]).toEqual([["1", "gone"]]);
    expect(await jobsById(database)).toEqual(before);
    expect(await queues()).toEqual([{ locked_by: "w" }]);
    expect(idsOf(await other.claim())).toEqual([]);
  });
});

/** The database's driver, and what was sent through it under which name. */
function createCountingDriver(): { driver: Driver; count(name: string): number } {
  const counts = new Map<string, number>();
  const { driver } = database;
  return {
    driver: {
      query(statement) {
        counts.set(String(statement.name), (counts.get(String(statement.name)) ?? 0) + 1);
        return driver.query(statement);
      },
      transaction: (work) => driver.transaction(work),
      listen: (channels, handlers) => driver.listen(channels, handlers),
      close: async () => undefined,
    },
    count: (name) => counts.get(name) ?? 0,
  };
}

describe("a worker without a local queue", () => {
  it.each([
    ["of one queue", { queueName: "q" }, 1, "howdah_release_and_continue_1"],
    ["without a queue", {}, 4, "howdah_release_and_claim_straight_2"],
  ])("sends one statement for each lot of jobs %s", async (_which, spec, lot, leanest) => {
    const task = defineTask({ identifier: "quick", run: () => undefined });
    const { driver, count } = createCountingDriver();
    await using worker = await createTestWorker(database, { tasks: [task], driver, concurrency: 4 });
    await worker.client.addJobs(Array.from({ length: 100 }, () => ({ task, spec })));
    await worker.runOnce();
    expect(await jobsById(database)).toEqual({});
    const ofClaims = ["howdah_claim_2", "howdah_claim_straight_2"];
    const ofReleases = ["howdah_release_2", "howdah_release_completed_2"];
    const alone = sum([...ofClaims, ...ofReleases].map(count));
    const both = ["and_claim_3", "and_claim_straight_2", "and_continue_1"].map((what) => `howdah_release_${what}`);
    const together = sum(both.map(count));
    // Apart they would be two for each lot.
    expect(alone + together).toBeLessThanOrEqual((1.5 * 100) / lot);
    expect(together).toBeGreaterThan(alone);
    expect(count(leanest)).toBeGreaterThan(5);
  });

  it("ends each job of a queue for everybody before the next one starts", async () => {
    const task = defineTask({ identifier: "quick", run: () => undefined });
    await using worker = await createTestWorker(database, { tasks: [task] });
    const told: string[] = [];
    worker.hooks.on("jobStart", ({ job }) => void told.push(`start ${job.id}`));
    worker.hooks.on("jobComplete", ({ job }) => void told.push(`complete ${job.id}`));
    const jobs = await worker.client.addJobs(Array.from({ length: 50 }, () => ({ task, spec: { queueName: "q" } })));
    await worker.runOnce();
    expect(told).toEqual(jobs.flatMap(({ id }) => [`start ${id}`, `complete ${id}`]));
  });

  it.each([1, 4])(
    "puts a job of a better priority first when it becomes due in another queue, beside %i busy ones",
    async (busy) => {
      const task = defineTask({ identifier: "short", run: () => systemClock.sleep(2) });
      await using worker = await createTestWorker(database, { tasks: [task], concurrency: busy });
      const completed = record(worker.hooks, "jobComplete");
      const before = new Date(systemClock.now() - 60_000);
      const total = 500 * busy;
      await worker.client.addJobs(
        Array.from({ length: total }, (_, n) => ({ task, spec: { queueName: `busy ${n % busy}`, runAt: before } })),
      );
      const later = { queueName: "other", runAt: new Date(systemClock.now() + 400), priority: -10 };
      const { id } = await worker.client.addJob(task, {}, later);
      const running = worker.run();
      await completed.reach(total + 1);
      expect(completed.events.findIndex(({ job }) => job.id === id)).toBeLessThan(total);
      await worker.stop();
      await running;
    },
  );

  it("puts a job first that was announced for the queue it works through", async () => {
    const task = defineTask({ identifier: "short", run: () => systemClock.sleep(2) });
    // Nothing but the announcement makes it look at the front of the queue again.
    await using worker = await createTestWorker(database, { tasks: [task], pollInterval: "1h" });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJobs(Array.from({ length: 500 }, () => ({ task, spec: { queueName: "q" } })));
    const running = worker.run();
    await completed.reach(20);
    const { id } = await worker.client.addJob(task, {}, { queueName: "q", priority: -10 });
    await completed.reach(501);
    expect(completed.events.findIndex(({ job }) => job.id === id)).toBeLessThan(500);
    await worker.stop();
    await running;
  });

  it("goes on claiming beside a job that was taken away while it ran, and completes those that end with it", async () => {
    const task = defineTask({
      identifier: "taken",
      // Another worker has the third one when it ends.
      async run(_payload: unknown, { job }) {
        if (job.id !== "3") return;
        await database.sql("update howdah._private_jobs set locked_by = 'other', locked_at = now() where id = 3");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJobs(Array.from({ length: 20 }, () => ({ task })));
    const running = worker.run();
    await completed.reach(19);
    await worker.stop();
    await running;
    expect(completed.events.map(({ job }) => job.id)).not.toContain("3");
    expect(await jobsById(database)).toMatchObject({ 3: { locked_by: "other" } });
  });

  it("goes on claiming beside a job that cannot be deleted", async () => {
    const task = defineTask({ identifier: "quick", run: () => undefined });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 2 });
    const completed = record(worker.hooks, "jobComplete");
    const [stuck] = await worker.client.addJobs(Array.from({ length: 40 }, () => ({ task })));
    await database.sql(
      `create function public.refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$`,
    );
    await database.sql(
      `create trigger refuse before delete on howdah._private_jobs for each row when (old.id = ${stuck?.id}) execute function public.refuse()`,
    );
    const running = worker.run();
    await completed.reach(39);
    expect(Object.keys(await jobsById(database))).toEqual([stuck?.id]);
    await database.sql("drop trigger refuse on howdah._private_jobs; drop function public.refuse");
    await completed.reach(40);
    await worker.stop();
    await running;
  });
});
