import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Route, ROUTES } from "../../../src/admin/contract/routes.ts";
import { createAdmin } from "../../../src/admin/index.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { ask, createTestAdmin, type TestAdmin } from "../../harness/admin.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker } from "../../harness/worker.ts";
import { defineTask } from "../../../src/job/task.ts";

let test: TestAdmin;
/** Jobs by their names; those with "hidden" in a name must not be seen by "ann" and "bob". */
const ids: Record<string, string> = {};
const gate = createGate();
let stop: () => Promise<void>;

beforeAll(async () => {
  test = await createTestAdmin({
    people: {
      reader: { role: "read" },
      operator: { role: "operate" },
      // Of some tasks, of some queues, and of both.
      ann: { role: "operate", tasks: ["mail", "send"] },
      bob: { role: "operate", queues: ["box"] },
      cas: { role: "operate", tasks: ["mail"], queues: ["box", null] },
      boss: { role: "admin", tasks: ["mail"] },
    },
  });
  const { client } = test;
  const add = async (name: string, task: string, spec: object): Promise<void> => {
    ids[name] = (await client.addJob(task, {}, spec)).id;
  };
  // It runs, and so holds its queue.
  await add("holder", "hidden_task", { queueName: "shared" });
  const worker = await createTestWorker(test.database, {
    tasks: [defineTask({ identifier: "hidden_task", run: () => gate.opened })],
    concurrency: 1,
  });
  const running = worker.run();
  await until(async () => (await client.getJob(ids["holder"] ?? ""))?.state === "running");
  stop = async () => {
    gate.open();
    await worker.stop();
    await running;
  };
  await add("mail", "mail", {});
  await add("mailBox", "mail", { queueName: "box", jobKey: "mail-key" });
  await add("mailShared", "mail", { queueName: "shared" });
  await add("hidden", "hidden_task", { queueName: "hidden_queue", jobKey: "hidden-key" });
  await add("hiddenBox", "hidden_task", { queueName: "box" });
  await add("failed", "hidden_task", {});
  await client.permanentlyFailJobs([ids["failed"] ?? ""], "Error: of the hidden task");
  const kept = `insert into howdah._howdah_history
    (keep, finished_at, id, task, queue_name, state, attempts, max_attempts, priority, created_at, run_at, key)
    values (7, now(), $1, $2, $3, 'c', 1, 25, 0, now(), now(), $4)`;
  await test.database.sql(kept, [idOf("mail"), "mail", null, null]);
  await test.database.sql(kept, [idOf("hidden"), "hidden_task", "hidden_queue", "hidden-key"]);
  await client.schedules.upsert({ id: "hidden_schedule", task: "hidden_task", schedule: "0 4 * * *" });
  await client.schedules.upsert({ id: "mails", task: "mail", schedule: "0 4 * * *" });
  await client.pauseTask("hidden_task");
});
afterAll(async () => {
  await stop();
  await test[Symbol.asyncDispose]();
});

const idOf = (name: string): string => ids[name] ?? "";

/** A path that each route has something at. */
function pathOf(route: Route): string {
  const path = route.path.replace(":id", idOf("mail"));
  const name = route.path.startsWith("/tasks") ? "mail" : route.path.startsWith("/schedules") ? "mails" : "box";
  return `/api/v1${path.replace(":name", name)}`;
}

describe("a role", () => {
  it.each(["reader", "operator"])("of %s is refused what needs more, before anything is done", async (name) => {
    const ranks = { read: 0, operate: 1, admin: 2 };
    const own = name === "reader" ? 0 : 1;
    for (const [id, route] of Object.entries<Route>(ROUTES)) {
      if (ranks[route.role] <= own) continue;
      const { status, json } = await test.ask(pathOf(route), { as: name, method: route.method, body: {} });
      expect([id, status, json["code"]]).toEqual([id, 403, "HOWDAH_ADMIN_FORBIDDEN"]);
      expect(json["detail"]).toContain(`needs the role "${route.role}"`);
    }
    expect((await test.ask(`/api/v1/activity`)).json["activity"]).toEqual([]);
  });

  it("of read reads everything", async () => {
    for (const [id, route] of Object.entries<Route>(ROUTES)) {
      if (route.method === "POST" || id === "getWorker" || id === "getOperation") continue;
      expect([id, (await test.ask(pathOf(route), { as: "reader" })).status]).toEqual([id, 200]);
    }
  });

  it("of admin of some tasks may not unlock or sweep, which concerns all", async () => {
    for (const path of ["queues/box/unlock", "workers/sweep", "workers/unlock"]) {
      const { status } = await test.ask(`/api/v1/${path}`, {
        as: "boss",
        body: path.endsWith("workers/unlock") ? { workerIds: ["w"] } : {},
      });
      expect([path, status]).toEqual([path, 403]);
    }
  });
});

describe("someone of some tasks and queues", () => {
  it.each([
    ["ann", ["mail", "mailBox", "mailShared"]],
    ["bob", ["mailBox", "hiddenBox"]],
    ["cas", ["mail", "mailBox"]],
  ])("%s sees their jobs, in lists and one by one, and no others", async (as, names) => {
    const list = await test.ask("/api/v1/jobs?limit=500", { as });
    expect(list.json["jobs"].map(({ id }: { id: string }) => id)).toEqual(names.map(idOf));
    for (const [name, id] of Object.entries(ids)) {
      const isOwn = names.includes(name);
      for (const path of [`jobs/${id}`, `jobs/${id}/why`])
        expect([name, path, (await test.ask(`/api/v1/${path}`, { as })).status]).toEqual([
          name,
          path,
          isOwn ? 200 : 404,
        ]);
    }
    // So with those that have ended.
    const ended = await test.ask("/api/v1/history", { as });
    expect(ended.json["jobs"].map(({ id }: { id: string }) => id)).toEqual(
      names.includes("mail") ? [idOf("mail")] : [],
    );
    for (const path of [`history/${idOf("hidden")}`, `jobs/${idOf("hidden")}/notes`])
      expect([path, (await test.ask(`/api/v1/${path}`, { as })).status]).toEqual([path, 404]);
    // A filter for another's task finds nothing.
    const other = await test.ask("/api/v1/jobs?task=hidden_task&queueName=hidden_queue", { as });
    expect(other.json["jobs"]).toEqual([]);
    const key = await test.ask("/api/v1/jobs?jobKey=hidden-key", { as });
    expect(key.json["jobs"]).toEqual([]);
    const holder = (await test.client.getJob(idOf("holder")))?.lockedBy;
    const held = (who: string) => test.ask(`/api/v1/jobs?workerId=${holder}`, { as: who });
    expect((await held("reader")).json["jobs"]).toMatchObject([{ id: idOf("holder"), state: "running" }]);
    expect((await held(as)).json["jobs"]).toEqual([]);
  });

  it("reads nowhere a name, an error or an id of what is not theirs", async () => {
    for (const as of ["ann", "cas"]) {
      for (const [id, route] of Object.entries<Route>(ROUTES)) {
        if (route.method === "POST") continue;
        const { text } = await test.ask(pathOf(route), { as });
        expect([id, /hidden/.test(text)]).toEqual([id, false]);
      }
      const why = await test.ask(`/api/v1/jobs/${idOf("mail")}/why`, { as });
      expect(why.text).not.toContain("hidden");
    }
    // Who may see all reads it, as soon as the worker has said what it runs.
    await until(async () => (await test.ask(`/api/v1/jobs/${idOf("mailShared")}/why`)).text.includes("hidden_task"));
    const shared = await test.ask(`/api/v1/jobs/${idOf("mailShared")}/why`, { as: "ann" });
    expect(shared.status).toBe(200);
    expect(shared.json["reasons"].map(({ code }: { code: string }) => code)).toContain("queue_locked");
    expect(shared.text).not.toMatch(/hidden/);
    expect(shared.json["reasons"].some(({ jobId }: { jobId?: string }) => jobId === idOf("holder"))).toBe(false);
  });

  it("sees queues only by their queues, and tasks only by their tasks", async () => {
    const names = (json: Record<string, { name: string }[]>, list: string): string[] =>
      (json[list] ?? []).map(({ name }) => name);
    expect((await test.ask("/api/v1/queues", { as: "ann" })).status).toBe(403);
    expect((await test.ask("/api/v1/queues/shared/lock", { as: "ann" })).status).toBe(404);
    expect((await test.ask("/api/v1/tasks", { as: "bob" })).status).toBe(403);
    expect(names((await test.ask("/api/v1/queues", { as: "bob" })).json, "queues")).toEqual(["box"]);
    expect(names((await test.ask("/api/v1/tasks", { as: "ann" })).json, "tasks")).toEqual(["mail"]);
    expect((await test.ask("/api/v1/queues/hidden_queue", { as: "bob" })).status).toBe(404);
    expect((await test.ask("/api/v1/tasks/hidden_task", { as: "ann" })).status).toBe(404);
    expect((await test.ask("/api/v1/doctor", { as: "ann" })).status).toBe(403);
    // The counts of all tasks and queues.
    for (const as of ["ann", "bob", "cas"]) expect((await test.ask("/api/v1/samples", { as })).status).toBe(403);
    const schedules = await test.ask("/api/v1/schedules", { as: "ann" });
    expect(schedules.json["schedules"].map(({ id }: { id: string }) => id)).toEqual(["mails"]);
    const { json } = await test.ask("/api/v1/overview", { as: "ann" });
    expect([json["counts"].ready.value, json["counts"].failed.value, json["needs"]]).toEqual([3, 0, []]);
    expect(json["rates"]).toBeNull();
  });

  it("changes nothing that is not theirs, by whatever route", async () => {
    const refused = async (as: string, path: string, body: object, status = 403): Promise<void> => {
      const answer = await test.ask(`/api/v1/${path}`, { as, body });
      expect([path, answer.status]).toEqual([path, status]);
    };
    await refused("ann", "jobs", { task: "hidden_task" });
    await refused("bob", "jobs", { task: "mail" });
    await refused("cas", "jobs", { task: "mail", queueName: "shared" });
    // Its key would replace a job of another task.
    await refused("ann", "jobs", { task: "mail", jobKey: "hidden-key" });
    await refused("ann", "jobs", { task: "mail", copyOf: idOf("hidden") }, 404);
    await refused("ann", "tasks/hidden_task/pause", {});
    await refused("ann", "queues/shared/pause", {});
    await refused("bob", "queues/hidden_queue/pause", {});
    await refused("bob", "tasks/mail/resume", {});
    // Of these only some jobs are theirs.
    for (const verb of ["pause", "resume"]) {
      await refused("cas", `tasks/mail/${verb}`, {});
      await refused("cas", `queues/box/${verb}`, {});
    }
    await refused("ann", "schedules/hidden_schedule/trigger", {}, 404);
    const all = Object.values(ids);
    const { json } = await test.ask("/api/v1/jobs/actions", {
      as: "cas",
      body: { action: "reschedule", ids: all, to: { priority: 7 } },
    });
    expect(json["changed"].sort()).toEqual([idOf("mail"), idOf("mailBox")].sort());
    expect(await test.client.getJob(idOf("hidden"))).toMatchObject({ priority: 0 });
  });

  it("changes nothing that only a replica still takes for theirs", async () => {
    await using database = await createDatabase();
    await using behind = await createDatabase();
    const ground = { ...database, readDriver: behind.driver, logger: silentLogger };
    const client = clientOver(ground);
    const admin = createAdmin({
      client,
      logger: silentLogger,
      authorize: () => ({ name: "ann", role: "operate", tasks: ["mail"] }),
    });
    // On the replica the key is not there yet, and the job is still one of "mail".
    const { id } = await client.addJob("hidden_task", {}, { jobKey: "key" });
    await behind.sql("select howdah.add_job('mail')");
    const keyed = await ask(admin, "/api/v1/jobs", { body: { task: "mail", jobKey: "key" } });
    expect(keyed.status).toBe(403);
    const removed = await ask(admin, "/api/v1/jobs/actions", { body: { action: "remove", ids: [id] } });
    expect(removed.json).toEqual({ changed: [], signalled: [], untouched: [id], undo: null });
    expect(await client.getJob(id)).toMatchObject({ task: "hidden_task", jobKey: "key" });
    await admin.close();
    await client.close();
  });

  it("previews and changes their own jobs only, and cannot use another's preview", async () => {
    const preview = (as: string, body: object) => test.ask("/api/v1/jobs/preview", { as, body });
    const { json } = await preview("ann", {
      action: "reschedule",
      filter: { since: "2020-01-01T00:00:00Z" },
      to: { priority: 9 },
    });
    expect(json["byTask"]).toEqual([{ task: "mail", count: 3 }]);
    const byIds = await preview("ann", {
      action: "reschedule",
      ids: [idOf("hidden"), idOf("mail")],
      to: { priority: 9 },
    });
    expect(byIds.json).toMatchObject({ matched: { value: 1 }, untouched: [{ count: { value: 1 } }] });
    for (const as of ["bob", "operator", "root"])
      expect((await test.ask("/api/v1/operations", { as, body: { token: json["token"] } })).status).toBe(409);
    const begun = await test.ask("/api/v1/operations", { as: "ann", body: { token: json["token"] } });
    expect(begun.status).toBe(202);
    const id = begun.json["operation"].id as string;
    await expect.poll(async () => (await test.client.operations.get(id)).state).toBe("done");
    expect(await test.client.getJob(idOf("mail"))).toMatchObject({ priority: 9 });
    expect(await test.client.getJob(idOf("hidden"))).toMatchObject({ priority: 0 });
    // Who has other tasks does not see it, and cannot resume or stop it.
    expect((await test.ask(`/api/v1/operations/${id}`, { as: "ann" })).status).toBe(200);
    expect((await test.ask(`/api/v1/operations/${id}`, { as: "cas" })).status).toBe(404);
    expect((await test.ask(`/api/v1/operations/${id}/resume`, { as: "bob", body: {} })).status).toBe(404);
    expect((await test.ask("/api/v1/operations", { as: "bob" })).json["operations"]).toEqual([]);
    // They see what they did, and who may see all sees everything.
    const own = await test.ask("/api/v1/activity", { as: "ann" });
    expect(new Set(own.json["activity"].map(({ who }: { who: string }) => who))).toEqual(new Set(["ann"]));
    const whole = await test.ask("/api/v1/activity", { as: "reader" });
    expect(new Set(whole.json["activity"].map(({ who }: { who: string }) => who))).toEqual(new Set(["ann", "cas"]));
  });
});
