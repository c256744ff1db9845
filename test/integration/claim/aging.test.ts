import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClaims, idsOf, type Claims } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules, overfull, shapeQueues } from "../../harness/shape-queues.ts";

// Places of claims for jobs that wait behind better priorities.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const claims: Claims = await createClaims(database);

const MINUTE = 60;
const aging = (places: number) => ({ places, afterMs: 10 * MINUTE * 1_000 });
const WITHOUT_WINDOW = { windowAfter: null } as const;

/** Adds jobs that are due for that number of seconds, the first one for longest. */
async function add(count: number, priority: number, seconds: number, queue: string | null = null): Promise<void> {
  await database.sql(
    `select howdah.add_job('t', priority => $2::int, queue_name => $4,
       run_at => now() - $3 * interval '1 s' + n * interval '1 ms')
     from generate_series(1, $1) as n`,
    [count, priority, seconds, queue],
  );
}

/** How many jobs of each priority. */
function tally(jobs: readonly { readonly priority: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { priority } of jobs) counts[priority] = (counts[priority] ?? 0) + 1;
  return counts;
}

describe("a claim that reserves places", () => {
  it("takes them from the priority that waits longest, and the others in order", async () => {
    await add(50, 0, MINUTE);
    await add(50, 5, 20 * MINUTE);
    await add(50, 9, 30 * MINUTE);
    const { jobs } = await claims.claim({ quantity: 16, aging: aging(2) });
    expect(tally(jobs)).toEqual({ 0: 14, 9: 2 });
  });

  it.each([
    ["no other priority waits", [0, 0], 20 * MINUTE],
    ["those behind the best one have not waited for long", [0, 5], 5 * MINUTE],
    ["none is reserved", [0, 5], 20 * MINUTE],
  ])("takes all in order when %s", async (why, [first = 0, second = 0], seconds) => {
    await add(20, first, MINUTE);
    await add(20, second, seconds);
    const { jobs } = await claims.claim({
      quantity: 8,
      aging: why.startsWith("none") ? undefined : aging(1),
    });
    expect(tally(jobs)).toEqual({ 0: 8 });
  });

  it("goes on where it has left off, with floors and without, and misses nothing", async () => {
    await add(64, 0, MINUTE);
    await add(16, 5, 20 * MINUTE);
    let wanted = {};
    const seen = new Set<string>();
    const counts: Record<number, number>[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      const answer = await claims.claim({ quantity: 8, aging: aging(1), ...WITHOUT_WINDOW, ...wanted });
      for (const { id } of answer.jobs) expect(seen.has(id)).toBe(false);
      for (const { id } of answer.jobs) seen.add(id);
      counts.push(tally(answer.jobs));
      const levels = new Map(answer.levels.flatMap(({ priority, floor }) => (floor ? [[priority, floor]] : [])));
      wanted =
        turn % 3 === 2
          ? {}
          : {
              due: answer.due,
              levels: [...levels]
                .map(([priority, floor]) => ({ priority, floor }))
                .sort((a, b) => a.priority - b.priority),
            };
    }
    expect(seen.size).toBe(80);
    expect(counts.slice(0, 9)).toEqual(Array(9).fill({ 0: 7, 5: 1 }));
  });

  it("counts heads of queues, and takes the oldest first, beside jobs without a queue", async () => {
    await add(20, 0, MINUTE);
    await add(3, 5, 20 * MINUTE, "a");
    await add(3, 5, 19 * MINUTE);
    await add(3, 5, 18 * MINUTE, "b");
    await add(5, 0, 2 * MINUTE, "urgent");
    const { jobs } = await claims.claim({ quantity: 16, aging: aging(2) });
    expect(tally(jobs)).toEqual({ 0: 14, 5: 2 });
    const waited = jobs.filter(({ priority }) => priority === 5).map(({ queueName }) => queueName);
    expect(waited.toSorted((a, b) => Number(a === null) - Number(b === null))).toEqual(["a", null]);
    const held = await database.sql(
      "select queue_name from howdah._private_job_queues where locked_by = 'w' order by 1",
    );
    expect(held.map((row) => row["queue_name"])).toEqual(["a", "urgent"]);
  });

  it.each([
    ["a serial one", undefined],
    ["one of two lanes", 2],
    ["one without a limit", 0],
  ])("gives a place to the head of a queue, %s, although heads of better ones are enough", async (_, width) => {
    for (let queue = 0; queue < 12; queue += 1) await add(2, 0, MINUTE, `urgent ${queue}`);
    await add(3, 5, 20 * MINUTE, "patient");
    if (width !== undefined) await shapeQueues(database, "%", { width });
    const queueIds = (await database.sql("select id from howdah._private_job_queues")).map((row) => Number(row["id"]));
    const { jobs, leftover } = await claims.claim({ quantity: 8, queueIds, aging: aging(1) });
    expect(tally(jobs)).toEqual({ 0: 7, 5: 1 });
    const taken = new Set(jobs.map(({ queueId }) => queueId));
    expect(queueIds.filter((id) => !taken.has(id) && !leftover.includes(id))).toEqual([]);
    expect(await overfull(database)).toEqual([]);
  });

  it("takes of queues with rules no more than slots are free", async () => {
    await add(20, 0, MINUTE);
    for (const queue of ["a", "b", "c"]) await add(2, 5, 20 * MINUTE, queue);
    await shapeQueues(database, "%", { width: 2 });
    const { jobs } = await claims.claim({ quantity: 24, mostRuled: 1, aging: aging(3) });
    expect(jobs.filter(({ queueId }) => queueId !== null)).toHaveLength(1);
  });

  it("leaves tasks alone that rest", async () => {
    await add(20, 0, MINUTE);
    await database.sql(
      "select howdah.add_job('resting', priority => 5, run_at => now() - interval '1 hour') from generate_series(1, 3)",
    );
    const [row] = await database.sql("select id from howdah._private_tasks where identifier = 'resting'");
    const [own] = await database.sql("select id from howdah._private_tasks where identifier = 't'");
    const restingId = Number(row?.["id"]);
    const taskIds = [Number(own?.["id"]), restingId];
    const { jobs } = await claims.claim({ quantity: 8, taskIds, restingTaskIds: [restingId], aging: aging(1) });
    expect(tally(jobs)).toEqual({ 0: 8 });
    const next = await claims.claim({ quantity: 8, taskIds, aging: aging(1) });
    expect(tally(next.jobs)).toEqual({ 0: 7, 5: 1 });
  });

  it("takes nothing twice when two of them run at once", async () => {
    await add(400, 0, MINUTE);
    await add(100, 5, 20 * MINUTE);
    const rivals = [claims, await createClaims(database, "x"), await createClaims(database, "y")];
    const ids: number[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      const answers = await Promise.all(rivals.map(({ claim }) => claim({ quantity: 16, aging: aging(2) })));
      for (const answer of answers) ids.push(...idsOf(answer));
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(300);
  });
});
