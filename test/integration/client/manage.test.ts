import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { Job } from "../../../src/job/job.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

/** One job that failed for good, one that runs, two that wait; in this order. */
async function fourJobs(): Promise<{ failed: Job; running: Job; regular: Job; other: Job }> {
  const [failed, running, regular, other] = await client.addJobs(
    ["failed", "running", "regular", "other"].map((name) => ({
      identifier: "t",
      payload: name,
      spec: { queueName: name },
    })),
  );
  if (!failed || !running || !regular || !other) throw new Error("a job is missing");
  await database.sql("update howdah._private_jobs set attempts = max_attempts, last_error = 'broken' where id = $1", [
    failed.id,
  ]);
  await database.sql("update howdah._private_jobs set locked_by = 'w', locked_at = now(), attempts = 1 where id = $1", [
    running.id,
  ]);
  return { failed, running, regular, other };
}

async function remaining(): Promise<string[]> {
  return (await client.listJobs()).jobs.map(({ id }) => id);
}

describe("completeJobs", () => {
  it("removes what no worker runs and returns it in the order given (behaviours 98)", async () => {
    const { failed, running, regular, other } = await fourJobs();
    const done = await client.completeJobs([other.id, running.id, failed.id, "999999", failed.id]);
    expect(done.map(({ id, payload, queueName }) => [id, payload, queueName])).toEqual([
      [other.id, "other", "other"],
      [failed.id, "failed", "failed"],
    ]);
    expect(await remaining()).toEqual([running.id, regular.id]);
  });

  it("does nothing for an empty list", async () => {
    expect(await client.completeJobs([])).toEqual([]);
  });
});

describe("permanentlyFailJobs", () => {
  it("ends the attempts of what no worker runs, with the reason (behaviours 98)", async () => {
    const { running, regular, other } = await fourJobs();
    const failed = await client.permanentlyFailJobs([other.id, running.id, regular.id], "not today");
    expect(failed.map(({ id }) => id)).toEqual([other.id, regular.id]);
    for (const job of failed) expect(job).toMatchObject({ state: "failed", attempts: 25, lastError: "not today" });
    expect(await client.getJob(running.id)).toMatchObject({ state: "running", attempts: 1 });
  });

  it("has a default reason, keeps an empty one (behaviours S18), and stores one with a NUL without it", async () => {
    const { regular, other, failed } = await fourJobs();
    expect(await client.permanentlyFailJobs([regular.id])).toMatchObject([{ lastError: "Manually marked as failed" }]);
    expect(await client.permanentlyFailJobs([other.id], "")).toMatchObject([{ lastError: "" }]);
    expect(await client.permanentlyFailJobs([failed.id], "a\0b\ud800")).toMatchObject([{ lastError: "ab" }]);
  });
});

describe("rescheduleJobs", () => {
  it("changes what is given and keeps the rest, in the order given", async () => {
    const { running, regular, other } = await fourJobs();
    const runAt = new Date("2200-01-01T00:00:00.001Z");
    const changed = await client.rescheduleJobs([other.id, running.id, regular.id], { runAt, priority: 3 });
    expect(changed.map(({ id }) => id)).toEqual([other.id, regular.id]);
    expect(changed[0]).toMatchObject({ runAt, priority: 3, attempts: 0, maxAttempts: 25, state: "scheduled" });
    expect(await client.getJob(other.id)).toEqual(changed[0]);
    expect(await client.rescheduleJobs([other.id], { attempts: 0 })).toMatchObject([{ runAt, priority: 3 }]);
  });

  it("counts a delay by the clock of the database", async () => {
    const { failed, regular } = await fourJobs();
    const changed = await client.rescheduleJobs([regular.id, failed.id], { runIn: "1h", attempts: 0 });
    expect(changed).toMatchObject([{ state: "scheduled" }, { state: "scheduled" }]);
    const rows = await database.sql(
      `select extract(epoch from run_at - updated_at)::float8 as delay from howdah._private_jobs where run_at > now()`,
    );
    expect(rows).toEqual([{ delay: 3_600 }, { delay: 3_600 }]);
    expect(await client.rescheduleJobs([regular.id], { runIn: 0 })).toMatchObject([{ state: "ready" }]);
    await expect(client.rescheduleJobs([regular.id], { runIn: "1h", runAt: new Date() })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: "rescheduleJobs() is given both `runAt` and `runIn`; one of them says when the jobs run.",
    });
    await expect(client.rescheduleJobs([regular.id], { runIn: "soon" as never })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
  });

  it("takes zero as zero (behaviours S18), so a failed job can be revived", async () => {
    const { failed } = await fourJobs();
    await client.rescheduleJobs([failed.id], { priority: 5 });
    const [revived] = await client.rescheduleJobs([failed.id], { attempts: 0, priority: 0 });
    expect(revived).toMatchObject({ state: "ready", attempts: 0, priority: 0, lastError: "broken" });
  });

  it("does nothing for an empty list", async () => {
    expect(await client.rescheduleJobs([], { priority: 1 })).toEqual([]);
  });
});

describe("forceUnlockWorkers", () => {
  it("unlocks the jobs and queues of these workers only (behaviours 100)", async () => {
    const names = ["test", "test2", "test3"];
    await client.addJobs(
      Array.from({ length: 10 }, (_, index) => ({
        identifier: "t",
        ...(names[index] === undefined ? {} : { spec: { queueName: names[index] } }),
      })),
    );
    const { jobs } = await client.listJobs();
    for (const [index, job] of jobs.slice(0, 9).entries()) {
      await database.sql("update howdah._private_jobs set locked_by = $2, locked_at = now() where id = $1", [
        job.id,
        `pool-${(index % 3) + 1}`,
      ]);
    }
    await database.sql(`update howdah._private_job_queues set locked_at = now(),
      locked_by = case queue_name when 'test' then 'pool-1' when 'test2' then 'pool-2' else 'pool-3' end`);

    await client.forceUnlockWorkers(["pool-2", "pool-3"]);

    const after = (await client.listJobs()).jobs;
    expect(after.map(({ lockedBy }) => lockedBy)).toEqual(
      jobs.map((_, index) => (index < 9 && index % 3 === 0 ? "pool-1" : null)),
    );
    const queues = (await client.listQueues()).queues;
    expect(queues.map(({ name, lockedBy }) => [name, lockedBy])).toEqual([
      ["test", "pool-1"],
      ["test2", null],
      ["test3", null],
    ]);
  });

  it("does nothing for an empty list", async () => {
    const { running } = await fourJobs();
    await client.forceUnlockWorkers([]);
    expect(await client.getJob(running.id)).toMatchObject({ lockedBy: "w" });
  });
});
