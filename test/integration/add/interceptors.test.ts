import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Client } from "../../../src/client/client.ts";
import { type ClientOptions, createClient } from "../../../src/client/create-client.ts";
import type { JobScheduleDecision, JobScheduleEvent, ScheduleResult } from "../../../src/hooks/interceptors.ts";
import type { Plugin } from "../../../src/hooks/plugin.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

/** A client whose adds `decide` has a say in. */
function clientWith(
  decide: (event: JobScheduleEvent) => JobScheduleDecision | void | Promise<JobScheduleDecision>,
  options: ClientOptions = {},
): Promise<Client> {
  const hooks = { beforeJobSchedule: decide };
  return createClient({ driver: database.driver, migrate: false, logger: silentLogger, hooks, ...options });
}

async function payloads(): Promise<unknown[]> {
  return (await database.sql("select payload from howdah._private_jobs order by id")).map(({ payload }) => payload);
}

/** Every way to add a job, and one that adds two. */
const WAYS: readonly [string, (client: Client) => Promise<unknown>][] = [
  ["addJob", (client) => client.addJob("t", { n: 1 })],
  ["addJobs", (client) => client.addJobs([{ identifier: "t" }, { identifier: "bad" }])],
  ["addJobs for ids", (client) => client.addJobs([{ identifier: "t" }, { identifier: "bad" }], { returning: "ids" })],
  ["addBatchJob", (client) => client.addBatchJob("t", [1])],
  ["a transaction", (client) => client.inTransaction(database.driver).addJob("t")],
];

describe("an add", () => {
  it.each(WAYS)("by %s that is skipped rejects, and nothing is stored (behaviours 224)", async (_, add) => {
    await using client = await clientWith(({ task, call: { size } }) =>
      size === 1 || task === "bad" ? { action: "skip" } : undefined,
    );
    await expect(add(client)).rejects.toMatchObject({ code: "HOWDAH_JOB_SKIPPED" });
    expect(await payloads()).toEqual([]);
  });

  it.each(WAYS)(
    "by %s that is refused rejects with the reason, and nothing is stored (behaviours 225)",
    async (_, add) => {
      await using client = await clientWith(() => ({ action: "fail", message: "quota used up" }));
      await expect(add(client)).rejects.toMatchObject({
        code: "HOWDAH_JOB_REFUSED",
        message: expect.stringMatching(/refused .*`t`: quota used up$/),
      });
      expect(await payloads()).toEqual([]);
    },
  );

  it("by a handler is asked about like any other (S22)", async () => {
    const asked: string[] = [];
    const adds = defineTask({
      identifier: "adds",
      async run(_payload: unknown, { client }) {
        await client.addJob("child");
      },
    });
    await using worker = await createTestWorker(database, {
      tasks: [adds],
      hooks: { beforeJobSchedule: ({ task }) => void asked.push(task) },
    });
    await worker.client.addJob(adds);
    await worker.runOnce();
    expect(asked).toEqual(["adds", "child"]);
  });

  it("stores what a chain of plugins has made of it, each seeing what the one before did (behaviours 226)", async () => {
    const mark = (name: string): Plugin => ({
      name,
      register: (hooks) =>
        void hooks.on("beforeJobSchedule", ({ payload }) => ({
          action: "continue",
          payload: { ...(payload as object), [name]: Object.keys(payload as object) },
        })),
    });
    await using client = await clientWith(() => undefined, { plugins: [mark("a"), mark("b")] });
    const job = await client.addJob("t", { n: 1 });
    expect(job.payload).toEqual({ n: 1, a: ["n"], b: ["n", "a"] });
    expect(await payloads()).toEqual([job.payload]);
  });

  it("tells its interceptors the task, the payload and the spec with its defaults (behaviours 229, 230)", async () => {
    const task = defineTask({ identifier: "mail", defaults: { queueName: "test_queue", priority: 1 }, run() {} });
    let event: JobScheduleEvent | undefined;
    await using client = await clientWith((given) => void (event = given));
    await client.addJob(task, { to: "x" }, { priority: 10 });
    expect(event).toMatchObject({
      task: "mail",
      payload: { to: "x" },
      spec: { queueName: "test_queue", priority: 10 },
      call: { method: "addJob", size: 1 },
    });
  });

  it("takes a whole spec from its interceptors, without the defaults that they have left out", async () => {
    const task = defineTask({ identifier: "mail", defaults: { queueName: "q", priority: 1 }, run() {} });
    await using client = await clientWith(() => ({ action: "continue", spec: { flags: ["checked"], maxAttempts: 3 } }));
    const job = await client.addJob(task, {}, { jobKey: "k" });
    expect(job).toMatchObject({ queueName: null, priority: 0, jobKey: null, flags: ["checked"], maxAttempts: 3 });
  });

  it("is checked again after its interceptors, which cannot store what no caller could", async () => {
    const task = defineTask({ identifier: "mail", payload: z.object({ to: z.string() }), run() {} });
    const refusals: [JobScheduleDecision, string][] = [
      [{ action: "continue", payload: { to: 5 } }, "HOWDAH_PAYLOAD_INVALID"],
      [{ action: "continue", payload: { to: 5n } }, "HOWDAH_PAYLOAD_INVALID"],
      [{ action: "continue", attach: { _a: 5n } }, "HOWDAH_PAYLOAD_INVALID"],
      [{ action: "continue", spec: { priority: 100_000 } }, "HOWDAH_JOB_INVALID"],
      [{ action: "continue", spec: { priorty: 1 } as object }, "HOWDAH_OPTION_UNKNOWN"],
      [{ action: "contniue" } as never, "HOWDAH_HOOK_ANSWER_INVALID"],
    ];
    for (const [decision, code] of refusals) {
      await using client = await clientWith(() => decision);
      await expect(client.addJob(task, { to: "x" })).rejects.toMatchObject({ code });
    }
    expect(await payloads()).toEqual([]);
  });

  it("by an interceptor itself is asked about as well, and does not go on for ever", async () => {
    let asked = 0;
    const client: Client = await clientWith(async ({ task }) => {
      asked += 1;
      if (task !== "audited") await client.addJob(task === "t" ? "audited" : task, { of: task });
      return { action: "continue" };
    });
    await client.addJob("t", { n: 1 });
    expect([asked, await payloads()]).toEqual([2, [{ of: "t" }, { n: 1 }]]);
    asked = 0;
    await expect(client.addJob("endless")).rejects.toThrow(/adds a job each time it is called/);
    expect(asked).toBeLessThan(50);
    await client.close();
  });

  it("rejects when an interceptor throws or does not answer in time", async () => {
    await using broken = await clientWith(() => Promise.reject(new Error("no quota service")));
    await expect(broken.addJob("t")).rejects.toMatchObject({ code: "HOWDAH_HOOK_FAILED" });
    await using slow = await clientWith(() => new Promise(() => undefined), { interceptorTimeout: 1 });
    await expect(slow.addJob("t")).rejects.toMatchObject({ code: "HOWDAH_HOOK_TIMEOUT" });
    expect(await payloads()).toEqual([]);
  });
});

describe("several jobs", () => {
  it("are asked about one by one, in their order, and stored in it", async () => {
    const asked: unknown[] = [];
    const calls = new Set<unknown>();
    await using client = await clientWith(async ({ payload, call }) => {
      asked.push(payload);
      calls.add(call);
      return { action: "continue", payload: { seen: asked.length } };
    });
    const jobs = await client.addJobs([1, 2, 3].map((n) => ({ identifier: `t${n}`, payload: { n } })));
    expect(asked).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(jobs.map(({ task, payload }) => [task, payload])).toEqual([
      ["t1", { seen: 1 }],
      ["t2", { seen: 2 }],
      ["t3", { seen: 3 }],
    ]);
    expect([...calls]).toMatchObject([{ method: "addJobs", size: 3 }]);
  });

  it("are all refused when one of them is, and the message says which", async () => {
    await using client = await clientWith(({ task }) => (task === "bad" ? { action: "skip" } : undefined));
    const added = client.addJobs([{ identifier: "good" }, { identifier: "bad" }]);
    await expect(added).rejects.toThrow(/skipped jobs\[1\] `bad`/);
    expect(await payloads()).toEqual([]);
  });
});

describe("a batch", () => {
  it.each([
    [{ n: 1 }, "HOWDAH_PAYLOAD_INVALID", /has to be an array/],
    [[], "HOWDAH_BATCH_EMPTY", /no items/],
    [[{ n: "x" }], "HOWDAH_PAYLOAD_INVALID", /payload\[0\]/],
  ])("stays one: %o in place of its items is refused (behaviours 213)", async (payload, code, message) => {
    const item = z.object({ n: z.number() });
    const task = defineBatchTask({ identifier: "b", item, runBatch: () => undefined });
    await using client = await clientWith(() => ({ action: "continue", payload }));
    await expect(client.addBatchJob(task, [{ n: 1 }])).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    if (code !== "HOWDAH_PAYLOAD_INVALID" || !Array.isArray(payload)) {
      await expect(client.addBatchJob("b", [1])).rejects.toMatchObject({ code });
    }
    expect(await payloads()).toEqual([]);
  });
});

describe("what is attached", () => {
  it.each([
    [
      { n: 1, _x: "old" },
      { n: 1, _x: 1 },
    ],
    [
      { at: new Date(0), list: [{}] },
      { at: "1970-01-01T00:00:00.000Z", list: [{}], _x: 1 },
    ],
    [
      [{ n: 1 }, 2, null, [{}], { n: 3 }],
      [{ n: 1, _x: 1 }, 2, null, [{}], { n: 3, _x: 1 }],
    ],
    ["text", "text"],
    [null, null],
    [undefined, { _x: 1 }],
  ])(
    "is set on an object and on the objects of a list: %o is stored as %o (behaviours 14, 17)",
    async (given, stored) => {
      await using client = await clientWith(() => ({ action: "continue", attach: { _x: 1 } }));
      expect((await client.addJob("t", given)).payload).toEqual(stored);
      expect((await client.addJobs([{ identifier: "t", payload: given }]))[0]?.payload).toEqual(stored);
      await client.addJobs([{ identifier: "t", payload: given }], { returning: "ids" });
      expect(await payloads()).toEqual([stored, stored, stored]);
    },
  );

  it("passes a schema that allows nothing else", async () => {
    const task = defineTask({ identifier: "s", payload: z.strictObject({ n: z.number() }), run() {} });
    await using client = await clientWith(() => ({ action: "continue", attach: { _x: 1 } }));
    expect((await client.addJob(task, { n: 1 })).payload).toEqual({ n: 1, _x: 1 });
  });
});

describe("the end of a call", () => {
  it("is told once, with the ids or with the error, whatever its listeners do", async () => {
    const ends: ScheduleResult[] = [];
    const waiting = new Set<unknown>();
    await using client = await clientWith(({ task, call }) => {
      if (!waiting.has(call)) {
        waiting.add(call);
        call.whenEnded(() => {
          throw new Error("listener broken");
        });
        call.whenEnded((end) => void ends.push(end));
      }
      return task === "bad" ? { action: "skip" } : undefined;
    });
    const one = await client.addJob("t");
    const many = await client.addJobs([{ identifier: "t" }, { identifier: "t" }]);
    const ids = await client.addJobs([{ identifier: "t" }, { identifier: "t" }], { returning: "ids" });
    await client.addJobs([{ identifier: "t" }, { identifier: "bad" }]).catch(() => undefined);
    // No interceptor is called for a job that could not be stored anyway.
    await expect(client.addJob("t", {}, { priority: 0.5 })).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    expect(ends).toEqual([
      { jobIds: [one.id] },
      { jobIds: many.map(({ id }) => id) },
      { jobIds: ids.map(({ id }) => id) },
      { error: expect.objectContaining({ code: "HOWDAH_JOB_SKIPPED" }) },
    ]);
  });

  it("is told when the database refuses the add", async () => {
    const ends: ScheduleResult[] = [];
    await using client = await clientWith(({ call }) => call.whenEnded((end) => void ends.push(end)), {
      schema: "nowhere",
      migrate: true,
    });
    await database.sql("drop schema nowhere cascade");
    await expect(client.addJob("t")).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_MISSING" });
    expect(ends).toEqual([{ error: expect.objectContaining({ code: "HOWDAH_SCHEMA_MISSING" }) }]);
  });
});

describe("the hooks of a client", () => {
  it("are those that a client has", async () => {
    const hooks = { jobStart: () => undefined } as object;
    const options = { driver: database.driver, migrate: false, logger: silentLogger };
    await expect(createClient({ ...options, hooks })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: expect.stringContaining("Unknown client option `hooks.jobStart`"),
    });
    const plugins = [{ name: "p", register: () => Promise.reject(new Error("no")) }];
    await expect(createClient({ ...options, plugins })).rejects.toMatchObject({ code: "HOWDAH_PLUGIN_FAILED" });
  });
});
