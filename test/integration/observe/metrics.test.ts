import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import type { Plugin } from "../../../src/hooks/plugin.ts";
import { cancel, snooze } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import { METRIC_NAMES, metricOf } from "../../../src/observe/metric-set.ts";
import { openTelemetryMetrics } from "../../../src/observe/opentelemetry.ts";
import { prometheus, type PrometheusPlugin } from "../../../src/observe/prometheus.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { faultyDriver } from "../../../src/testing/faulty-driver.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { parsePrometheusText, type Scrape } from "../../harness/prometheus-text.ts";
import { FAST_RECOVERY, startWorkerProcess } from "../../harness/recovery.ts";
import { runCli } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

async function scrape({ registry }: PrometheusPlugin): Promise<Scrape> {
  return parsePrometheusText(await registry.metrics());
}

/** Ends as its payload says. */
const end = defineTask({
  identifier: "end",
  run({ as }: { as: string }) {
    if (as === "snoozed") return snooze("1h");
    if (as === "cancelled") return cancel("not needed");
    if (as === "failed") throw new Error("no");
    return undefined;
  },
});
const mail = defineTask({ identifier: "mail", run: (_payload: object) => undefined });

/** Six jobs of `end` that end in five ways, and three of `mail`, of which one waits for 60 seconds already. */
async function runEachWay<T>(plugins: readonly Plugin[], look?: () => Promise<T>): Promise<T | undefined> {
  await database.sql("truncate howdah._private_jobs");
  await using client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger, plugins });
  await using worker = await createTestWorker(database, { tasks: [end, mail], plugins });
  for (const as of ["completed", "snoozed", "cancelled"]) await client.addJob(end, { as });
  await client.addJobs([
    { task: end, payload: { as: "failed" } },
    { task: end, payload: { as: "failed" }, spec: { maxAttempts: 1 } },
    { task: mail, payload: {}, spec: { queueName: "secret-queue", jobKey: "secret-key" } },
    { task: mail, payload: {} },
  ]);
  await client.addJob(mail, {});
  await database.sql(
    `update howdah._private_jobs set run_at = now() - interval '60 s', created_at = now() - interval '60 s'
     where id = (select max(id) from howdah._private_jobs)`,
  );
  await worker.runOnce();
  return look?.();
}

describe("metrics of a run", () => {
  it("count and measure what happened to the jobs, the same for Prometheus and OpenTelemetry", async () => {
    const plugin = prometheus({ backlog: false });
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    await runEachWay([plugin, openTelemetryMetrics({ meterProvider, backlog: false })]);

    const scraped = await scrape(plugin);
    const finished = scraped.samples.filter(({ name }) => name === "howdah_jobs_finished_total");
    expect(finished.map(({ labels, value }) => `${labels["task"]} ${labels["outcome"]} ${value}`).sort()).toEqual([
      "end cancelled 1",
      "end completed 1",
      "end failed 1",
      "end retried 1",
      "end snoozed 1",
      "mail completed 3",
    ]);
    expect(scraped.by("howdah_jobs_added_total", "task")).toEqual({ end: 5, mail: 3 });
    expect(scraped.by("howdah_job_wait_seconds_count", "task")).toEqual({ end: 5, mail: 3 });
    expect(scraped.by("howdah_job_attempts_count", "task")).toEqual({ end: 3, mail: 3 });
    expect(scraped.value("howdah_job_run_seconds_count", { task: "end", result: "ok" })).toBe(2);
    expect(scraped.value("howdah_job_run_seconds_count", { task: "end", result: "error" })).toBe(3);
    // One of the three waited for a minute, and no other for half of one.
    expect(scraped.value("howdah_job_wait_seconds_bucket", { task: "mail", le: "30" })).toBe(2);
    expect(scraped.value("howdah_job_wait_seconds_bucket", { task: "mail", le: "300" })).toBe(3);
    expect(scraped.value("howdah_job_wait_seconds_bucket", { task: "end", le: "30" })).toBe(5);
    expect(scraped.value("howdah_claims_total", { result: "jobs" })).toBeGreaterThan(0);
    expect(scraped.value("howdah_workers_recovered_total")).toBe(0);
    // It has stopped.
    expect(scraped.value("howdah_slots")).toBeUndefined();

    await reader.forceFlush();
    const measured =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
    const otel = new Map(measured.map((metric) => [metric.descriptor.name, metric]));
    for (const name of METRIC_NAMES) {
      const { type, otel: otelName, buckets } = metricOf(name);
      if (type === "gauge") continue;
      const shown = scraped.samples.filter((sample) => sample.name === (type === "counter" ? name : `${name}_count`));
      const points = otel.get(otelName)?.dataPoints ?? [];
      const counts = points.map(({ value }) => (typeof value === "number" ? value : value.count));
      const sorted = (values: readonly number[]) => values.filter((value) => value > 0).sort((a, b) => a - b);
      expect([name, ...sorted(counts)]).toEqual([name, ...sorted(shown.map(({ value }) => value))]);
      for (const { value } of points)
        if (typeof value === "object") expect(Object(value).buckets.boundaries).toEqual(buckets);
    }
    expect(otel.get("messaging.process.duration")?.dataPoints.map(({ attributes }) => attributes)).toContainEqual({
      "messaging.system": "howdah",
      "messaging.operation.name": "run",
      "messaging.operation.type": "process",
      "messaging.destination.name": "mail",
      "howdah.result": "ok",
    });
    await meterProvider.shutdown();
  });

  it("never show queues, keys, ids or messages", async () => {
    const plugin = prometheus();
    const text = (await runEachWay([plugin], () => plugin.registry.metrics())) ?? "";
    expect(text).not.toMatch(/secret|not needed/);
    const labels = new Set(parsePrometheusText(text).samples.flatMap((sample) => Object.keys(sample.labels)));
    expect([...labels].sort()).toEqual(["kind", "le", "outcome", "result", "state", "task"]);
  });

  it("are shown in a registry of the application, also as OpenMetrics, once", async () => {
    const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    registry.setDefaultLabels({ app: "shop" });
    const plugin = prometheus({ registry, backlog: false });
    await runEachWay([plugin]);
    const text = await registry.metrics();
    expect(text).toContain('howdah_jobs_finished_total{task="mail",outcome="completed",app="shop"} 3\n');
    expect(text).toContain('howdah_job_run_seconds_count{task="mail",result="ok",app="shop"} 3\n');
    expect(text.endsWith("# EOF\n")).toBe(true);
    expect(() => prometheus({ registry })).toThrow("already been registered");
  });
});

describe("gauges", () => {
  it("show what the running workers of the process do, and what is in the table", async () => {
    await using own = await createDatabase();
    const plugin = prometheus();
    const gate = createGate();
    const wait = defineTask({ identifier: "wait", run: () => gate.opened });
    const workers = await Promise.all(
      [2, 3].map((concurrency) => createTestWorker(own, { tasks: [wait], concurrency, plugins: [plugin] })),
    );
    const started = workers.map(({ hooks }) => record(hooks, "jobStart"));
    const running = workers.map((worker) => worker.run());
    await until(() => workers.every((worker) => worker.metrics().isListening));
    const [first] = workers;
    await first?.client.addJobs(Array.from({ length: 7 }, () => ({ task: wait, payload: {} })));
    await first?.client.addJob("wait", {}, { runIn: "1h" });
    await until(() => started.flatMap(({ events }) => events).length === 5);

    const scraped = await scrape(plugin);
    expect(scraped.value("howdah_slots")).toBe(5);
    expect(scraped.value("howdah_slots_busy")).toBe(5);
    expect(scraped.value("howdah_listener_up")).toBe(1);
    expect(scraped.value("howdah_heartbeat_age_seconds")).toBeLessThan(30);
    expect(scraped.value("howdah_full_scan_age_seconds")).toBeLessThan(30);
    expect(scraped.by("howdah_queue_jobs", "state")).toEqual({ ready: 2, scheduled: 1, running: 5, failed: 0 });
    expect(scraped.value("howdah_task_jobs", { task: "wait", state: "running" })).toBe(5);
    expect(scraped.value("howdah_oldest_due_seconds", { kind: "plain" })).toBeGreaterThan(0);
    expect(scraped.value("howdah_oldest_due_seconds", { kind: "queued" })).toBe(0);
    expect(scraped.value("howdah_backlog_age_seconds")).toBeLessThan(30);
    const settled = workers.map(({ hooks }) => record(hooks, "jobSettle"));
    gate.open();
    await until(() => settled.flatMap(({ events }) => events).length === 7);
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(running);
    const after = await scrape(plugin);
    expect(after.value("howdah_slots")).toBeUndefined();
    expect(after.by("howdah_jobs_finished_total", "outcome")).toEqual({ completed: 7 });
  });

  it("are there without a database that answers, but for its own", async () => {
    const driver = faultyDriver(database.driver);
    const plugin = prometheus();
    await using client = await createClient({ driver, migrate: false, logger: silentLogger, plugins: [plugin] });
    driver.inject({ times: Infinity, happens: "slow", delay: "2s" });
    const scraped = await scrape(plugin);
    expect(scraped.value("howdah_claims_total")).toBeUndefined();
    expect(scraped.value("howdah_backlog_age_seconds")).toBeUndefined();
    expect(scraped.types.get("howdah_queue_jobs")).toBe("gauge");
    driver.heal();
    await client.close();
  });
});

describe("counters of what goes wrong", () => {
  it("count the jobs of a killed process once recovered, and once more as completed", async () => {
    await using own = await createDatabase();
    const plugin = prometheus({ backlog: false });
    await using dying = await startWorkerProcess(own, { taskNames: ["hold"], concurrency: 3, recovery: FAST_RECOVERY });
    const hold = defineTask({ identifier: "hold", run: (_payload: object) => undefined });
    await using client = await createClient({
      driver: own.driver,
      migrate: false,
      logger: silentLogger,
      plugins: [plugin],
    });
    await client.addJobs(Array.from({ length: 3 }, () => ({ task: hold, payload: {} })));
    await until(() => dying.told("job").length === 3);
    dying.kill();
    await dying.ended;
    await using worker = await createTestWorker(own, { tasks: [hold], plugins: [plugin], recovery: FAST_RECOVERY });
    const running = worker.run();
    const finished = record(worker.hooks, "jobSettle");
    await finished.reach(3);
    await worker.stop();
    await running;
    const scraped = await scrape(plugin);
    expect(scraped.value("howdah_workers_recovered_total")).toBe(1);
    expect(scraped.value("howdah_jobs_recovered_total")).toBe(3);
    expect(scraped.by("howdah_jobs_finished_total", "outcome")).toEqual({ completed: 3 });
    expect(scraped.by("howdah_jobs_added_total", "task")).toEqual({ hold: 3 });
  });

  it("count what a worker has lost, and what a shutdown interrupts", async () => {
    await using own = await createDatabase();
    const plugin = prometheus({ backlog: false });
    const gate = createGate();
    const tasks = [
      defineTask({ identifier: "lose", run: () => gate.opened }),
      defineTask({
        identifier: "stop",
        run: (_payload, { signal }) =>
          new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
      }),
    ];
    const worker = await createTestWorker(own, { tasks, plugins: [plugin], shutdown: { gracePeriod: "10ms" } });
    const started = record(worker.hooks, "jobStart");
    const settled = record(worker.hooks, "jobSettle");
    const running = worker.run();
    await worker.client.addJob("lose", {}, { maxAttempts: 1 });
    await started.reach(1);
    // Another worker has it now, under another id.
    await own.sql("update howdah._private_jobs set locked_by = 'another', locked_at = now()");
    gate.open();
    expect((await settled.reach(1)).outcome).toBe("lost");
    await own.sql("delete from howdah._private_jobs");
    await worker.client.addJob("stop", {});
    await started.reach(2);
    await worker.stop();
    await running;
    const scraped = await scrape(plugin);
    expect(scraped.value("howdah_jobs_finished_total", { task: "lose", outcome: "lost" })).toBe(1);
    expect(scraped.value("howdah_jobs_finished_total", { task: "stop", outcome: "interrupted" })).toBe(1);
    expect(settled.events).toHaveLength(2);
  });

  it("count claims that fail", async () => {
    const driver = faultyDriver(database.driver);
    const plugin = prometheus({ backlog: false });
    await database.sql("truncate howdah._private_jobs");
    const worker = await createTestWorker(database, { tasks: [mail], driver, plugins: [plugin], pollInterval: "50ms" });
    driver.inject({ on: "claim", times: 3, happens: { sqlState: "57014" } });
    const claims = record(worker.hooks, "claimEnd");
    const running = worker.run();
    await until(
      () => claims.events.filter(({ error }) => error).length === 3 && claims.events.at(-1)?.error === undefined,
    );
    await worker.stop();
    await running;
    const scraped = await scrape(plugin);
    expect(scraped.value("howdah_claims_total", { result: "error" })).toBe(3);
    expect(scraped.value("howdah_claims_total", { result: "empty" })).toBeGreaterThan(0);
    expect(scraped.value("howdah_claim_seconds_count")).toBe(claims.events.length);
    expect(scraped.value("howdah_worker_errors_total")).toBeGreaterThan(0);
  });
});

it("subscribes to nothing without a plugin", async () => {
  await using worker = await createTestWorker(database, { tasks: [mail] });
  const { has } = worker.hooks as unknown as { has(name: string): boolean };
  for (const name of ["jobAdd", "jobStart", "jobSettle", "claimEnd", "beforeJobSchedule"]) {
    expect(has.call(worker.hooks, name)).toBe(false);
  }
});

describe("howdah metrics", () => {
  it("prints what is in the table, as metrics and as JSON", async () => {
    await using own = await createDatabase();
    await own.sql(
      `select howdah.add_job('a "quoted"\\task', run_at => now() - interval '2 minutes'), howdah.add_job('b'),
         howdah.add_job('b', queue_name => 'q', run_at => now() - interval '1 hour')`,
    );
    await own.sql("update howdah._private_jobs set created_at = run_at");
    const call = ["metrics", "--once", "--database-url", own.connectionString];
    const { code, out, error } = await runCli(call);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    const scraped = parsePrometheusText(out);
    expect(scraped.by("howdah_queue_jobs", "state")).toEqual({ ready: 3, scheduled: 0, running: 0, failed: 0 });
    expect(scraped.value("howdah_task_jobs", { task: 'a "quoted"\\task', state: "ready" })).toBe(1);
    const { plain = 0, queued = 0 } = scraped.by("howdah_oldest_due_seconds", "kind");
    expect([Math.floor(plain / 60), Math.floor(queued / 60)]).toEqual([2, 60]);
    const json = JSON.parse((await runCli([...call, "--json"])).out) as { oldestDue: unknown; tasks: unknown[] };
    expect(json.tasks).toHaveLength(2);
    expect(json.oldestDue).toEqual({ plainMs: expect.any(Number), queuedMs: expect.any(Number) });
  });

  it("finds the oldest due job behind those that run, in each priority, and none that is locked, later or failed", async () => {
    await using own = await createDatabase();
    await using client = await createClient({ driver: own.driver, migrate: false, logger: silentLogger });
    const ages = async () => {
      const { plainMs, queuedMs } = (await client.backlog()).oldestDue;
      return [plainMs, queuedMs].map((ms) => (ms === null ? null : Math.round(ms / 60_000)));
    };
    expect(await ages()).toEqual([null, null]);
    await own.sql(
      `select howdah.add_job('t', run_at => now() - interval '1 minute' * age, priority => age % 3,
         queue_name => case when age % 2 = 0 then 'q' || age end) from generate_series(1, 12) as age`,
    );
    await own.sql("select howdah.add_job('t', run_at => now() + interval '1 hour')");
    await own.sql("update howdah._private_jobs set created_at = least(created_at, run_at)");
    expect(await ages()).toEqual([11, 12]);
    await own.sql(
      "update howdah._private_jobs set locked_at = now(), locked_by = 'w' where run_at < now() - interval '9.5 minutes'",
    );
    expect(await ages()).toEqual([9, 8]);
    await own.sql(
      "update howdah._private_jobs set attempts = max_attempts where run_at < now() - interval '7.5 minutes'",
    );
    expect(await ages()).toEqual([7, 6]);
    // One that was added with a time in the past has waited since it was added.
    await own.sql("update howdah._private_jobs set created_at = now() - interval '3 minutes'");
    expect(await ages()).toEqual([3, 3]);
  });
});
