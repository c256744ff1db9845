import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import { START } from "../../../src/postgres/position.ts";
import { registerTasks } from "../../../src/postgres/queries/register-tasks.ts";
import { createClaims, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules, shapeQueues } from "../../harness/shape-queues.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const { claim } = await createClaims(database);
const tasks = await registerTasks(database.driver, database.schema, ["t", "resting"]);
const [taskId = 0, restingId = 0] = ["t", "resting"].map(
  (wanted) => [...tasks].find(([, identifier]) => identifier === wanted)?.[0],
);
const both = { taskIds: [taskId, restingId] };
const resting = { ...both, restingTaskIds: [restingId] };

/** Adds jobs of these tasks, r for the resting one, a second apart. */
async function add(kinds: string, queue: string | null = null): Promise<void> {
  for (const [index, kind] of [...kinds].entries()) {
    await database.sql("select howdah.add_job($1, queue_name => $2, run_at => now() - $3 * interval '1 s')", [
      kind === "r" ? "resting" : "t",
      queue,
      1_000 - index,
    ]);
  }
}

const floorsOf = ({ levels, due }: ClaimAnswer) => ({
  due,
  levels: levels.map(({ priority, floor }) => ({ priority, floor: floor ?? START })),
});

describe("a claim while a task rests", () => {
  it("leaves its jobs without a queue, and takes those around them", async () => {
    await add("trtrt");
    const answer = await claim(resting);
    expect(idsOf(answer)).toEqual([1, 3, 5]);
    expect(idsOf(await claim({ ...both, ...floorsOf(answer), windowAfter: null }))).toEqual([2, 4]);
  });

  it("raises no floor over them when it is full, either", async () => {
    await add("rttttt");
    const answer = await claim({ ...resting, quantity: 3 });
    expect(idsOf(answer)).toEqual([2, 3, 4]);
    expect(idsOf(await claim({ ...both, ...floorsOf(answer), windowAfter: null }))).toEqual([1, 5, 6]);
  });

  it.each([
    ["a serial one", undefined],
    ["one of one lane", 1],
    ["one of three lanes", 3],
  ])("waits with a queue, %s, for the job at its head", async (_, width) => {
    await add("rt", "q");
    if (width !== undefined) await shapeQueues(database, "q", { width });
    const answer = await claim(resting);
    expect([answer.jobs, answer.more]).toEqual([[], false]);
    const next = await claim({ ...both, ...floorsOf(answer), windowAfter: null });
    expect(idsOf(next)[0]).toBe(1);
  });

  it.each([
    ["a serial one", undefined],
    ["one of three lanes", 3],
  ])("overtakes none in a queue, %s, whose head it takes", async (_, width) => {
    await add("trt", "q");
    if (width !== undefined) await shapeQueues(database, "q", { width });
    expect(idsOf(await claim({ ...resting, quantity: 10, chainLength: 10 }))).toEqual([1]);
  });

  it("goes on to look at queues that became due behind one that waits for it", async () => {
    await add("r", "q");
    await add("t", "p");
    const answer = await claim({ ...resting, windowAfter: null });
    expect([idsOf(answer), answer.more]).toEqual([[2], false]);
    expect(idsOf(await claim({ ...both, ...floorsOf(answer), windowAfter: null }))).toEqual([1]);
  });

  it("does all of a straight claim", async () => {
    await add("rtt");
    const levels = [{ priority: 0, floor: START }];
    const answer = await claim({ ...resting, levels, windowAfter: null, quantity: 2, isStraight: true });
    expect([idsOf(answer), answer.isStraight]).toEqual([[2, 3], false]);
  });
});
