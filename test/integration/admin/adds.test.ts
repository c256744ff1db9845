import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createAdmin } from "../../../src/admin/index.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { createTestAdmin, type TestAdmin } from "../../harness/admin.ts";

const mail = defineTask({
  identifier: "mail",
  payload: z.object({ to: z.email(), copies: z.int().default(1) }),
  defaults: { queueName: "mails", maxAttempts: 3 },
  run: () => undefined,
});
const index = defineBatchTask({ identifier: "index", item: z.object({ id: z.int() }), runBatch: () => undefined });

let test: TestAdmin;
beforeAll(async () => {
  test = await createTestAdmin({
    tasks: [mail, index],
    people: { ann: { role: "operate", tasks: ["mail"], queues: [null] }, bob: { role: "operate", tasks: ["other"] } },
  });
});
afterAll(() => test[Symbol.asyncDispose]());

const add = (body: object, as?: string) => test.ask("/api/v1/jobs", { body, ...(as === undefined ? {} : { as }) });

describe("a job of a task that the server knows", () => {
  it("is described by JSON Schema, to those who may see the task", async () => {
    const { json } = await test.ask("/api/v1/tasks/mail/schema");
    expect(json).toMatchObject({ task: "mail", isKnown: true, isBatch: false });
    expect(JSON.parse(json["schema"])).toMatchObject({ properties: { to: { format: "email" } }, required: ["to"] });
    const batch = await test.ask("/api/v1/tasks/index/schema");
    expect([batch.json["isBatch"], JSON.parse(batch.json["schema"]).type]).toEqual([true, "array"]);
    const unknown = { isKnown: false, isBatch: false, schema: null };
    expect((await test.ask("/api/v1/tasks/gone/schema")).json).toEqual({ task: "gone", ...unknown });
    expect((await test.ask("/api/v1/tasks/mail/schema", { as: "bob" })).json).toEqual({ task: "mail", ...unknown });
  });

  it("is refused with the places that do not fit, and without their values", async () => {
    const { status, json, text } = await add({ task: "mail", payload: '{"to":"a secret"}' });
    expect([status, json["code"]]).toEqual([400, "HOWDAH_PAYLOAD_INVALID"]);
    expect(json["detail"]).toMatch(/payload\.to of job `mail`/);
    expect(text).not.toContain("a secret");
    for (const payload of ["{}", "[]"]) expect((await add({ task: "index", payload })).status).toBe(400);
    expect((await test.client.listJobs()).jobs).toEqual([]);
  });

  it("gets the defaults of its task, but not as a copy, nor by someone who is limited", async () => {
    const payload = '{"to":"ada@example.com"}';
    const job = async (body: object, as?: string) => test.client.getJob((await add(body, as)).json["id"]);
    const whole = await job({ task: "mail", payload });
    expect(whole).toMatchObject({ queueName: "mails", maxAttempts: 3, payload: { to: "ada@example.com" } });
    expect(await job({ task: "mail", payload, queueName: "others" })).toMatchObject({ queueName: "others" });
    expect(await job({ task: "mail", payload, copyOf: whole?.id })).toMatchObject({ queueName: null, maxAttempts: 25 });
    expect(await job({ task: "mail", payload }, "ann")).toMatchObject({ queueName: null });
    expect(await job({ task: "index", payload: '[{"id":1},{"id":2}]' })).toMatchObject({
      payload: [{ id: 1 }, { id: 2 }],
    });
    // Of other tasks nothing is known.
    expect(await job({ task: "other", payload: "[1]" })).toMatchObject({ payload: [1], queueName: null });
  });

  it("must be given as a task", () => {
    const options = { client: test.client, authorize: () => ({ name: "a", role: "read" as const }) };
    for (const task of ["mail", {}, { identifier: "mail" }, null])
      expect(() => createAdmin({ ...options, tasks: [task as typeof mail] })).toThrow(
        expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }),
      );
  });
});
