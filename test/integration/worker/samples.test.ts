import { afterAll, afterEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { openProxy } from "../../harness/proxy.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase({ schema: `Odd "name's` });
const client = clientOver({ ...database, logger: silentLogger });
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
afterAll(() => database.drop());

/** A worker that takes samples, as workers do by default, and runs. */
async function start(options: Partial<WorkerOptions>): Promise<Worker> {
  const tasks = [defineTask({ identifier: "quick", run() {} })];
  const worker = await createTestWorker(database, { samples: true, tasks, ...options });
  const running = worker.run();
  stops.push(async () => {
    await worker.stop();
    await running;
  });
  return worker;
}

describe("a worker that takes samples", () => {
  it("lets one be taken of what all do, and adds what its handlers did", async () => {
    const clock = createShiftedClock();
    const held = createHeldTask("held");
    const worker = await start({ clock, tasks: [held.task, defineTask({ identifier: "quick", run() {} })] });
    await client.addJob("held", "a");
    await client.addJob("quick");
    await client.addJob("other");
    await until(() => held.started.length === 1 && worker.metrics().running === 1);
    await until(async () => {
      clock.skip(2_000);
      return (await client.listSamples()).some(({ running }) => running === 1);
    });
    const sample = (await client.listSamples()).at(-1);
    expect(sample).toMatchObject({ running: 1, ready: 1, workers: 1, busy: 1, slots: 2 });
    await until(async () => {
      clock.skip(2_000);
      return (await client.listTaskSamples()).some(({ task }) => task === "quick");
    });
    const stopping = worker.stop();
    await systemClock.sleep(100);
    held.openAll();
    await stopping;
    // The last count is given up after a second, so on a busy machine the job that ended with the worker may be missing.
    const found = await client.listTaskSamples();
    const counted = found.map(({ task, completed }) => [task, completed]);
    expect(counted).toContainEqual(["quick", 1]);
    expect(found.find(({ task }) => task === "quick")?.waitP95Ms).toBeGreaterThan(0);
    expect([[], [["held", 1]]]).toContainEqual(counted.filter(([task]) => task !== "quick"));
  });

  it("is not kept from heartbeats, jobs and its end by a sample that takes long", async () => {
    await using proxy = await openProxy(database.connectionString);
    const clock = createShiftedClock();
    const ran: unknown[] = [];
    const quick = defineTask({ identifier: "quick", run: (payload: unknown) => void ran.push(payload) });
    const recovery = { ...PATIENT_RECOVERY, heartbeatInterval: "200ms" } as const;
    const worker = await start({ clock, recovery, tasks: [quick], connectionString: proxy.connectionString });
    await until(() => worker.metrics().heartbeatAgeMs !== null);
    const sample = proxy.next("_howdah_sample_v1", "before");
    clock.skip(9_900);
    const caught = await sample;
    await client.addJob("quick", 1);
    await until(() => ran.length === 1);
    const beats = () => proxy.statements.filter((text) => text.includes("last_heartbeat_at =")).length;
    const before = beats();
    await until(() => beats() > before + 2);
    expect(worker.metrics().heartbeatAgeMs).toBeLessThan(2_000);
    const since = systemClock.monotonic();
    await worker.stop();
    // It would take the statement five seconds to be given up by itself.
    expect(systemClock.monotonic() - since).toBeLessThan(4_000);
    caught.cut();
  });

  it("sends few statements while it waits for jobs", async () => {
    await using proxy = await openProxy(database.connectionString);
    const clock = createShiftedClock();
    await start({ clock, connectionString: proxy.connectionString });
    await until(() => proxy.statements.some((text) => text.includes("_howdah_workers_v1")));
    const before = proxy.statements.length;
    const startedAt = clock.monotonic();
    for (let second = 0; second < 60; second += 1) {
      clock.skip(1_000);
      await systemClock.sleep(60);
    }
    const sent = proxy.statements.slice(before);
    // A busy machine takes longer than it is put forward.
    const seconds = (clock.monotonic() - startedAt) / 1_000;
    const claims = sent.filter((text) => text.includes("_howdah_claim_v2")).length;
    const beats = sent.filter((text) => text.includes("last_heartbeat_at =")).length;
    const samples = sent.filter((text) => text.includes("_howdah_sample_v1")).length;
    // It polls each second, and beats every four. The database's clock was not put forward: it is asked more often.
    expect(claims).toBeLessThanOrEqual(seconds + 2);
    expect(beats).toBeLessThanOrEqual(seconds / 4 + 3);
    expect(samples).toBeGreaterThan(0);
    expect(samples).toBeLessThanOrEqual(seconds / 2);
    // What is said once after a start, and once a minute.
    expect(sent.length - claims - beats - samples).toBeLessThan(seconds / 2);
    expect(sent.filter((text) => text.includes("_howdah_task_samples"))).toEqual([]);
  });
});
