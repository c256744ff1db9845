import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

const rows = async (): Promise<[string, number, string | null][]> =>
  (await database.sql("select payload, attempts, locked_by from howdah._private_jobs order by id")).map((row) => [
    row["payload"] as string,
    row["attempts"] as number,
    row["locked_by"] as string | null,
  ]);

const names = ["a", "b", "c", "d", "e"];

/** A worker with one slow handler at work and four more jobs in its local queue. */
async function startSlowWorker(ttl = 60) {
  const clock = createShiftedClock();
  const held = createHeldTask("work");
  const logger = createRecordingLogger();
  const worker = await createTestWorker(database, {
    tasks: [held.task],
    concurrency: 1,
    localQueue: { size: 5, ttl },
    logger,
    clock,
  });
  const modes = record(worker.hooks, "localQueueSetMode");
  const returns = record(worker.hooks, "localQueueReturnJobs");
  for (const name of names) await worker.client.addJob(held.task, name);
  const running = worker.run();
  await until(() => held.running.has("a"));
  return {
    clock,
    held,
    worker,
    modes,
    returns,
    logger,
    async end(): Promise<void> {
      held.openAll();
      await worker.stop();
      await running;
    },
  };
}

describe("jobs that wait too long for a slot", () => {
  it("go back with their attempt refunded, and another worker gets them", async () => {
    const { worker, held, modes, returns, end } = await startSlowWorker();
    await returns.reach();
    expect(returns.events).toEqual([{ workerId: worker.id, queue: 0, count: 4 }]);
    expect(modes.events.at(-1)).toMatchObject({ oldMode: "waiting", newMode: "ttlExpired" });
    await until(async () => (await rows()).filter(([, , lockedBy]) => lockedBy === null).length === 4);
    expect(await rows()).toEqual(names.map((name) => (name === "a" ? [name, 1, worker.id] : [name, 0, null])));

    const attempts: number[] = [];
    const elsewhere = createHeldTask("work", (_, { job }) => void attempts.push(job.attempts));
    elsewhere.openAll();
    await using other = await createTestWorker(database, { tasks: [elsewhere.task] });
    expect(await other.runOnce()).toMatchObject({ completed: 4, ended: "drained" });
    expect(elsewhere.started.toSorted()).toEqual(["b", "c", "d", "e"]);
    expect(attempts).toEqual([1, 1, 1, 1]);
    await end();
    expect(held.started).toEqual(["a"]);
  });

  it("are not fetched again before a slot asks, and then at once", async () => {
    const { held, modes, end } = await startSlowWorker();
    await until(() => modes.events.at(-1)?.newMode === "ttlExpired");
    await until(async () => (await rows()).filter(([, , lockedBy]) => lockedBy === null).length === 4);
    held.open("a");
    await until(() => held.running.has("b"));
    const changes = modes.events.map(({ newMode }) => newMode);
    expect(changes.slice(0, 5)).toEqual(["polling", "waiting", "ttlExpired", "polling", "waiting"]);
    await end();
  });

  it("go back as soon as possible when another transaction holds one of them", async () => {
    const { clock, returns, end } = await startSlowWorker(5_000);
    const session = await database.connect();
    await session.query("begin");
    await session.query("select from howdah._private_jobs where payload::text = '\"c\"' for update");
    clock.skip(5_000);
    await returns.reach();
    await until(async () => (await rows()).filter(([, , lockedBy]) => lockedBy === null).length === 3);
    expect((await rows()).find(([name]) => name === "c")?.[1]).toBe(1);
    await session.query("commit");
    await until(
      async () => (await rows()).filter(([, attempts, lockedBy]) => lockedBy === null && attempts === 0).length === 4,
    );
    await end();
  });
});
