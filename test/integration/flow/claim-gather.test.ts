import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import type { ClaimRequest } from "../../../src/postgres/queries/claim.ts";
import { registerTasks } from "../../../src/postgres/queries/register-tasks.ts";
import { createClaims, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createPool, emptyRules, shapeQueues } from "../../harness/shape-queues.ts";

// What claims bring for calls that do several jobs of a queue.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const { claim } = await createClaims(database);
const tasks = await registerTasks(database.driver, database.schema, ["t", "gathered"]);
const [plainId = 0, gatheredId = 0] = ["t", "gathered"].map(
  (wanted) => [...tasks].find(([, identifier]) => identifier === wanted)?.[0],
);

/** A claim of a worker whose calls do up to four jobs. */
const gather = (wanted: Partial<ClaimRequest> & { readonly further?: number } = {}): Promise<ClaimAnswer> => {
  const { further = 100, ...rest } = wanted;
  return claim({
    taskIds: [plainId, gatheredId],
    gathering: { taskIds: [gatheredId], sizes: [4], further },
    ...rest,
  });
};

/** Adds jobs to a queue, g for those of the task that gathers, a second apart. */
async function add(kinds: string, queue = "q"): Promise<void> {
  for (const [index, kind] of [...kinds].entries()) {
    await database.sql("select howdah.add_job($1, queue_name => $2, run_at => now() - $3 * interval '1 s')", [
      kind === "g" ? "gathered" : "t",
      queue,
      1_000 - index,
    ]);
  }
}

/** The ids by the lanes that they run on. */
function byLane({ jobs }: ClaimAnswer): number[][] {
  const lanes = new Map<number, number[]>();
  for (const { id, lane } of jobs) lanes.set(lane ?? -1, [...(lanes.get(lane ?? -1) ?? []), Number(id)]);
  return [...lanes].sort(([a], [b]) => a - b).map(([, ids]) => ids.sort((a, b) => a - b));
}

describe("a claim of a serial queue", () => {
  it.each([
    ["of its task, up to its size", "gggggg", [1, 2, 3, 4]],
    ["up to the first of another task", "ggtgg", [1, 2]],
    ["when one of another task is the first", "tgggg", [1]],
    ["of another task", "tttt", [1]],
  ])("brings those that follow the head, %s", async (_, kinds, ids) => {
    await add(kinds);
    expect(idsOf(await gather())).toEqual(ids);
  });

  it("brings no more for other tasks than a chain has, and for a call no more than a chain if that is longer", async () => {
    await add("tttttt", "plain");
    await add("gggggg", "calls");
    const answer = await gather({ chainLength: 5, quantity: 12 });
    const counts = [plainId, gatheredId].map((task) => answer.jobs.filter(({ taskId }) => taskId === task).length);
    expect(counts).toEqual([5, 5]);
  });

  it("brings for one free slot what a call does, and no more than the number of further ones", async () => {
    await add("gggg", "a");
    await add("gggg", "b");
    const first = await gather({ quantity: 1 });
    expect([idsOf(first), first.more]).toEqual([[1, 2, 3, 4], true]);
    expect(idsOf(await gather({ quantity: 1, further: 1 }))).toEqual([5, 6]);
  });

  it("takes what comes before a job that rests", async () => {
    await add("ggtg");
    expect(idsOf(await gather({ restingTaskIds: [plainId] }))).toEqual([1, 2]);
  });

  it("leaves a queue alone whose head rests", async () => {
    await add("tggg");
    expect(idsOf(await gather({ restingTaskIds: [plainId] }))).toEqual([]);
  });
});

describe("a claim of a queue with lanes", () => {
  it("gives each call a lane, and each job of another task", async () => {
    await add("gggggtgg");
    await shapeQueues(database, "q", { width: 6 });
    expect(byLane(await gather())).toEqual([[1, 2, 3, 4], [5], [6], [7, 8]]);
    const held = await database.sql(
      "select lane::integer, job_id::integer as job from howdah._howdah_lanes where locked_by is not null order by lane",
    );
    expect(held).toEqual([
      { lane: 1, job: 4 },
      { lane: 2, job: 5 },
      { lane: 3, job: 6 },
      { lane: 4, job: 8 },
    ]);
  });

  it("starts as many calls as slots are free", async () => {
    await add("g".repeat(20));
    await shapeQueues(database, "q", { width: 6 });
    const answer = await gather({ quantity: 2 });
    expect(byLane(answer)).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    expect(answer).toMatchObject({ more: true });
    expect(idsOf(await gather({ quantity: 10, mostRuled: 1 }))).toEqual([9, 10, 11, 12]);
  });

  it("keeps the order of one lane, and goes no further than its call", async () => {
    await add("ggtgg");
    await shapeQueues(database, "q", { width: 1 });
    expect(byLane(await gather())).toEqual([[1, 2]]);
    expect(idsOf(await gather())).toEqual([]);
  });

  it("takes a lane of the pool for each call, and no more than it has", async () => {
    await add("g".repeat(10), "p1");
    await add("g".repeat(10), "p2");
    const poolId = await createPool(database, { width: 3 });
    await shapeQueues(database, "p%", { width: 5, poolId });
    const { jobs } = await gather({ quantity: 20 });
    const calls = new Set(jobs.map(({ queueId, lane, pool }) => `${queueId} ${lane} ${pool?.lane}`));
    expect([jobs.length, calls.size]).toEqual([12, 3]);
    const ofPool = [...calls].map((call) => Number(call.split(" ")[2]));
    expect(ofPool.sort((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  it("spends a token for each call, and tells the jobs of a call apart where there are no lanes", async () => {
    await add("g".repeat(20));
    await shapeQueues(database, "q", { width: 0, rate: { tokenUs: 3_600_000_000, burst: 3 } });
    const { jobs } = await gather({ quantity: 20 });
    const starts = jobs.map(({ extras }) => Number(extras?.start)).sort((a, b) => a - b);
    expect(starts).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    expect(jobs.every(({ lane }) => lane === 0)).toBe(true);
    expect(idsOf(await gather())).toEqual([]);
  });
});

it("a claim of a worker whose tasks gather nothing tells of no starts", async () => {
  await add("gg");
  await shapeQueues(database, "q", { width: 0 });
  const { jobs } = await claim({ taskIds: [plainId, gatheredId] });
  expect(jobs.map(({ extras }) => extras?.start)).toEqual([undefined, undefined]);
});
