import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, silentLogger } from "../../../src/index.ts";
import { readControl } from "../../../src/postgres/queries/control.ts";
import type { ChainEnd } from "../../../src/postgres/queries/ending/release-request.ts";
import { createHeldLocks } from "../../../src/postgres/queries/held-locks.ts";
import { blocked } from "../../harness/blocked.ts";
import { changeOf, createClaims } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { addTo, emptyFlow, holdLane, LANES, shapeOf } from "../../harness/flow.ts";

const database = await createDatabase();
const { connectionString, driver, schema } = database;
const client = await createClient({ connectionString, logger: silentLogger, migrate: false });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyFlow(database));
const worker = await createClaims(database);

const held = async (): Promise<number[]> => (await shapeOf(database, "q"))?.heldLanes.slice() ?? [];
const statuses = ({ unreleased }: { unreleased: ReadonlyMap<string, string> }) => Object.fromEntries(unreleased);
const count = async (table: string) => (await database.sql(`select from howdah.${table}`)).length;

/** A queue of a number of lanes and jobs. */
async function queueOf(lanes: number, jobs = lanes): Promise<number> {
  const [id = 0] = await addTo(database, ...Array.from({ length: jobs }, () => "q"));
  await client.setQueueRules("q", { concurrency: lanes });
  return id;
}

/** Holds a lane, and what ends it. */
async function claimLane(queueId: number, lane: number, workerId = "w") {
  const { claimedAt, jobId } = await holdLane(database, { queueId, lane, workerId });
  return { claimedAt, jobId, end: { queueId, lane, lastJobId: jobId, claimedAt } satisfies ChainEnd };
}

describe.each([
  ["a completion", (id: string) => ({ completed: [id] })],
  ["a failure", (id: string) => ({ changed: [changeOf(id, { message: "no", delayMs: 60_000 })] })],
])("the release of %s", (name, end) => {
  it("frees its lane and no other, also when it is sent again with later times, after the lane was claimed anew", async () => {
    const id = await queueOf(2, 3);
    const first = await claimLane(id, 1);
    await claimLane(id, 2);
    const ending = { claimTimes: [first.claimedAt], ...end(first.jobId), chainEnds: [first.end] };
    expect(statuses(await worker.release(ending))).toEqual({});
    expect(await held()).toEqual([2]);
    // The answer was lost, and the repeat travels with what was claimed since.
    const second = await claimLane(id, 1);
    const times = [first.claimedAt, second.claimedAt];
    expect(Object.keys(statuses(await worker.release({ ...ending, claimTimes: times })))).toEqual([first.jobId]);
    expect(await held()).toEqual([1, 2]);
  });

  it("keeps the lane while its last job is still held, and frees it with any of its times", async () => {
    const id = await queueOf(1, 2);
    const { claimedAt, jobId, end: laneEnd } = await claimLane(id, 1);
    const session = await database.connect();
    await session.query("begin");
    await session.query("select from howdah._private_jobs where id = $1 for update", [jobId]);
    const stuck = { claimTimes: [claimedAt], ...end(jobId), chainEnds: [laneEnd], patient: false };
    expect(statuses(await worker.release(stuck))).toEqual({ [jobId]: "busy" });
    expect(await held()).toEqual([1]);
    await session.query("rollback");
    await session.end();
    const early = { ...laneEnd, claimedAt: "1" };
    await worker.release({ claimTimes: [claimedAt, "1"], ...end(jobId), chainEnds: [early, laneEnd] });
    expect(await held()).toEqual([]);
  });

  it("takes a lane away that the queue has no longer", async () => {
    const id = await queueOf(3);
    const { claimedAt, jobId, end: laneEnd } = await claimLane(id, 3);
    await client.setQueueRules("q", { concurrency: 2 });
    await worker.release({ claimTimes: [claimedAt], ...end(jobId), chainEnds: [laneEnd] });
    expect(await shapeOf(database, "q")).toMatchObject({ lanes: [1, 2], heldLanes: [] });
  });

  it("frees the lane of its pool", async () => {
    await client.setQueuePool("p", { concurrency: 2 });
    const id = await queueOf(2);
    const { claimedAt, jobId, end: laneEnd } = await claimLane(id, 1);
    await database.sql(
      "update howdah._howdah_lanes set locked_at = howdah._howdah_at($1), locked_by = 'w', job_id = $2 where owner_id = -1 and lane = 2",
      [claimedAt, jobId],
    );
    const poolEnd = { ...laneEnd, queueId: -1, lane: 2 };
    await worker.release({ claimTimes: [claimedAt], ...end(jobId), chainEnds: [laneEnd, poolEnd] });
    expect(await database.sql("select from howdah._howdah_lanes where locked_by is not null")).toEqual([]);
  });

  it(`is written in part, when other jobs were lost, and frees the lanes of the rest: ${name}`, async () => {
    const id = await queueOf(2);
    const [first, second] = [await claimLane(id, 1), await claimLane(id, 2)];
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = $1", [second.jobId]);
    const both = [end(first.jobId), end(second.jobId)];
    const answer = await worker.release({
      claimTimes: [first.claimedAt, second.claimedAt],
      completed: both.flatMap((one) => ("completed" in one ? one.completed : [])),
      changed: both.flatMap((one) => ("changed" in one ? one.changed : [])),
      chainEnds: [first.end, second.end],
    });
    expect(statuses(answer)).toEqual({ [second.jobId]: "lost" });
    expect(await held()).toEqual([]);
  });
});

it("a release parks queues with rules, for ever longer", async () => {
  await addTo(database, "serial");
  const id = await queueOf(1);
  const parked = async () => {
    const rows = await database.sql(
      "select (extract(epoch from _howdah_parked_until) * 1000000)::text as us from howdah._private_job_queues order by id",
    );
    return rows.map(({ us }) => us && String(us).replace(/\..*/, ""));
  };
  const park = (until: string) => ({ queueId: id, until });
  await worker.release({ parks: [park("2000"), park("3000"), { queueId: id - 1, until: "5000" }] });
  expect(await parked()).toEqual([null, "3000"]);
  await worker.release({ parks: [park("1000")] });
  expect(await parked()).toEqual([null, "3000"]);
});

describe("a renewal", () => {
  const locks = createHeldLocks(driver, schema);
  const times = async () =>
    (
      await database.sql(
        `select howdah._howdah_us(locked_at)::text as us from howdah._howdah_lanes where owner_id = 1
         union all select howdah._howdah_us(locked_at)::text from howdah._private_jobs`,
      )
    ).map(({ us }) => us as string);

  it("renews a lane of this claim, and steps over a job that a user has locked, whose lane recovery leaves alone", async () => {
    const id = await queueOf(1);
    const { claimedAt, jobId, end } = await claimLane(id, 1);
    const renewedAt = String(BigInt(claimedAt) + 5n);
    const session = await database.connect();
    await session.query("begin; select from howdah._private_jobs for update");
    const lanes = [{ ownerId: id, lane: 1 }];
    const renewal = { workerId: "w", jobIds: [jobId], queueIds: [], claimTimes: [claimedAt], renewedAt, lanes };
    await locks.renew({ ...renewal, claimTimes: ["1"] });
    expect(await times()).toEqual([claimedAt, claimedAt]);
    await locks.renew(renewal);
    expect(await times()).toEqual([renewedAt, claimedAt]);
    await database.sql("select from howdah._howdah_free_queues_v1('{w}', null)");
    expect(await held()).toEqual([1]);
    await session.query("rollback");
    await session.end();
    await worker.release({
      claimTimes: [claimedAt, renewedAt],
      completed: [jobId],
      chainEnds: [end, { ...end, claimedAt: renewedAt }],
    });
    expect(await held()).toEqual([]);
  });
});

it("a worker that asks for its locks is told of jobs on lanes", async () => {
  const id = await queueOf(1);
  const { jobId, claimedAt } = await claimLane(id, 1);
  const { locks } = await readControl({ executor: driver, schema }, [jobId]);
  expect(locks.get(jobId)).toEqual({ workerId: "w", lockedAt: claimedAt });
});

describe("the lanes of a dead worker", () => {
  const jobsFree = () => database.sql("update howdah._private_jobs set locked_at = null, locked_by = null");
  const orphans = async () =>
    (await database.sql("select id from howdah._howdah_orphans_v1(null, 0, 0)")).map(({ id }) => id as string);
  /** Three lanes of three held, a registered worker that is dead. */
  async function die(): Promise<number> {
    const id = await queueOf(3, 6);
    for (const lane of [1, 2, 3]) await holdLane(database, { queueId: id, lane, workerId: "w" });
    await database.sql(
      "insert into howdah._private_workers (id, last_heartbeat_at) values ('w', now() - interval '1 day')",
    );
    return id;
  }

  it.each([
    ["a sweep at the word of an operator", ["select howdah._howdah_sweep_v1(1, 1, 1, '{}', 1, 0, false)"]],
    [
      "the functions of other implementations",
      ["select howdah.recover_dead_worker_jobs('{w}')", "select howdah.delete_stale_workers('{w}')"],
    ],
    ["a force unlock", ["select howdah.force_unlock_workers('{w}')", "select howdah.delete_stale_workers('{w}')"]],
    [
      "the stages of a sweeper",
      [
        "select howdah._howdah_recover_v1('{w}', 0, null, 100)",
        "select howdah._howdah_free_queues_v1('{w}', null)",
        "select howdah.delete_stale_workers('{w}')",
      ],
    ],
  ])("are free after %s, and nothing is left of it", async (_, statements) => {
    const id = await die();
    const listener = await database.connect();
    const told: unknown[] = [];
    listener.on("notification", ({ payload }) => told.push((JSON.parse(payload ?? "") as { queues: unknown }).queues));
    await listener.query('listen "jobs:insert"');
    for (const statement of statements) await database.sql(statement);
    await listener.query("select 1");
    expect(await held()).toEqual([]);
    expect(await shapeOf(database, "q")).toMatchObject({ lockedBy: LANES, lanes: [1, 2, 3] });
    expect(await count("_private_workers")).toBe(0);
    expect(told.flat()).toContain(id);
    await listener.end();
  });

  it("are seen, and keep its registration, while they are all that it holds", async () => {
    await die();
    await jobsFree();
    await database.sql("select howdah.delete_stale_workers('{w}')");
    expect(await count("_private_workers")).toBe(1);
    await database.sql("delete from howdah._private_workers");
    expect(await orphans()).toEqual(["w"]);
    expect(await database.sql("select howdah.list_orphan_locked_workers('0 s') as id")).toEqual([{ id: "w" }]);
    await database.sql("select howdah._howdah_sweep_v1(0, 0, 0, '{}', 0, 0, false)");
    expect(await held()).toEqual([]);
    expect(await orphans()).toEqual([]);
  });

  it("stay while it holds a job of the queue, and those of a pool while it holds the queue's lane", async () => {
    await client.setQueuePool("p", { concurrency: 2 });
    const id = await queueOf(2);
    const { jobId } = await holdLane(database, { queueId: id, lane: 1, workerId: "w" });
    await database.sql(
      "update howdah._howdah_lanes set locked_at = now(), locked_by = 'w', job_id = $1 where owner_id = -1 and lane = 1",
      [jobId],
    );
    const free = () => database.sql("select owner_id from howdah._howdah_free_lanes_v1('{w}') order by 1");
    expect(await free()).toEqual([]);
    await jobsFree();
    const session = await database.connect();
    await session.query(`begin; select from howdah._howdah_lanes where owner_id = ${id} for update`);
    expect(await free()).toEqual([]);
    await session.query("rollback");
    await session.end();
    expect(await free()).toEqual([{ owner_id: -1 }, { owner_id: id }]);
  });

  it("are not those of another one, and go when the queue has them no longer", async () => {
    const id = await queueOf(3);
    await holdLane(database, { queueId: id, lane: 2, workerId: "living" });
    await holdLane(database, { queueId: id, lane: 3, workerId: "w" });
    await client.setQueueRules("q", { concurrency: 2 });
    await jobsFree();
    await database.sql("select howdah._howdah_free_queues_v1('{w}', null)");
    expect(await shapeOf(database, "q")).toMatchObject({ lanes: [1, 2], heldLanes: [2] });
  });
});

describe("the lock that queues with rules have for good", () => {
  it.each([
    "force_unlock_workers('{_howdah_lanes}')",
    "recover_dead_worker_jobs('{_howdah_lanes}')",
    "_howdah_free_queues_v1('{_howdah_lanes}', null)",
    "_howdah_recover_v1('{_howdah_lanes}', 0, null, 10)",
  ])("outlives %s", async (call) => {
    await queueOf(2);
    await database.sql(`select howdah.${call}`);
    expect(await shapeOf(database, "q")).toMatchObject({ lockedBy: LANES });
  });

  it("belongs to no worker that anybody looks for", async () => {
    await queueOf(2);
    expect(await database.sql("select howdah.list_orphan_locked_workers('-10000 years') as id")).toEqual([]);
    expect(await database.sql("select howdah._howdah_orphans_v1(null, -1, -1) as id")).toEqual([]);
  });
});

describe("a clean-up of queues", () => {
  const cleanUp = async () => (await client.cleanup(["unusedQueues"])).unusedQueues;

  it("takes lanes and buckets along", async () => {
    await client.setQueueRules("q", { concurrency: 3, rate: { limit: 100, per: "1s", burst: 20 } });
    await addTo(database, "q");
    await database.sql("delete from howdah._private_jobs");
    expect(await cleanUp()).toBe(1);
    expect([await count("_howdah_lanes"), await count("_howdah_buckets")]).toEqual([0, 0]);
  });

  it("spares a queue whose tokens are not all back, that is parked, or of which a lane is held", async () => {
    await client.setQueueRules("q", { concurrency: 2, rate: { limit: 1, per: "1m", burst: 2 } });
    await addTo(database, "q");
    await database.sql("delete from howdah._private_jobs");
    await database.sql("update howdah._howdah_buckets set next_at = now() - interval '59 s'");
    expect(await cleanUp()).toBe(0);
    await database.sql("update howdah._howdah_buckets set next_at = now() - interval '61 s'");
    await database.sql("update howdah._private_job_queues set _howdah_parked_until = now() + interval '1 h'");
    expect(await cleanUp()).toBe(0);
    await database.sql("update howdah._private_job_queues set _howdah_parked_until = now()");
    await database.sql("update howdah._howdah_lanes set locked_at = now(), locked_by = 'w' where lane = 2");
    expect(await cleanUp()).toBe(0);
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    expect(await cleanUp()).toBe(1);
  });

  it("steps over a queue that a claim is looking at, and does not wait for it", async () => {
    await client.setQueueRules("q*", { concurrency: "unlimited" });
    await addTo(database, "q1", "q2");
    await database.sql("delete from howdah._private_jobs");
    const session = await database.connect();
    await session.query("begin; select from howdah._howdah_buckets where owner_id = 1 and stripe = 3 for update");
    expect(await cleanUp()).toBe(1);
    expect(await shapeOf(database, "q1")).toMatchObject({ buckets: Array(4).fill([null, null]) });
    await session.query("rollback");
    await session.end();
  });
});

it("a pause waits for a claim that has locked a lane, and holds up the ones after it", async () => {
  await queueOf(3);
  const [claim, pause] = [await database.connect(), await database.connect()];
  await claim.query("begin; select from howdah._howdah_lanes where owner_id = 1 and lane = 2 for update");
  const pausing = pause.query("begin; select howdah._howdah_pause_queue_v1('q')");
  await blocked(database, pause);
  await claim.query("commit");
  await pausing;
  expect(
    (await claim.query("select from howdah._howdah_lanes where owner_id = 1 for update skip locked")).rowCount,
  ).toBe(0);
  await pause.query("commit");
  await Promise.all([claim.end(), pause.end()]);
});
