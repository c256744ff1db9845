import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Route, ROUTES } from "../../../src/admin/contract/routes.ts";
import { createTestAdmin, type TestAdmin } from "../../harness/admin.ts";
import { readEvents } from "../../harness/event-stream.ts";

const CARD = "4111111111111111";
const MAIL = "ada@example.org";

let test: TestAdmin;
let waiting: string;
let failed: string;

beforeAll(async () => {
  test = await createTestAdmin({ redact: ["$.card.number", "$..password", /[\w.]+@example\.org/] });
  const { client } = test;
  const payload = { card: { number: CARD, cvc: 1 }, user: { password: "hunter22" }, amount: 12 };
  waiting = (await client.addJob("pay", payload, { queueName: "box", jobKey: MAIL })).id;
  failed = (await client.addJob("pay", payload)).id;
  await client.permanentlyFailJobs([failed], `Error: card ${CARD} of ${MAIL} refused\n    at pay("hunter22")`);
  // As a job is kept, and what is recorded of its attempts.
  for (const id of [waiting, failed]) {
    await test.database.sql(
      `insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at,
         run_at, key, payload, result, error)
       values (7, now(), $1, 'pay', 'c', 1, 25, 0, now(), now(), $5, $2, $3, $4)`,
      [
        id,
        payload,
        { card: { number: CARD }, said: `to hunter22 of ${MAIL}`, amount: 12 },
        `no ${CARD}\n hunter22`,
        MAIL,
      ],
    );
    await test.database.sql(
      "insert into howdah._howdah_attempts (job_id, at, attempt, error, stack) values ($1, now(), 1, $2, $2)",
      [id, `Error: card ${CARD} of ${MAIL}\n    at pay("hunter22")`],
    );
    await test.database.sql(
      "insert into howdah._howdah_job_logs (job_id, at, seq, attempt, message, fields) values ($1, now(), 1, 1, $2, $3)",
      [id, `charges ${CARD}`, { password: "hunter22", number: Number(CARD) }],
    );
    await test.database.sql(
      "insert into howdah._howdah_progress (job_id, at, claimed_at, value) values ($1, now(), now(), $2)",
      [id, { card: CARD, of: MAIL }],
    );
  }
  await client.schedules.upsert({ id: "monthly", task: "pay", schedule: "0 0 1 * *", payload });
});
afterAll(() => test[Symbol.asyncDispose]());

describe("what is redacted", () => {
  it("is in no answer of any route", async () => {
    for (const id of [waiting, failed]) {
      for (const [name, route] of Object.entries<Route>(ROUTES)) {
        if (route.method === "POST" || name === "getOperation" || name === "getWorker") continue;
        const thing = route.path.startsWith("/queues") ? "box" : "pay";
        const path = route.path.replace(":id", id).replace(":name", thing);
        const { status, text } = await test.ask(`/api/v1${path}`);
        expect([name, status]).toEqual([name, 200]);
        expect([name, /4111|hunter|ada@/.test(text)]).toEqual([name, false]);
      }
    }
  });

  it("is marked where it was, and everything else stays", async () => {
    const { json } = await test.ask(`/api/v1/jobs/${failed}`);
    expect(json["job"].payload).toMatchObject({
      text: '{"card":{"number":"[redacted]","cvc":1},"user":{"password":"[redacted]"},"amount":12}',
      isRedacted: true,
    });
    expect(json["job"].lastError).toBe('Error: card [redacted] of [redacted] refused\n    at pay("[redacted]")');
    const list = await test.ask("/api/v1/jobs?state=failed");
    expect(list.json["jobs"][0].error).toBe("Error: card [redacted] of [redacted] refused");
    const why = await test.ask(`/api/v1/jobs/${failed}/why`);
    expect(why.json["reasons"][0].message).toContain("card [redacted] of [redacted] refused");
    const errors = await test.ask("/api/v1/errors");
    expect(errors.json["errors"][0].message).toBe("Error: card [redacted] of [redacted] refused");
    const schedules = await test.ask("/api/v1/schedules");
    expect(schedules.json["schedules"][0].payload.text).toContain('"number":"[redacted]"');
  });

  it("is not in what is kept of a job, its attempts, its progress and its log", async () => {
    const { json } = await test.ask(`/api/v1/history/${failed}`);
    expect(JSON.parse(json["job"].result.text)).toEqual({
      card: { number: "[redacted]" },
      said: "to [redacted] of [redacted]",
      amount: 12,
    });
    expect(json["job"].lastError).toBe("no [redacted]\n [redacted]");
    const { json: notes } = await test.ask(`/api/v1/jobs/${failed}/notes`);
    expect(notes["attempts"][0].stack).toBe('Error: card [redacted] of [redacted]\n    at pay("[redacted]")');
    expect(notes["lines"][0].message).toBe("charges [redacted]");
    // A number that becomes a mark would be no JSON.
    expect(notes["lines"][0].fields.text).toBe('"[redacted]"');
    expect(JSON.parse(notes["progress"].value.text)).toEqual({ card: "[redacted]", of: "[redacted]" });
  });

  it("hides all that comes from a payload that is not kept", async () => {
    await test.database.sql("update howdah._howdah_history set payload = null where id = $1", [failed]);
    const { json } = await test.ask(`/api/v1/history/${failed}`);
    expect(json["job"]).toMatchObject({ payload: null, lastError: "[redacted]", result: { text: '"[redacted]"' } });
  });

  it("is not in the live stream", async () => {
    const topics = [`jobs/${failed}`, `jobs/${failed}/why`, "errors", "jobs?state=failed", "schedules"];
    const events = await readEvents(test.admin, topics, topics.length);
    expect(new Set(events.map(({ data }) => data.topic))).toEqual(new Set(topics));
    expect(JSON.stringify(events)).not.toMatch(/4111|hunter|ada@/);
    expect(JSON.stringify(events)).toContain("[redacted]");
  });

  it("is not in a preview, in problems, or in what people did", async () => {
    const preview = await test.ask("/api/v1/jobs/preview", { body: { action: "retry", filter: { task: "pay" } } });
    expect(preview.json["sample"][0].error).toContain("[redacted]");
    await test.ask("/api/v1/jobs/actions", { body: { action: "fail", ids: [waiting], reason: `of ${MAIL}` } });
    const problem = await test.ask(`/api/v1/jobs?after=${encodeURIComponent(MAIL)}`);
    expect(problem.status).toBe(400);
    const { text } = await test.ask("/api/v1/activity");
    expect(preview.text + problem.text + text).not.toMatch(/4111|hunter|ada@/);
    await test.client.retryJobs([waiting]);
  });

  it("cannot be asked for by a filter", async () => {
    for (const payload of [{ card: { number: CARD } }, { user: { password: "hunter22" } }, { password: "x" }]) {
      const query = `payload=${encodeURIComponent(JSON.stringify(payload))}`;
      const { status, json } = await test.ask(`/api/v1/jobs?${query}`);
      expect([status, json["code"]]).toEqual([403, "HOWDAH_ADMIN_FORBIDDEN"]);
      const body = { action: "cancel", filter: { payload: JSON.stringify(payload) } };
      expect((await test.ask("/api/v1/jobs/preview", { body })).status).toBe(403);
    }
    const { json } = await test.ask(`/api/v1/jobs?payload=${encodeURIComponent('{"amount":12}')}`);
    expect(json["jobs"]).toHaveLength(2);
  });

  it("is kept by a copy that someone makes with changes", async () => {
    const { json } = await test.ask(`/api/v1/jobs/${failed}`);
    const payload = json["job"].payload.text.replace('"amount":12', '"amount":13');
    const added = await test.ask("/api/v1/jobs", { body: { task: "pay", payload, copyOf: failed } });
    expect((await test.client.getJob(added.json["id"]))?.payload).toEqual({
      card: { number: CARD, cvc: 1 },
      user: { password: "hunter22" },
      amount: 13,
    });
  });

  it("is not seen in part where an error is cut, in any view of it", async () => {
    const secret = "hunter22hunter22";
    const fail = async (payload: object, error: string): Promise<string> => {
      const { id } = await test.client.addJob("cut", payload);
      await test.client.permanentlyFailJobs([id], error);
      return id;
    };
    const shownOf = async (id: string): Promise<string> => {
      const paths = [`jobs/${id}`, `jobs/${id}/why`, "jobs?task=cut", "errors?task=cut", "tasks/cut"];
      return (await Promise.all(paths.map(async (path) => (await test.ask(`/api/v1/${path}`)).text))).join("\n");
    };
    for (const length of [185, 285, 485]) {
      const by = await fail({ password: secret }, `${"x".repeat(length)} ${secret} is wrong`);
      expect(await shownOf(by)).not.toContain("hunt");
      const pattern = await fail({}, `${"x".repeat(length)} adalovelace@example.org is wrong`);
      expect(await shownOf(pattern)).not.toMatch(/x ada/);
    }
    const lines = await fail({ password: "first-line\nsecond-line" }, "wrong: first-line\nsecond-line");
    expect(await shownOf(lines)).not.toMatch(/first-line|second-line/);
    await test.client.removeJobs((await test.client.listJobs({ task: "cut" })).jobs.map(({ id }) => id));
  });

  it("is not seen where the payload has a number that is rounded, or is nested deep", async () => {
    const { id } = await test.client.addJob("cut", {});
    const set = (payload: string) =>
      test.database.sql("update howdah._private_jobs set payload = $1 where id = $2", [payload, id]);
    await set('{"password":12345678901234567890}');
    await test.client.permanentlyFailJobs([id], "no account 12345678901234567890");
    expect((await test.ask("/api/v1/jobs?task=cut")).json["jobs"]).toMatchObject([{ error: "no account [redacted]" }]);
    await set(`{"password":12345678901234567890,"deep":${"[".repeat(5_000)}${"]".repeat(5_000)}}`);
    for (const path of ["jobs?task=cut", `jobs/${id}`, `jobs/${id}/why`, "errors?task=cut", "tasks/cut"]) {
      const { status, text } = await test.ask(`/api/v1/${path}`);
      expect([path, status, text.includes("1234567890")]).toEqual([path, 200, false]);
    }
    await test.client.removeJobs([id]);
  });

  it("by patterns is kept by a copy, too, and a hidden number that would be rounded is refused", async () => {
    const { id } = await test.client.addJob("pay", { to: MAIL, amount: 1 });
    const { json } = await test.ask(`/api/v1/jobs/${id}`);
    const payload = json["job"].payload.text.replace('"amount":1', '"amount":2');
    const added = await test.ask("/api/v1/jobs", { body: { task: "pay", payload, copyOf: id } });
    expect((await test.client.getJob(added.json["id"]))?.payload).toEqual({ to: MAIL, amount: 2 });
    await test.database.sql("update howdah._private_jobs set payload = $1 where id = $2", [
      '{"password":12345678901234567890}',
      id,
    ]);
    const body = { task: "pay", payload: '{"password":"[redacted]"}', copyOf: id };
    const refused = await test.ask("/api/v1/jobs", { body });
    expect([refused.status, refused.text.includes("123456")]).toEqual([400, false]);
    await test.client.removeJobs([id, added.json["id"]]);
  });
});
