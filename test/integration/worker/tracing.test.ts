import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { createClient } from "../../../src/client/create-client.ts";
import { rateLimited, snooze } from "../../../src/job/directive.ts";
import { type AnyTask, defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { openTelemetry, type OpenTelemetryOptions } from "../../../src/observe/opentelemetry.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = tracerProvider.getTracer("test");
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});

beforeEach(async () => {
  exporter.reset();
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  context.disable();
  await database.drop();
});

function tracedWorker(tasks: readonly AnyTask[], options: Partial<WorkerOptions> & OpenTelemetryOptions = {}) {
  const { relation = "link", ...rest } = options;
  return createTestWorker(database, { tasks, plugins: [openTelemetry({ tracerProvider, relation })], ...rest });
}

function spanOf(name: string): ReadableSpan {
  const found = exporter.getFinishedSpans().filter((span) => span.name === name);
  expect(found.map((span) => span.name)).toEqual([name]);
  return found[0] as ReadableSpan;
}

const seen: unknown[] = [];
const mail = defineTask({ identifier: "mail", run: (payload: object) => void seen.push(payload) });

describe("an add", () => {
  it("is a producer span within that of its caller, which the payload of its job carries (behaviours 14)", async () => {
    await using client = await createClient({
      driver: database.driver,
      migrate: false,
      logger: silentLogger,
      plugins: [openTelemetry({ tracerProvider })],
    });
    const job = await tracer.startActiveSpan("request", async (request) => {
      const added = await client.addJob("mail", { to: "x" }, { queueName: "q" });
      request.end();
      return added;
    });
    const [add, request] = [spanOf("add mail"), spanOf("request")];
    expect(add.kind).toBe(SpanKind.PRODUCER);
    expect(add.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    expect(add.attributes).toEqual({
      "messaging.system": "howdah",
      "db.system.name": "postgresql",
      "messaging.operation.name": "add",
      "messaging.operation.type": "send",
      "messaging.destination.name": "mail",
      "messaging.message.id": job.id,
      "howdah.method": "addJob",
      "howdah.queue_name": "q",
    });
    const { traceId, spanId } = add.spanContext();
    expect(job.payload).toEqual({ to: "x", _trace: { flags: 1, trace_id: traceId, span_id: spanId } });
  });

  it("of several jobs is one span, which all of them carry (behaviours 17)", async () => {
    await using worker = await tracedWorker([mail]);
    const jobs = await worker.client.addJobs([
      { task: mail, payload: {} },
      { identifier: "other", payload: [{}, 5] },
    ]);
    const add = spanOf("add");
    const { traceId, spanId } = add.spanContext();
    const _trace = { flags: 1, trace_id: traceId, span_id: spanId };
    expect(jobs.map(({ payload }) => payload)).toEqual([{ _trace }, [{ _trace }, 5]]);
    expect(add.attributes).toMatchObject({ "messaging.batch.message_count": 2, "howdah.method": "addJobs" });
  });

  it("of several jobs names their task if they share it (behaviours 18)", async () => {
    await using worker = await tracedWorker([mail]);
    await worker.client.addJobs([{ task: mail }, { task: mail }]);
    expect(spanOf("add mail").attributes).toMatchObject({ "messaging.destination.name": "mail" });
    await worker.client.addJobs([{ task: mail }, { identifier: "other" }]);
    expect(spanOf("add").attributes).not.toHaveProperty("messaging.destination.name");
  });

  it.each(["text", 5, null, true])("leaves the payload %o as it is (behaviours 16)", async (payload) => {
    await using worker = await tracedWorker([mail]);
    expect((await worker.client.addJob("mail", payload)).payload).toEqual(payload);
  });

  it("that fails is a failed span", async () => {
    const hooks = { beforeJobSchedule: () => ({ action: "fail", message: "quota" }) as const };
    const register = openTelemetry({ tracerProvider });
    await using worker = await tracedWorker([mail], {
      plugins: [
        register,
        { name: "quota", register: (given) => void given.on("beforeJobSchedule", hooks.beforeJobSchedule) },
      ],
    });
    await worker.client.addJob("mail").catch(() => undefined);
    const { status, attributes, events } = spanOf("add mail");
    expect(status).toMatchObject({ code: SpanStatusCode.ERROR, message: expect.stringContaining("quota") });
    expect(attributes).toMatchObject({ "error.type": "HOWDAH_JOB_REFUSED" });
    expect(events.map(({ name }) => name)).toEqual(["exception"]);
  });
});

describe("a run", () => {
  it("is a consumer span linked to the add, and the handler's spans are within it", async () => {
    const task = defineTask({
      identifier: "outer",
      async run(_payload: object, { client }) {
        tracer.startSpan("query").end();
        await client.addJob("inner");
      },
    });
    await using worker = await tracedWorker([task]);
    const { id } = await worker.client.addJob(task, {}, { queueName: "q" });
    await worker.runOnce();
    const [add, run] = [spanOf("add outer"), spanOf("run outer")];
    expect(run.kind).toBe(SpanKind.CONSUMER);
    expect(run.parentSpanContext).toBeUndefined();
    expect(run.links).toMatchObject([{ context: { spanId: add.spanContext().spanId, isRemote: true } }]);
    expect(run.attributes).toEqual({
      "messaging.system": "howdah",
      "db.system.name": "postgresql",
      "messaging.operation.name": "run",
      "messaging.operation.type": "process",
      "messaging.destination.name": "outer",
      "messaging.message.id": id,
      "howdah.queue_name": "q",
      "howdah.attempt": 1,
      "howdah.outcome": "completed",
    });
    expect(run.status.code).toBe(SpanStatusCode.UNSET);
    for (const name of ["query", "add inner"]) {
      expect(spanOf(name).parentSpanContext?.spanId).toBe(run.spanContext().spanId);
    }
  });

  it("continues the trace of the add when it is told to", async () => {
    await using worker = await tracedWorker([mail], { relation: "child" });
    await worker.client.addJob(mail, {});
    await worker.runOnce();
    const [add, run] = [spanOf("add mail"), spanOf("run mail")];
    expect(run.parentSpanContext?.spanId).toBe(add.spanContext().spanId);
    expect(run.spanContext().traceId).toBe(add.spanContext().traceId);
    expect(run.links).toEqual([]);
  });

  it("hands the payload over without the trace, to a schema that allows nothing else too", async () => {
    seen.length = 0;
    const item = z.strictObject({ n: z.number() });
    const strict = defineTask({ identifier: "strict", payload: item, run: (payload) => void seen.push(payload) });
    const batch = defineBatchTask({ identifier: "batch", item, runBatch: (items) => void seen.push(items) });
    await using worker = await tracedWorker([strict, batch]);
    await worker.client.addJob(strict, { n: 1 });
    await worker.client.addBatchJob(batch, [{ n: 1 }, { n: 2 }]);
    expect(await worker.runOnce()).toMatchObject({ completed: 2, failed: 0 });
    expect(seen).toEqual([{ n: 1 }, [{ n: 1 }, { n: 2 }]]);
    expect(spanOf("run batch").attributes).toMatchObject({ "messaging.batch.message_count": 2 });
    expect(spanOf("run batch").links).toHaveLength(1);
  });

  it("that fails has the error, each attempt a span of its own", async () => {
    const fails = defineTask({
      identifier: "fails",
      retry: { type: "fixed", delay: 0 },
      run: () => Promise.reject(new RangeError("too far")),
    });
    await using worker = await tracedWorker([fails]);
    await worker.client.addJob(fails, {}, { maxAttempts: 2 });
    await worker.runOnce();
    const runs = exporter.getFinishedSpans().filter(({ name }) => name === "run fails");
    expect(runs).toHaveLength(2);
    expect(new Set(runs.map((run) => run.spanContext().traceId)).size).toBe(2);
    expect(runs.map(({ attributes }) => attributes["howdah.attempt"])).toEqual([1, 2]);
    for (const { status, attributes, events } of runs) {
      expect(status).toEqual({ code: SpanStatusCode.ERROR, message: "too far" });
      expect(attributes).toMatchObject({ "error.type": "RangeError", "howdah.outcome": "failed" });
      expect(events[0]?.attributes).toMatchObject({ "exception.message": "too far" });
    }
  });

  it("that throws anything at all fails its job and nothing else", async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const hostile = Object.defineProperty(new Error("x"), "name", { get: () => expect.unreachable() });
    const thrown: unknown[] = [null, undefined, "text", proxy, hostile, { code: 5, stack: {} }];
    const fails = defineTask({
      identifier: "fails",
      run: ({ n }: { n: number }) => {
        throw thrown[n];
      },
    });
    await using worker = await tracedWorker([fails]);
    await worker.client.addJobs(thrown.map((_, n) => ({ task: fails, payload: { n } })));
    expect(await worker.runOnce()).toMatchObject({ failed: thrown.length });
    const runs = exporter.getFinishedSpans().filter(({ name }) => name === "run fails");
    expect(runs.map(({ status }) => status.code)).toEqual(thrown.map(() => SpanStatusCode.ERROR));
  });

  it("goes on when a span cannot be begun or ended", async () => {
    const fail = (): never => {
      throw new Error("exporter broken");
    };
    const endless = { ...tracer.startSpan("x"), spanContext: fail, setAttribute: fail, setStatus: fail, end: fail };
    for (const startSpan of [fail, () => endless]) {
      seen.length = 0;
      const broken = { getTracer: () => ({ startSpan }) } as unknown as typeof tracerProvider;
      await using worker = await createTestWorker(database, {
        tasks: [mail],
        plugins: [openTelemetry({ tracerProvider: broken })],
      });
      await worker.client.addJob(mail, { to: "x" });
      expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
      expect(seen).toEqual([{ to: "x" }]);
    }
  });

  it("that is snoozed is no error", async () => {
    const later = defineTask({ identifier: "later", run: () => snooze("1h") });
    await using worker = await tracedWorker([later]);
    await worker.client.addJob(later, {});
    await worker.runOnce();
    expect(spanOf("run later")).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { "howdah.outcome": "snoozed" },
    });
  });

  it("that throws rateLimited() is no error either", async () => {
    const limited = defineTask({
      identifier: "limited",
      run() {
        throw rateLimited({ after: "1h" });
      },
    });
    await using worker = await tracedWorker([limited]);
    await worker.client.addJob(limited, {});
    await worker.runOnce();
    expect(spanOf("run limited")).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { "howdah.outcome": "snoozed" },
    });
  });

  it("ends when its attempt does, although the handler never settles", async () => {
    const hangs = defineTask({ identifier: "hangs", timeout: 20, run: () => new Promise<void>(() => undefined) });
    await using worker = await tracedWorker([hangs], { shutdown: { gracePeriod: 1, abortPeriod: 10 } });
    await worker.client.addJob(hangs, {}, { maxAttempts: 1 });
    await worker.runOnce();
    expect(spanOf("run hangs").attributes).toMatchObject({ "howdah.outcome": "abandoned" });
  });

  it("that another hook skips has no span", async () => {
    const skips = { beforeJobRun: () => ({ action: "skip" }) as const };
    await using worker = await tracedWorker([mail], { hooks: skips });
    await worker.client.addJob(mail, {});
    await worker.runOnce();
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["add mail"]);
  });

  it("takes no harm from a payload that claims to carry a trace", async () => {
    seen.length = 0;
    await using worker = await tracedWorker([mail]);
    const payload = `{"_trace": {"trace_id": "<script>", "span_id": [], "flags": "x"}}`;
    await database.sql("select howdah.add_job('mail', $1::json)", [payload]);
    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
    expect(spanOf("run mail").links).toEqual([]);
    expect(seen).toEqual([{}]);
  });
});

describe("without a tracer", () => {
  it("no payload is touched, with the plugin or without", async () => {
    seen.length = 0;
    expect(trace.getTracerProvider().getTracer("x").startSpan("y").isRecording()).toBe(false);
    for (const plugins of [[], [openTelemetry()]]) {
      await using worker = await createTestWorker(database, { tasks: [mail], plugins });
      expect((await worker.client.addJob(mail, { to: "x" })).payload).toEqual({ to: "x" });
      await worker.runOnce();
    }
    expect(seen).toEqual([{ to: "x" }, { to: "x" }]);
  });

  it("options are checked", () => {
    expect(() => openTelemetry({ relation: "parent" as never })).toThrow('must be one of "link", "child"');
  });
});
