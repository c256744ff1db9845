import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimedJob } from "../../../src/job/claimed-job.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

const KIB = 1024;

/** Adds jobs with payloads of N bytes, in queues or not. */
async function add(count: number, bytes: number, queue = "null"): Promise<void> {
  await database.sql(
    `select howdah.add_job('work', to_json(n || repeat('x', ${bytes})), queue_name => ${queue})
     from generate_series(1, ${count}) as n`,
  );
}

const lockedBytes = async (): Promise<number> => {
  const sum =
    "select coalesce(sum(length(payload::text)), 0)::int as bytes from howdah._private_jobs where locked_at is not null";
  return (await database.sql(sum))[0]?.["bytes"] as number;
};

const SOURCES: [string, Partial<WorkerOptions>][] = [
  ["with a local queue", { localQueue: { size: 50 } }],
  [
    "with a local queue, that polls only",
    { localQueue: { size: 50 }, useNotificationDelivery: false, pollInterval: "50ms" },
  ],
  ["in direct mode", { concurrency: 20 }],
  ["in direct mode, that polls only", { concurrency: 20, useNotificationDelivery: false, pollInterval: "50ms" }],
];

describe.each(SOURCES)("a worker %s", (_, options) => {
  it.each([
    ["jobs without a queue", "null"],
    ["jobs of three queues", "'q' || n % 3"],
  ])(
    "brings no more bytes with a claim than it may, and runs all %s once, none with an attempt lost",
    async (__, queue) => {
      await add(40, 100 * KIB, queue);
      const attempts: number[] = [];
      const held = createHeldTask("work", (___, { job }) => void attempts.push(job.attempts));
      held.openAll();
      const worker = await createTestWorker(database, {
        tasks: [held.task],
        concurrency: 1,
        maxClaimBytes: 1024 * KIB,
        ...options,
      });
      const fetched = record(worker.hooks, "jobFetch");
      const run = worker.run();
      await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0, {
        deadlineMs: 30_000,
      });
      await worker.stop();
      await run;
      expect(held.started.length).toBe(40);
      expect(new Set(attempts)).toEqual(new Set([1]));
      // The first claim has to learn; no other brings more than ten.
      const claims = new Map<string, number>();
      for (const { job } of fetched.events) {
        const { claimedAt } = job as ClaimedJob;
        claims.set(claimedAt, (claims.get(claimedAt) ?? 0) + 1);
      }
      expect(Math.max(...[...claims.values()].slice(1))).toBeLessThanOrEqual(10);
    },
  );
});

describe("a local queue", () => {
  it("holds no more than a claim may bring, beside what runs", async () => {
    await add(40, 100 * KIB);
    const held = createHeldTask("work");
    const worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 1,
      localQueue: true,
      maxClaimBytes: 1024 * KIB,
    });
    const run = worker.run();
    await until(() => held.running.size === 1);
    await until(async () => (await lockedBytes()) <= 1024 * KIB);
    held.openAll();
    await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
    await worker.stop();
    await run;
  });

  it("takes a job that alone is larger", async () => {
    await add(3, 200 * KIB);
    const held = createHeldTask("work");
    held.openAll();
    await using worker = await createTestWorker(database, { tasks: [held.task], localQueue: true, maxClaimBytes: 10 });
    const run = worker.run();
    await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
    await worker.stop();
    await run;
    expect(held.started).toHaveLength(3);
  });
});
