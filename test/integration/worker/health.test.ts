import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { faultyDriver } from "../../../src/testing/faulty-driver.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import type { WorkerHealth } from "../../../src/worker/health.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { openProxy } from "../../harness/proxy.ts";
import { runCli } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const noop = defineTask({ identifier: "noop", run: (_payload: object) => undefined });
const RECOVERY = { heartbeatInterval: "200ms", sweepInterval: "200ms", sweepThreshold: "5m" } as const;

function checksOf({ reasons }: WorkerHealth): string[] {
  return reasons.map(({ check }) => check);
}

/** Waits until this is wrong with it. */
function wrong(worker: Worker, check: string): Promise<WorkerHealth> {
  return until(() => (checksOf(worker.health()).includes(check) ? worker.health() : undefined), {
    message: `${check} in ${JSON.stringify(worker.health())}`,
    deadlineMs: 30_000,
  });
}

/** Waits until nothing is wrong, but for what the machine of the test does. */
function well(worker: Worker): Promise<unknown> {
  return until(() => worker.health().reasons.every(({ check }) => check === "eventLoop"), { deadlineMs: 30_000 });
}

describe("a worker", () => {
  it("is ready while it runs, and neither before nor afterwards", async () => {
    const worker = await createTestWorker(database, { tasks: [noop] });
    expect(worker.health()).toMatchObject({ live: true, ready: false, reasons: [{ check: "worker" }] });
    const running = worker.run();
    await well(worker);
    expect(worker.health()).toMatchObject({ live: true, ready: true });
    const stopping = worker.stop();
    expect(worker.health()).toMatchObject({ live: true, ready: false });
    await Promise.all([stopping, running]);
    expect(worker.health()).toMatchObject({ live: true, ready: false, reasons: [{ message: "It has stopped." }] });
  });

  it("is not ready within three heartbeats of a lost database, stays live, and is ready again with it", async () => {
    await using proxy = await openProxy(database.connectionString);
    const connections = { driver: pgDriver({ connectionString: proxy.connectionString }) };
    const worker = await createTestWorker(database, { tasks: [noop], ...connections, recovery: RECOVERY });
    const running = worker.run();
    await well(worker);
    proxy.refuse();
    const seen: WorkerHealth[] = [];
    const away = await until(() => {
      const health = worker.health();
      seen.push(health);
      return checksOf(health).includes("database") ? health : undefined;
    });
    // By then the last answer was sent two intervals and a second ago, and claims have failed long since.
    expect(away).toMatchObject({ live: true, ready: false });
    expect(worker.metrics().heartbeatAgeMs).toBeGreaterThan(1_400);
    expect(seen.some((health) => !health.ready && checksOf(health).includes("claims"))).toBe(true);
    expect(seen.every(({ live }) => live)).toBe(true);
    proxy.allow();
    await well(worker);
    expect(worker.health().ready).toBe(true);
    await worker.stop();
    await running;
    await connections.driver.close();
  });

  it("is ready but degraded without a session to listen on, and runs jobs all the same", async () => {
    await using proxy = await openProxy(database.connectionString);
    const worker = await createTestWorker(database, {
      tasks: [noop],
      recovery: RECOVERY,
      pollInterval: "100ms",
      listenConnectionString: proxy.connectionString,
    });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await until(() => worker.metrics().isListening);
    proxy.refuse();
    const deaf = await wrong(worker, "listener");
    expect(deaf).toMatchObject({ live: true, ready: true });
    expect(worker.metrics().isListening).toBe(false);
    await worker.client.addJob(noop, {});
    await completed.reach(1);
    proxy.allow();
    await until(() => worker.metrics().isListening, { deadlineMs: 30_000 });
    await well(worker);
    await worker.stop();
    await running;
  });

  it("is not ready while its claims fail although heartbeats are answered", async () => {
    const driver = faultyDriver(database.driver);
    const worker = await createTestWorker(database, {
      tasks: [noop],
      driver,
      recovery: RECOVERY,
      pollInterval: "50ms",
    });
    const running = worker.run();
    await well(worker);
    driver.inject({ on: "claim", times: Number.POSITIVE_INFINITY, happens: { sqlState: "42501" } });
    const failing = await wrong(worker, "claims");
    expect(failing).toMatchObject({ live: true, ready: false });
    expect(failing.reasons[0]?.message).toMatch(/^The last \d+ claims have failed, since /);
    expect(checksOf(failing)).not.toContain("database");
    driver.heal();
    await well(worker);
    await worker.stop();
    await running;
  });
});

describe("a process whose event loop stands still", () => {
  it("answers no probe, is seen from outside, and says so afterwards", async () => {
    await using own = await createDatabase();
    const options = { connectionString: own.connectionString, recovery: RECOVERY, pollInterval: "100ms" };
    const script = new URL("../fixtures/health-worker.mjs", import.meta.url);
    await using worker = await startNode(script, { args: [JSON.stringify(options)] });
    const port = (await worker.line("port ")).slice("port ".length);
    const probe = (path: string, limitMs = 20_000): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/${path}`, { signal: AbortSignal.timeout(limitMs) });
    const ask = (...more: string[]) => runCli(["health", "--database-url", own.connectionString, ...more]);
    await until(async () => (await probe("ready")).status === 200);
    expect((await ask()).code).toBe(0);
    expect(await ask("--here", "--json")).toMatchObject({ code: 0, error: "" });

    await own.sql(`select howdah.add_job('block', '{"ms": 4000}')`);
    await worker.line("blocked");
    await expect(probe("live", 1_000)).rejects.toThrow(/timeout|aborted/i);
    const stuck = await until(async () => {
      const asked = await ask("--max-age", "1s");
      return asked.code === 1 ? asked : undefined;
    });
    expect(stuck).toEqual({ code: 1, out: "0 of 1 workers sent a heartbeat in the last 1.0 s.\n", error: "" });

    const live = await probe("live");
    expect(live.status).toBe(200);
    await until(async () => checksOf((await (await probe("ready")).json()) as WorkerHealth).includes("eventLoop"));
    await until(async () => (await ask("--max-age", "1s")).code === 0);
  });
});

describe("howdah health", () => {
  it("finds no worker where none is, and none of another host", async () => {
    await using own = await createDatabase();
    const ask = (...more: string[]) => runCli(["health", "--database-url", own.connectionString, ...more]);
    expect(await ask()).toMatchObject({ code: 1, out: "0 of 0 workers sent a heartbeat in the last 20 s.\n" });
    expect(JSON.parse((await ask("--json")).out)).toMatchObject({ healthy: false, alive: 0, registered: 0 });
    await own.sql(
      `insert into howdah._private_workers (id, metadata, started_at, last_heartbeat_at)
       values ('far', '{"host": "elsewhere"}', now(), now())`,
    );
    expect((await ask()).code).toBe(0);
    expect((await ask("--here")).code).toBe(1);
    expect((await ask("--max-age", "soon")).code).toBe(2);
  });
});
