import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readAdminOptions } from "../../../src/admin/admin-options.ts";
import { AdminHost } from "../../../src/admin/create-admin.ts";
import { createAdmin } from "../../../src/admin/index.ts";
import { createClient } from "../../../src/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { ask, createTestAdmin, type TestAdmin } from "../../harness/admin.ts";
import { until } from "../../harness/until.ts";

let test: TestAdmin;
beforeAll(async () => {
  test = await createTestAdmin();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(() => test.database.sql("truncate howdah._private_jobs, howdah._howdah_operations, howdah._howdah_audit"));

const authorize = () => ({ name: "root", role: "admin" }) as const;

/** Adds jobs of a task, which have failed for good unless `isFailed` is false. */
async function fill(count: number, { task = "many", isFailed = true } = {}): Promise<void> {
  await test.database.sql("insert into howdah._private_tasks (identifier) values ($1) on conflict do nothing", [task]);
  await test.database.sql(
    `insert into howdah._private_jobs (task_id, attempts)
     select (select id from howdah._private_tasks where identifier = $2), case when $3::boolean then 25 else 0 end
     from generate_series(1, $1::int)`,
    [count, task, isFailed],
  );
}

const preview = (body: object) => test.ask("/api/v1/jobs/preview", { body });
const begin = (token: string, confirm?: string) =>
  test.ask("/api/v1/operations", { body: { token, ...(confirm === undefined ? {} : { confirm }) } });
const operationOf = async (id: string) => (await test.ask(`/api/v1/operations/${id}`)).json["operation"];

describe("a preview", () => {
  it("says what would be changed and what would not, and changes nothing", async () => {
    await fill(7);
    await fill(3, { isFailed: false });
    await fill(2, { task: "other" });
    const { json } = await preview({ action: "retry", filter: { since: "2020-01-01T00:00:00Z" } });
    expect(json).toMatchObject({
      action: "retry",
      sentence: "Retry 9 jobs of 2 tasks",
      matched: { value: 9, exact: true },
      byState: { ready: 0, scheduled: 0, running: 0, failed: 9 },
      byTask: [
        { task: "many", count: 7 },
        { task: "other", count: 2 },
      ],
      untouched: [{ reason: "They wait, and have not failed for good.", count: { value: 3 } }],
      confirm: null,
    });
    expect(json["sample"]).toHaveLength(5);
    expect((await test.client.stats()).failed.value).toBe(9);
  });

  it("of ids says the same", async () => {
    await fill(2);
    await fill(1, { isFailed: false });
    const { jobs } = await test.client.listJobs();
    const ids = [...jobs.map(({ id }) => id), "999999"];
    const { json } = await preview({ action: "retry", ids });
    expect(json).toMatchObject({ sentence: "Retry 2 jobs of 1 task", matched: { value: 2 } });
    expect(json["untouched"]).toHaveLength(2);
    const { json: begun, status } = await begin(json["token"]);
    expect([status, begun["operation"]]).toEqual([
      202,
      expect.objectContaining({ id: null, state: "done", changed: 2, who: "root" }),
    ]);
  });

  it("of a retry says over which time, and so it is done and recorded", async () => {
    await fill(3);
    const again = { attempts: 2, spread: "10m" };
    const { json } = await preview({
      action: "retry",
      filter: { task: "many", failedSince: "2020-01-01T00:00:00Z" },
      again,
    });
    expect(json["sentence"]).toBe("Retry 3 jobs of 1 task over 10 min 0 s");
    const { operation } = (await begin(json["token"])).json;
    await until(async () => (await operationOf(operation.id)).state === "done");
    expect((await operationOf(operation.id)).filter).toEqual({
      task: "many",
      state: "failed",
      failedSince: "2020-01-01T00:00:00.000Z",
    });
    const { jobs } = await test.client.listJobs();
    expect(jobs.map(({ attempts, maxAttempts }) => [attempts, maxAttempts])).toEqual([1, 2, 3].map(() => [0, 2]));
    const [entry] = await test.database.sql(
      "select target from howdah._howdah_audit where action = 'operations.start'",
    );
    expect(entry?.["target"]).toMatchObject({ action: "retry", attempts: 2, spreadMs: 600_000 });

    const ids = jobs.map(({ id }) => id);
    await test.client.permanentlyFailJobs(ids);
    const answer = await test.ask("/api/v1/jobs/actions", { body: { action: "retry", ids, again: { attempts: 7 } } });
    expect([answer.status, answer.json["changed"]]).toEqual([200, ids]);
    for (const step of answer.json["undo"].steps) await test.ask("/api/v1/jobs/actions", { body: step });
    expect((await test.client.listJobs({ state: "failed" })).jobs.map(({ maxAttempts }) => maxAttempts)).toEqual([
      2, 2, 2,
    ]);
  });

  it("of ids says that it can be undone, and its answer says how", async () => {
    await fill(2);
    const [first, second] = (await test.client.listJobs()).jobs;
    const ids = [first?.id ?? "", second?.id ?? ""];
    await test.client.rescheduleJobs(ids.slice(1), { maxAttempts: 30, attempts: 30 });
    const before = (await test.client.listJobs()).jobs.map(({ attempts, state }) => [attempts, state]);
    const orders = [
      { action: "retry" },
      { action: "reschedule", to: { priority: 7, runIn: "1h", attempts: 0 } },
    ] as const;
    for (const order of orders) {
      const due = (await test.client.getJob(ids[0] ?? ""))?.runAt;
      const { json } = await preview({ ...order, ids });
      expect(json["undo"]).toMatch(/^Can be undone/);
      const { operation } = (await begin(json["token"])).json;
      expect([operation.changed, (await test.client.stats()).failed.value]).toEqual([2, 0]);
      for (const step of operation.undo.steps) {
        const answer = await test.ask("/api/v1/jobs/actions", { body: step });
        expect([answer.status, answer.json["untouched"]]).toEqual([200, []]);
      }
      const { jobs } = await test.client.listJobs();
      expect(jobs.map(({ attempts, state }) => [attempts, state])).toEqual(before);
      expect(jobs.map(({ priority }) => priority)).toEqual([0, 0]);
      // A job that has failed for good does not run, whenever it was due.
      if (order.action === "reschedule") expect(jobs[0]?.runAt).toEqual(due);
    }
    const failed = await test.ask("/api/v1/jobs/actions", { body: { action: "remove", ids } });
    expect(failed.json["undo"]).toBeNull();
  });

  it.each([
    [{ action: "retry" }, 400],
    [{ action: "retry", ids: ["1"], filter: { task: "a" } }, 400],
    [{ action: "retry", filter: {} }, 400],
    [{ action: "retry", filter: { state: "ready" } }, 400],
    [{ action: "reschedule", filter: { task: "a" } }, 400],
    [{ action: "retry", filter: { task: "a" }, again: { attempts: 0 } }, 400],
    [{ action: "retry", filter: { task: "a" }, again: { spread: "soon" } }, 400],
    [{ action: "cancel", filter: { failedSince: "2020-01-01T00:00:00Z" } }, 400],
    [{ action: "explode", filter: { task: "a" } }, 400],
  ])("of %j is refused", async (body, status) => {
    expect((await preview(body)).status).toBe(status);
  });
});

describe("an operation", () => {
  it("leaves alone what was added after the preview", async () => {
    await fill(4);
    const { json } = await preview({ action: "retry", filter: { task: "many" } });
    await fill(5);
    const begun = await begin(json["token"]);
    const id = begun.json["operation"].id as string;
    const done = await until(async () => {
      const operation = await operationOf(id);
      return operation.state === "done" ? operation : undefined;
    });
    expect(done).toMatchObject({ expected: 4, matched: 4, changed: 4, who: "root" });
    expect((await test.client.stats()).failed.value).toBe(5);
  });

  it("of more than a thousand jobs wants the number", async () => {
    await fill(1_200);
    const { json } = await preview({ action: "remove", filter: { task: "many" } });
    expect(json["confirm"]).toBe("1200");
    for (const confirm of [undefined, "", "1199", "yes"]) {
      const refused = await begin(json["token"], confirm);
      expect([refused.status, refused.json["code"]]).toEqual([409, "HOWDAH_ADMIN_PREVIEW_EXPIRED"]);
    }
    const begun = await begin(json["token"], "1200");
    expect(begun.status).toBe(202);
    await until(async () => (await operationOf(begun.json["operation"].id)).state === "done");
    expect((await test.client.stats()).failed.value).toBe(0);
  });

  it("goes on when it is resumed right after a pause, and rests when it is paused right after that", async () => {
    await fill(1);
    const session = await test.database.connect();
    // Of the table, not of the job: a batch steps over a job that is held for long.
    await session.query("begin; lock table howdah._private_jobs in exclusive mode");
    const { json } = await preview({ action: "retry", filter: { task: "many" } });
    const begun = await begin(json["token"]);
    const id = begun.json["operation"].id as string;
    const steer = async (verb: string) =>
      (await test.ask(`/api/v1/operations/${id}/${verb}`, { body: {} })).json["operation"].state as string;
    // The batch holds the operation until it gives up; then it rests before it tries again.
    expect(await steer("pause")).toBe("paused");
    expect(await steer("resume")).toBe("running");
    expect(await steer("pause")).toBe("paused");
    await systemClock.sleep(1_500);
    expect((await operationOf(id)).state).toBe("paused");
    expect(await steer("resume")).toBe("running");
    expect(await steer("pause")).toBe("paused");
    expect(await steer("resume")).toBe("running");
    await session.query("rollback");
    await until(async () => (await operationOf(id)).state === "done");
    expect((await test.client.stats()).failed.value).toBe(0);
  });

  it("that begins while the admin API is closed is paused", async () => {
    await using own = await createTestAdmin();
    await own.client.addJob("many", {});
    const { json } = await own.ask("/api/v1/jobs/preview", { body: { action: "remove", filter: { task: "many" } } });
    const session = await own.database.connect();
    await session.query("begin; lock table howdah._howdah_operations in exclusive mode");
    const beginning = own.ask("/api/v1/operations", { body: { token: json["token"] } });
    await until(async () => {
      const waiting = "select 1 from pg_locks where not granted";
      return (await own.database.sql(waiting)).length > 0;
    });
    await own.admin.close();
    await session.query("rollback");
    expect((await beginning).status).toBe(202);
    expect(await own.client.operations.list()).toMatchObject([{ state: "paused", changed: 0 }]);
    expect((await own.client.listJobs()).jobs).toHaveLength(1);
  });

  it("is paused, resumed and stopped, and each is recorded", async () => {
    await fill(1);
    // A transaction that holds its only job keeps it from ending.
    const session = await test.database.connect();
    await session.query("begin; select * from howdah._private_jobs for update");
    const { json } = await preview({ action: "retry", filter: { task: "many" } });
    const begun = await begin(json["token"]);
    const id = begun.json["operation"].id as string;
    expect((await operationOf(id)).state).toBe("running");
    await session.query("rollback");
    await session.end();
    await until(async () => (await operationOf(id)).state === "done");
    await test.database.sql(
      "update howdah._howdah_operations set state = 'running', updated_at = now() - interval '1 minute'",
    );
    expect(await operationOf(id)).toMatchObject({ state: "running", isStalled: true });
    for (const [verb, state] of [
      ["pause", "paused"],
      ["resume", "done"],
    ] as const) {
      await test.ask(`/api/v1/operations/${id}/${verb}`, { body: {} });
      await until(async () => (await operationOf(id)).state === state);
    }
    const activity = await test.database.sql(
      "select action, outcome, operation_id::int from howdah._howdah_audit order by id",
    );
    expect(activity).toEqual(
      ["operations.start", "operations.pause", "operations.resume"].map((action) => ({
        action,
        outcome: "done",
        operation_id: Number(id),
      })),
    );
  });

  it("is begun once by a preview, within ten minutes, by the one who asked, at the server that signed it", async () => {
    await fill(1);
    const clock = createManualClock();
    const secret = "a secret of several processes";
    const options = readAdminOptions({ client: test.client, authorize, logger: silentLogger, secret });
    const ground = { clock, pageFolder: "/none" };
    const admin = new AdminHost(options, ground);
    const twin = new AdminHost(options, ground);
    const other = createAdmin({ client: test.client, authorize, logger: silentLogger });
    const order = { body: { action: "retry", filter: { task: "many" } } };
    const { json } = await ask(admin, "/api/v1/jobs/preview", order);
    const token = json["token"] as string;
    const at = async (server: Pick<AdminHost, "fetch">, given: string) =>
      (await ask(server, "/api/v1/operations", { body: { token: given } })).status;
    expect(await at(other, token)).toBe(409);
    const [body = "", signature = ""] = token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, order: { ...claims.order, filter: {} } })).toString(
      "base64url",
    );
    for (const bad of [`${forged}.${signature}`, body, `${body}.`, "x", `${token}x`])
      expect(await at(admin, bad)).toBe(409);
    await clock.advance(599_999);
    expect(await at(admin, token)).toBe(202);
    for (const server of [admin, twin]) {
      expect(await at(server, token)).toBe(409);
      expect(await at(server, `${token}.more`)).toBe(409);
    }
    // At the same time, at two processes: one of them begins it.
    const { json: again } = await ask(twin, "/api/v1/jobs/preview", order);
    const both = await Promise.all([admin, twin].map((server) => at(server, again["token"])));
    expect(both.sort((a, b) => a - b)).toEqual([202, 409]);
    const late = await ask(admin, "/api/v1/jobs/preview", order);
    await clock.advance(600_000);
    expect(await at(admin, late.json["token"])).toBe(409);
    await admin.close();
    await twin.close();
    await other.close();
  });

  it("is paused when the server that carries it out is closed, and goes on with another", async () => {
    await fill(3_000);
    const admin = createAdmin({ client: test.client, authorize, logger: silentLogger });
    const { json } = await ask(admin, "/api/v1/jobs/preview", { body: { action: "retry", filter: { task: "many" } } });
    const begun = await ask(admin, "/api/v1/operations", { body: { token: json["token"], confirm: "3000" } });
    await admin.close();
    const id = begun.json["operation"].id as string;
    expect(["paused", "done"]).toContain((await operationOf(id)).state);
    await test.ask(`/api/v1/operations/${id}/resume`, { body: {} });
    await until(async () => (await operationOf(id)).state === "done");
    expect((await test.client.stats()).failed.value).toBe(0);
  });
});

describe("the record", () => {
  it("is written before a change: what cannot be recorded is not done", async () => {
    const { id } = await test.client.addJob("mail", {});
    await test.database.sql("alter table howdah._howdah_audit add constraint full_up check (who <> 'root')");
    const { status } = await test.ask("/api/v1/jobs/actions", { body: { action: "cancel", ids: [id] } });
    await test.database.sql("alter table howdah._howdah_audit drop constraint full_up");
    expect(status).toBe(500);
    expect(await test.client.getJob(id)).toBeDefined();
  });

  it("says of a change that failed with which code", async () => {
    await test.ask("/api/v1/jobs/actions", { body: { action: "reschedule", ids: ["1"] } });
    const { json } = await test.ask("/api/v1/activity");
    expect(json["activity"]).toMatchObject([
      { who: "root", action: "jobs.reschedule", outcome: "HOWDAH_OPTION_INVALID" },
    ]);
  });

  it("is read page by page, and by job", async () => {
    for (const id of ["1", "2", "3"]) await test.ask("/api/v1/jobs/actions", { body: { action: "cancel", ids: [id] } });
    const first = await test.ask("/api/v1/activity?limit=2");
    const second = await test.ask(`/api/v1/activity?limit=2&before=${first.json["next"]}`);
    const idsOf = (json: Record<string, { target: { ids: string[] } }[]>) =>
      json["activity"]?.map(({ target }) => target.ids[0]);
    expect([idsOf(first.json), idsOf(second.json), second.json["next"]]).toEqual([["3", "2"], ["1"], null]);
    expect(idsOf((await test.ask("/api/v1/activity?jobId=2")).json)).toEqual(["2"]);
  });

  it("goes on behind the ten thousand entries that a page by job looks at", async () => {
    await test.ask("/api/v1/jobs/actions", { body: { action: "cancel", ids: ["7"] } });
    await test.database.sql(
      "insert into howdah._howdah_audit (who, action, target) select 'bob', 'tasks.pause', '{}' from generate_series(1, 10000)",
    );
    const first = await test.ask("/api/v1/activity?jobId=7");
    expect([first.json["activity"], typeof first.json["next"]]).toEqual([[], "string"]);
    const second = await test.ask(`/api/v1/activity?jobId=7&before=${first.json["next"]}`);
    expect(second.json).toMatchObject({ activity: [{ who: "root", target: { ids: ["7"] } }], next: null });
  });

  it("is left out, and said to be missing a right, where the database role may not see it", async () => {
    const role = `howdah_reader_${randomBytes(4).toString("hex")}`;
    await test.database.sql(
      `create role ${role}; grant usage on schema howdah to ${role}; grant select on all tables in schema howdah to ${role};
       revoke all on howdah._howdah_audit from ${role}`,
    );
    const url = new URL(test.database.connectionString);
    url.searchParams.set("options", `-c role=${role}`);
    const client = await createClient({ connectionString: url.href, migrate: false, logger: silentLogger });
    const admin = createAdmin({ client, authorize, logger: silentLogger });
    const samples = await ask(admin, "/api/v1/samples");
    expect([samples.status, samples.json["markers"]]).toEqual([200, []]);
    const { status, json } = await ask(admin, "/api/v1/activity");
    expect([status, json["code"]]).toEqual([403, "HOWDAH_DATABASE_FORBIDDEN"]);
    expect(json["detail"]).not.toContain(role);
    await admin.close();
    await client.close();
    await test.database.sql(`drop owned by ${role}; drop role ${role}`);
  });

  it("knows who began an operation after many other changes", async () => {
    await fill(1);
    const { json } = await preview({ action: "retry", filter: { task: "many" } });
    const id = (await begin(json["token"])).json["operation"].id as string;
    await until(async () => (await operationOf(id)).state === "done");
    await test.database.sql(
      "insert into howdah._howdah_audit (who, action, target) select 'bob', 'tasks.pause', '{}' from generate_series(1, 10001)",
    );
    expect(await operationOf(id)).toMatchObject({ who: "root", expected: 1 });
  });

  it("keeps every entry for 90 days, and up to a hundred thousand for 400, and forgets a few with each change", async () => {
    await test.database.sql(
      `insert into howdah._howdah_audit (who, action, target, at) select 'old', 'a', '{}', now() - interval '401 days' from generate_series(1, 150)`,
    );
    const count = async (): Promise<unknown> =>
      (await test.database.sql("select count(*)::int as n from howdah._howdah_audit"))[0]?.["n"];
    await test.ask("/api/v1/tasks/mail/pause", { body: {} });
    expect(await count()).toBe(51);
    await test.ask("/api/v1/tasks/mail/resume", { body: {} });
    expect(await count()).toBe(2);
    // However many changes come after them.
    await test.database.sql("select setval('howdah._howdah_audit_id_seq', 200000)");
    await test.ask("/api/v1/tasks/mail/resume", { body: {} });
    expect(await count()).toBe(3);
    await test.database.sql("update howdah._howdah_audit set at = now() - interval '91 days' where id <= 200000");
    await test.ask("/api/v1/tasks/mail/resume", { body: {} });
    expect(await count()).toBe(2);
  });
});
