import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type RateLimit, rateLimited } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterEach(async () => {
  await database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_lanes, howdah._howdah_buckets, howdah._howdah_rules",
  );
});

afterAll(async () => {
  await database.drop();
});

interface Started {
  readonly name: string;
  readonly attempts: number;
  readonly at: number;
}

/** A worker whose first job that has the payload `limited` comes up against a limit. */
async function startLimited(
  limit: () => RateLimit,
  { isThrown = false, ...options }: Partial<WorkerOptions> & { isThrown?: boolean } = {},
) {
  const started: Started[] = [];
  const calls = defineTask({
    identifier: "calls",
    run(name: string, { job }) {
      const isFirst = started.every((one) => one.name !== name);
      started.push({ name, attempts: job.attempts, at: systemClock.monotonic() });
      if (name !== "limited" || !isFirst) return undefined;
      if (isThrown) throw rateLimited(limit());
      return rateLimited(limit());
    },
  });
  const worker = await createTestWorker(database, { tasks: [calls], concurrency: 4, ...options });
  const settled = record(worker.hooks, "jobSettle");
  const startOf = (name: string): Started | undefined => started.findLast((one) => one.name === name);
  return { worker, client: worker.client, started, settled, startOf };
}

describe.each([
  ["returned", false, {}],
  ["thrown", true, {}],
  ["returned to a worker with a local queue", false, { localQueue: true }],
] as const)("rateLimited(), %s", (_, isThrown, options) => {
  it("runs the job again then, without an attempt, and parks its queue alone", async () => {
    const limit = (): RateLimit => ({ after: "900ms" });
    const { worker, client, started, settled, startOf } = await startLimited(limit, { isThrown, ...options });
    await client.setQueueRules("tenant:*", { concurrency: 1 });
    await client.addJob("calls", "limited", { queueName: "tenant:a" });
    await client.addJob("calls", "same", { queueName: "tenant:a" });
    const running = worker.run();
    await until(() => started.length === 1);
    await client.addJob("calls", "other", { queueName: "tenant:b" });
    await client.addJob("calls", "same", { queueName: "tenant:a" });
    await until(() => startOf("other") !== undefined);
    await until(() => started.length === 5);
    const [first] = started;
    const parkedUntil = (first?.at ?? 0) + 900;
    expect(startOf("other")?.at).toBeLessThan(parkedUntil);
    const later = ["limited", "same"].map((name) => started.find((one) => one.name === name && one !== first));
    for (const found of later) {
      expect(found?.at).toBeGreaterThanOrEqual(parkedUntil - 5);
      expect(found?.attempts).toBe(1);
    }
    await until(() => settled.events.length === 5);
    expect(settled.events.map(({ outcome }) => outcome).toSorted()).toEqual([...Array(4).fill("completed"), "snoozed"]);
    await worker.stop();
    await running;
  }, 30_000);
});

describe("rateLimited() with a time", () => {
  it("parks the queue until then, and a shorter one does not shorten that", async () => {
    const until2 = new Date(systemClock.now() + 60_000);
    const limits: RateLimit[] = [{ until: until2 }, { after: 0 }];
    const { worker, client, started } = await startLimited(() => limits.shift() ?? { after: 0 });
    await client.setQueueRules("tenant:a", { concurrency: 2 });
    await client.addJob("calls", "limited", { queueName: "tenant:a" });
    await worker.runOnce();
    expect(started).toHaveLength(1);
    const [queue] = await database.sql("select _howdah_parked_until as until from howdah._private_job_queues");
    expect(Math.abs(Number(queue?.["until"]) - until2.getTime())).toBeLessThan(1_000);
    const [job] = await database.sql("select attempts, run_at from howdah._private_jobs");
    expect(job?.["attempts"]).toBe(0);
    expect(Math.abs(Number(job?.["run_at"]) - until2.getTime())).toBeLessThan(1_000);
    await worker.stop();
  }, 30_000);

  it("only puts the job off that has no queue, or one without rules", async () => {
    const { worker, client, started } = await startLimited(() => ({ after: "1h" }));
    await client.addJob("calls", "limited");
    await client.addJob("calls", "limited", { queueName: "serial" });
    await client.addJob("calls", "next", { queueName: "serial" });
    await worker.runOnce();
    expect(started.map(({ name }) => name).toSorted()).toEqual(["limited", "limited", "next"]);
    const parked = await database.sql("select from howdah._private_job_queues where _howdah_parked_until is not null");
    expect(parked).toEqual([]);
    await worker.stop();
  }, 30_000);
});
