import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules } from "../../harness/shape-queues.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

// Whose jobs start while several tenants have more than there are slots.
const database = await createDatabase();
const client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyRules(database));

interface Turn {
  readonly tenant: string;
}

const started: string[] = [];
const task = defineTask({
  identifier: "turn",
  async run({ tenant }: Turn) {
    started.push(tenant);
    await systemClock.sleep(4);
  },
});

/** A backlog that outlasts the test. */
const addFor = (tenant: string, count: number) =>
  client.addJobs(
    Array.from({ length: count }, () => ({ task, payload: { tenant }, spec: { queueName: `tenant:${tenant}` } })),
    { returning: "ids" },
  );

const startWorker = async () => {
  const worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
  const running = worker.run();
  return { stop: async () => (await worker.stop(), await running) };
};

/** Which part of the starts from one place on each tenant had. */
function partsOf(tenants: readonly string[], from: number, to = started.length): Record<string, number> {
  const part = started.slice(from, to);
  return Object.fromEntries(
    tenants.map((tenant) => [tenant, part.filter((one) => one === tenant).length / part.length]),
  );
}

describe("tenants with backlogs", () => {
  it("start as their shares say over ten seconds, also while workers start again, and a newcomer has its part at once", async () => {
    started.length = 0;
    await client.setQueueRules("tenant:*", { concurrency: 8 });
    await client.setQueueRules("tenant:double", { concurrency: 8, share: 2 });
    // The oldest backlog is the largest.
    for (const tenant of ["old", "double", "third"]) await addFor(tenant, tenant === "old" ? 20_000 : 12_000);
    const workers = [await startWorker(), await startWorker()];
    const endsAt = systemClock.monotonic() + 10_000;
    for (let turn = 0; systemClock.monotonic() < endsAt - 4_000; turn += 1) {
      await systemClock.sleep(1_500);
      const [earlier] = workers.splice(0, 1);
      await earlier?.stop();
      workers.push(await startWorker());
    }
    const before = started.length;
    const parts = partsOf(["old", "double", "third"], 0);
    // Of a claim for several slots each gets one before any gets two, so a share of two is a little less.
    for (const tenant of ["old", "third"]) {
      expect(parts[tenant]).toBeGreaterThan(0.19);
      expect(parts[tenant]).toBeLessThan(0.34);
    }
    expect(parts["double"]).toBeGreaterThan(0.36);
    expect(parts["double"]).toBeLessThan(0.55);
    await addFor("new", 2_000);
    await until(() => started.slice(before).filter((tenant) => tenant === "new").length >= 20);
    const arrived = started.indexOf("new");
    await systemClock.sleep(Math.max(0, endsAt - systemClock.monotonic()));
    const after = partsOf(["old", "double", "third", "new"], arrived);
    expect(after["new"]).toBeGreaterThan(0.14);
    expect(after["new"]).toBeLessThan(0.3);
    // It does not catch up on what it never asked for.
    const first = started.slice(arrived, arrived + 40).filter((tenant) => tenant === "new").length;
    expect(first).toBeLessThan(20);
    for (const worker of workers) await worker.stop();
  }, 60_000);
});

describe("a full pool of ten thousand waiting queues", () => {
  it("costs no claim that finds nothing, holds up no queue beside it, and goes on when it has room", async () => {
    started.length = 0;
    await client.setQueuePool("all", { concurrency: 2 });
    await client.setQueueRules("tenant:*", { concurrency: 2, pool: "all" });
    const tenants = Array.from({ length: 10_000 }, (_, n) => `${n}`);
    await client.addJobs(
      tenants.map((tenant) => ({ task, payload: { tenant }, spec: { queueName: `tenant:${tenant}` } })),
      { returning: "ids" },
    );
    // Someone has both of its places.
    await database.sql("update howdah._howdah_lanes set locked_at = now(), locked_by = 'other' where owner_id < 0");
    // The younger ones: all of the pool would come before them.
    const free = Array.from({ length: 50 }, (_, n) => `free ${n}`);
    await client.addJobs(
      free.map((tenant) => ({ task, payload: { tenant }, spec: { queueName: tenant } })),
      { returning: "ids" },
    );
    const worker = await createTestWorker(database, { tasks: [task], concurrency: 8, recovery: false });
    const claims: number[] = [];
    worker.hooks.on("claimEnd", ({ jobCount }) => void claims.push(jobCount));
    const running = worker.run();
    await until(() => started.length >= 50, { deadlineMs: 20_000 });
    expect(started.slice(0, 50).every((tenant) => tenant.startsWith("free"))).toBe(true);
    const untilDone = claims.length;
    // Fifty jobs over eight slots; a few more look for the beginning of their windows.
    expect(untilDone).toBeLessThan(60);
    const emptyHanded = claims.filter((count) => count === 0).length;
    expect(emptyHanded).toBeLessThan(25);
    const before = claims.length;
    await systemClock.sleep(2_000);
    // At rest it polls, and goes through the windows of ten thousand queues.
    expect(claims.length - before).toBeLessThan(120);
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null where owner_id < 0");
    await until(() => started.length >= 150, { deadlineMs: 20_000 });
    await worker.stop();
    await running;
  }, 90_000);
});
