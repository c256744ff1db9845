import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import { type Route, type RouteName, ROUTES } from "../../../src/admin/contract/routes.ts";
import { Problem } from "../../../src/admin/contract/component.ts";
import { createTestAdmin, type Answer, type Asked, type TestAdmin } from "../../harness/admin.ts";
import { createTestWorker } from "../../harness/worker.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { defineTask } from "../../../src/job/task.ts";

let admin: TestAdmin;
const called = new Set<string>();

beforeAll(async () => {
  admin = await createTestAdmin({
    environment: { name: "test", colour: "#aa0000" },
    traceUrl: "https://traces.test/{traceId}",
  });
});
afterAll(() => admin[Symbol.asyncDispose]());

/** Calls a route, and checks its answer by the schema that the description is made of. */
async function call(name: RouteName, path: string, request?: Asked): Promise<Answer> {
  const route: Route = ROUTES[name];
  called.add(name);
  const answer = await admin.ask(`/api/v1${path}`, { ...(route.method === "POST" ? { body: {} } : {}), ...request });
  expect(answer.json).not.toHaveProperty("detail");
  expect(answer.status).toBe(route.status ?? 200);
  exactly(route.response, answer.json);
  return answer;
}

function exactly(schema: z.ZodType, value: unknown): void {
  const read = schema.safeParse(value);
  expect(read.error?.issues ?? []).toEqual([]);
  expect(read.data).toEqual(value);
}

const add = async (task: string, payload: object = {}, spec = {}): Promise<string> =>
  (await admin.client.addJob(task, payload, spec)).id;

describe("every route", () => {
  it("answers what its schema says", async () => {
    const { client } = admin;
    const id = await add(
      "mail",
      { to: "ada", _trace: { trace_id: "a".repeat(32), span_id: "b".repeat(16), flags: 1 } },
      { queueName: "box", jobKey: "k" },
    );
    const failed = await add("mail", { n: 1 }, { maxAttempts: 1 });
    await client.permanentlyFailJobs([failed], "Error: no\n    at there");
    await client.schedules.upsert({ id: "nightly", task: "mail", schedule: "0 4 * * *", payload: { a: 1 } });
    const worker = await createTestWorker(admin.database, {
      tasks: [defineTask({ identifier: "other", run: () => undefined })],
      concurrency: 2,
    });
    const running = worker.run();
    await expect.poll(async () => (await client.listActiveWorkers()).length).toBe(1);

    const session = await call("session", "/session");
    expect(session.json).toMatchObject({
      name: "root",
      role: "admin",
      environment: { name: "test", colour: "#aa0000" },
    });
    const overview = await call("overview", "/overview");
    expect(overview.json["counts"].failed.value).toBe(1);
    await call("samples", "/samples?resolution=1m&limit=10&top=3");
    const list = await call("listJobs", "/jobs?state=failed");
    expect(list.json["jobs"]).toMatchObject([{ id: failed, error: "Error: no" }]);
    const job = await call("getJob", `/jobs/${id}`);
    expect(job.json["job"]).toMatchObject({ traceUrl: `https://traces.test/${"a".repeat(32)}`, jobKey: "k" });
    const why = await call("explainJob", `/jobs/${id}/why`);
    expect(why.json["reasons"][0].code).toBe("task_unknown");
    const notes = await call("jobNotes", `/jobs/${failed}/notes`);
    expect(notes.json).toMatchObject({ attempts: [], progress: null, lines: [] });
    await admin.database.sql(`insert into howdah._howdah_history
      (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at, payload, result, error)
      values (7, now(), 4711, 'mail', 'c', 1, 25, 0, now(), now(), '{"to":"ada"}', '9007199254740993', E'odd\\n more')`);
    await admin.database.sql(
      "insert into howdah._howdah_attempts (job_id, at, attempt, worker, error, stack) values (4711, now(), 1, 'w', 'no', E'no\\n  at x')",
    );
    const history = await call("history", "/history?task=mail&limit=10");
    expect(history.json["jobs"]).toMatchObject([{ id: "4711", state: "completed", error: "odd" }]);
    const finished = await call("getFinishedJob", "/history/4711");
    expect(finished.json["job"]).toMatchObject({
      payload: { text: '{"to":"ada"}' },
      result: { text: "9007199254740993" },
      lastError: "odd\n more",
    });
    expect((await call("jobNotes", "/jobs/4711/notes")).json["attempts"]).toMatchObject([
      { attempt: 1, stack: "no\n  at x" },
    ]);
    const errors = await call("errors", "/errors?task=mail");
    expect(errors.json["errors"]).toMatchObject([{ message: "Error: no", tasks: ["mail"] }]);
    await call("listQueues", "/queues?hasJobs=true&limit=5");
    const queue = await call("getQueue", "/queues/box");
    expect(queue.json["jobs"]).toHaveLength(1);
    const lock = await call("getLock", "/queues/box/lock");
    expect(lock.json).toMatchObject({ state: "free", sentence: "Free: its next job can start." });
    const tasks = await call("listTasks", "/tasks");
    expect(tasks.json["tasks"].map(({ name }: { name: string }) => name)).toEqual(["mail", "other"]);
    await call("getTask", "/tasks/mail");
    await call("getTaskSchema", "/tasks/mail/schema");
    const workers = await call("listWorkers", "/workers");
    await call("getWorker", `/workers/${encodeURIComponent(workers.json["workers"][0].id)}`);
    const schedules = await call("listSchedules", "/schedules");
    expect(schedules.json["schedules"][0].nextTicks).toHaveLength(3);
    await call("doctor", "/doctor");

    const added = await call("addJob", "/jobs", {
      body: { task: "mail", payload: '{"n":2}', priority: 3, runIn: "5m" },
    });
    expect(await client.getJob(added.json["id"])).toMatchObject({ payload: { n: 2 }, priority: 3, state: "scheduled" });
    const changed = await call("changeJobs", "/jobs/actions", {
      body: { action: "cancel", ids: [added.json["id"], "999999"] },
    });
    const { id: addedId } = added.json;
    expect(changed.json).toEqual({ changed: [addedId], signalled: [], untouched: ["999999"], undo: null });
    const preview = await call("preview", "/jobs/preview", { body: { action: "retry", filter: { task: "mail" } } });
    expect(preview.json).toMatchObject({
      sentence: "Retry 1 job of 1 task",
      confirm: null,
      untouched: [{ count: { value: 1 } }],
    });
    const begun = await call("startOperation", "/operations", { body: { token: preview.json["token"] } });
    const operation = begun.json["operation"].id as string;
    await expect.poll(async () => (await client.operations.get(operation)).state).toBe("done");
    await call("listOperations", "/operations");
    const read = await call("getOperation", `/operations/${operation}`);
    expect(read.json["operation"]).toMatchObject({
      who: "root",
      expected: 1,
      changed: 1,
      state: "done",
      filter: { task: "mail" },
    });
    await call("pauseOperation", `/operations/${operation}/pause`);
    await call("resumeOperation", `/operations/${operation}/resume`);
    await call("stopOperation", `/operations/${operation}/stop`);

    const until = new Date(systemClock.now() + 60_000).toISOString();
    expect((await call("pauseQueue", "/queues/box/pause", { body: { until } })).json).toMatchObject({
      isPaused: true,
      pausedUntil: until,
    });
    await call("resumeQueue", "/queues/box/resume");
    await call("unlockQueue", "/queues/box/unlock");
    await call("pauseTask", "/tasks/mail/pause");
    await call("resumeTask", "/tasks/mail/resume");
    await call("pauseSchedule", "/schedules/nightly/pause");
    await call("resumeSchedule", "/schedules/nightly/resume");
    await call("triggerSchedule", "/schedules/nightly/trigger");
    await call("sweepWorkers", "/workers/sweep", { body: { dryRun: true, sweepThreshold: "5m" } });
    await call("unlockWorkers", "/workers/unlock", { body: { workerIds: ["gone"] } });
    const activity = await call("activity", "/activity?limit=50");
    expect(activity.json["activity"].map(({ action }: { action: string }) => action)).toEqual([
      "workers.unlock",
      "workers.sweep",
      "schedules.trigger",
      "schedules.resume",
      "schedules.pause",
      "tasks.resume",
      "tasks.pause",
      "queues.unlock",
      "queues.resume",
      "queues.pause",
      "operations.stop",
      "operations.resume",
      "operations.pause",
      "operations.start",
      "jobs.cancel",
      "jobs.add",
    ]);
    expect(new Set(activity.json["activity"].map(({ outcome }: { outcome: string }) => outcome))).toEqual(
      new Set(["done"]),
    );
    expect([...called].sort()).toEqual(Object.keys(ROUTES).sort());
    await worker.stop();
    await running;
  });

  it("refuses a query parameter that it does not know, and names it", async () => {
    for (const [name, route] of Object.entries<Route>(ROUTES)) {
      if (route.method !== "GET") continue;
      const path = route.path.replace(":id", "1").replace(":name", "x");
      const { status, json } = await admin.ask(`/api/v1${path}?no-such=1`);
      expect([name, status]).toEqual([name, 400]);
      exactly(Problem, json);
      expect(json["detail"]).toContain("no-such");
    }
  });
});

describe("the description", () => {
  it("is OpenAPI 3.1 with every route, and every reference leads somewhere", async () => {
    const { json, status } = await admin.ask("/api/v1/openapi.json");
    expect(status).toBe(200);
    expect(json["openapi"]).toBe("3.1.0");
    const operations = Object.values(json["paths"] as Record<string, Record<string, { operationId: string }>>)
      .flatMap((path) => Object.values(path))
      .map(({ operationId }) => operationId);
    expect(operations.sort()).toEqual([...Object.keys(ROUTES), "live", "openapi"].sort());
    const references = JSON.stringify(json).matchAll(/"\$ref":"([^"]+)"/g);
    for (const [, reference = ""] of references) {
      const found = reference
        .split("/")
        .slice(1)
        .reduce<any>((at, part) => at?.[part], json); // oxlint-disable-line typescript/no-explicit-any -- any JSON
      expect([reference, typeof found]).toEqual([reference, "object"]);
    }
  });

  it("is what the standard's own schema takes", async () => {
    const { json } = await admin.ask("/api/v1/openapi.json");
    expect(await new Validator().validate(json)).toEqual({ valid: true });
    expect(
      await new Validator().validate({ ...json, paths: { "/api/v1/jobs": { get: {}, fetch: {} } } }),
    ).toMatchObject({
      valid: false,
    });
  });
});
