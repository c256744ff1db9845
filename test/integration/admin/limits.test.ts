import { afterAll, beforeEach, expect, it } from "vitest";
import { LockAnswer, QueueAnswer, QueuesAnswer } from "../../../src/admin/contract/group-views.ts";
import { createTestAdmin } from "../../harness/admin.ts";
import { addTo, emptyFlow, holdLane } from "../../harness/flow.ts";

const admin = await createTestAdmin();
const { client, database } = admin;
afterAll(() => admin[Symbol.asyncDispose]());
beforeEach(() => emptyFlow(database));

const lockOf = async (name: string): Promise<LockAnswer> =>
  LockAnswer.parse((await admin.ask(`/api/v1/queues/${encodeURIComponent(name)}/lock`)).json);

it("shows what the rules of a queue are, and what they leave to it", async () => {
  await client.setQueuePool("api", { concurrency: 7 });
  await client.setQueueRules("crm:*", { concurrency: 2, rate: { limit: 100, per: "1m" }, share: 4, pool: "api" });
  const [id = 0] = await addTo(database, "crm:acme", "crm:acme", "serial");
  await database.sql("update howdah._private_job_queues set _howdah_parked_until = '2100-01-01' where id = $1", [id]);
  const limits = {
    rule: "crm:*",
    concurrency: 2,
    running: 0,
    rate: { limit: 100, perMs: 60_000, burst: 2 },
    nextStartAt: null,
    parkedUntil: "2100-01-01T00:00:00.000Z",
    share: 4,
    pool: "api",
    isWaiting: false,
  };
  const list = QueuesAnswer.parse((await admin.ask("/api/v1/queues")).json);
  expect(list.queues.map((queue) => [queue.name, queue.limits])).toEqual([
    ["crm:acme", limits],
    ["serial", null],
  ]);
  const one = QueueAnswer.parse((await admin.ask("/api/v1/queues/crm%3Aacme")).json);
  expect(one.queue).toMatchObject({ lockedAt: null, lockedBy: null, limits });
  expect(await lockOf("crm:acme")).toMatchObject({
    state: "parked",
    holder: null,
    pool: { name: "api", concurrency: 7, running: 0, nextStartAt: null },
  });
  expect(await lockOf("serial")).toMatchObject({ state: "free", pool: null, queue: { limits: null } });
});

it("does not say that a queue is free whose lanes, or whose pool, are all taken", async () => {
  await client.setQueuePool("api", { concurrency: 1 });
  await client.setQueueRules("q", { concurrency: 2, pool: "api" });
  const [id = 0] = await addTo(database, "q", "q", "q");
  expect((await lockOf("q")).sentence).toBe("Open: its next job can start. 0 of at most 2 jobs run.");
  await holdLane(database, { queueId: id, lane: 1, workerId: "w_1" });
  expect(await lockOf("q")).toMatchObject({
    state: "open",
    chain: [{ lockedBy: "w_1" }],
    waiting: { count: { value: 2 } },
  });
  await database.sql("update howdah._howdah_lanes set locked_at = now(), locked_by = 'w_1' where owner_id < 0");
  expect(await lockOf("q")).toMatchObject({ state: "pool_full", pool: { concurrency: 1, running: 1 } });
  await holdLane(database, { queueId: id, lane: 2, workerId: "w_2" });
  expect(await lockOf("q")).toMatchObject({ state: "full", sentence: "Full: 2 of at most 2 jobs run." });
});

it("shows the rate of a name before that of a pattern, and which rules a queue waits for", async () => {
  const [id = 0] = await addTo(database, "mail:in");
  await client.setQueueRules("*", { concurrency: 9 });
  await client.setQueueRules("mail:*", { rate: { limit: 1, per: "1h" } });
  await database.sql("update howdah._howdah_buckets set next_at = now() + interval '1 h' where owner_id = $1", [id]);
  expect(await lockOf("mail:in")).toMatchObject({
    state: "rated",
    queue: { limits: { rule: "mail:*", concurrency: 1, rate: { limit: 1, perMs: 3_600_000, burst: 1 } } },
  });
  await client.setQueueRules("mail:in", { concurrency: "unlimited" });
  expect(await lockOf("mail:in")).toMatchObject({
    state: "open",
    queue: { limits: { rule: "mail:in", concurrency: null, rate: null } },
  });
  await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w' where job_queue_id = $1", [
    id,
  ]);
  for (const pattern of ["*", "mail:*", "mail:in"]) await client.setQueueRules(pattern, null);
  expect(await lockOf("mail:in")).toMatchObject({
    state: "waiting",
    queue: { limits: { rule: null, running: 1, isWaiting: true } },
  });
});

it("unlocks the one worker that runs jobs of a queue with rules, and refuses to choose among several", async () => {
  const unlock = () => admin.ask("/api/v1/queues/q/unlock", { method: "POST" });
  const held = () => database.sql("select lane from howdah._howdah_lanes where locked_by is not null");
  await client.setQueueRules("q", { concurrency: 3 });
  const [id = 0] = await addTo(database, "q", "q", "q");
  expect(await unlock()).toMatchObject({ status: 200, json: { workerIds: [] } });
  await holdLane(database, { queueId: id, lane: 1, workerId: "w_1" });
  await holdLane(database, { queueId: id, lane: 3, workerId: "w_2" });
  expect(await unlock()).toMatchObject({
    status: 400,
    json: { detail: expect.stringContaining("2 workers run jobs of it: w_1, w_2. Unlock the one") },
  });
  expect(await held()).toHaveLength(2);
  await client.forceUnlockWorkers(["w_1"]);
  expect(await unlock()).toMatchObject({ status: 200, json: { workerIds: ["w_2"] } });
  expect(await held()).toEqual([]);
  const locked = await database.sql("select id from howdah._private_jobs where locked_by is not null");
  expect(locked).toEqual([]);
  const entries = await client.getJob("1");
  expect(entries?.state).toBe("ready");
  const activity = (await admin.ask("/api/v1/activity?limit=10")).json as {
    activity: { action: string; outcome: string }[];
  };
  expect(activity.activity.filter(({ action }) => action === "queues.unlock")).toHaveLength(2);
});
