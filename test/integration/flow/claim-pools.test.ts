import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import { createClaims, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createPool, emptyRules, endJobs, overfull, shapeQueues } from "../../harness/shape-queues.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const { claim } = await createClaims(database);
const other = await createClaims(database, "other");

/** Adds jobs to this many queues in turn. */
async function add(count: number, queues: number, name = "q", ago = "1 hour"): Promise<void> {
  await database.sql(
    "insert into howdah._private_job_queues (queue_name) select $1 || lpad(n::text, 5, '0') from generate_series(0, $2 - 1) as n",
    [name, queues],
  );
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, run_at)
     select 1, queues.id, now() - $4::interval
     from generate_series(0, $1 - 1) as n
     join howdah._private_job_queues as queues on queues.queue_name = $3 || lpad((n % $2::int)::text, 5, '0')
     order by n`,
    [count, queues, name, ago],
  );
}

const countsOf = ({ jobs }: ClaimAnswer) => {
  const counts = new Map<string, number>();
  for (const { queueName } of jobs) counts.set(String(queueName), (counts.get(String(queueName)) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => b - a);
};
const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
const poolLanes = ({ jobs }: ClaimAnswer) => jobs.map(({ pool }) => pool?.lane ?? 0).sort((a, b) => a - b);

describe("a pool", () => {
  it.each([1, 2, 4, 24])(
    "of three lanes starts three jobs, each on its own lane, of %i queues in one claim",
    async (queues) => {
      await add(48, queues);
      const poolId = await createPool(database, { width: 3 });
      await shapeQueues(database, "q%", { width: 5, poolId });
      const answer = await claim({ quantity: 24 });
      expect([answer.jobs.length, poolLanes(answer)]).toEqual([3, [1, 2, 3]]);
      expect(new Set(answer.jobs.map(({ pool }) => pool?.id))).toEqual(new Set([poolId]));
      expect(await overfull(database)).toEqual([]);
      expect(await other.claim({ quantity: 24 })).toMatchObject({ jobs: [], leftover: [], more: false });
    },
  );

  it("gives each of its queues one lane before one has two", async () => {
    await add(40, 4);
    const poolId = await createPool(database, { width: 6 });
    await shapeQueues(database, "q%", { width: 5, poolId });
    expect(countsOf(await claim({ quantity: 24 }))).toEqual([2, 2, 1, 1]);
    expect(await overfull(database)).toEqual([]);
  });

  it("goes on with the lanes that are freed", async () => {
    await add(10, 2);
    const poolId = await createPool(database, { width: 2 });
    await shapeQueues(database, "q%", { width: 5, poolId });
    const { jobs } = await claim({ quantity: 24 });
    await endJobs(
      database,
      jobs.slice(1).map(({ id }) => id),
    );
    const next = await other.claim({ quantity: 24 });
    expect([next.jobs.length, next.jobs[0]?.pool]).toEqual([1, jobs[1]?.pool]);
    expect(await overfull(database)).toEqual([]);
  });

  it("without lanes and with a rate starts what is in its bucket, and tells its queues when to look again", async () => {
    await add(10, 2);
    const poolId = await createPool(database, { width: 0, rate: { tokenUs: 60_000_000, burst: 3, stripes: 2 } });
    await shapeQueues(database, "q%", { width: 5, poolId });
    const answer = await claim({ quantity: 24 });
    expect([answer.jobs.length, answer.jobs.map(({ pool }) => pool)]).toEqual([3, [null, null, null]]);
    const again = await claim({ quantity: 24 });
    expect([again.jobs, again.more, sorted(again.waits.map(({ queueId }) => queueId))]).toEqual([[], false, [1, 2]]);
    expect(Number(again.waits[0]?.at)).toBeGreaterThan(Number(answer.claimedAt));
  });

  it("is shared by queues without lanes, and by such as have a rate", async () => {
    await add(20, 2);
    await add(20, 2, "r");
    const poolId = await createPool(database, { width: 7 });
    await shapeQueues(database, "q%", { width: 0, poolId });
    await shapeQueues(database, "r%", { width: 0, rate: { tokenUs: 60_000_000, burst: 1 }, poolId });
    const answer = await claim({ quantity: 24 });
    expect(poolLanes(answer)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(answer.jobs.filter(({ queueName }) => queueName?.startsWith("r"))).toHaveLength(2);
    expect(await overfull(database)).toEqual([]);
  });

  it("that is gone lets nothing start and holds nothing up", async () => {
    await add(4, 2);
    await add(4, 2, "free");
    await shapeQueues(database, "q%", { width: 5, poolId: 77 });
    const answer = await claim({ quantity: 24 });
    expect(answer.jobs.map(({ queueName }) => queueName?.slice(0, 4))).toEqual(["free", "free"]);
    expect(answer.more).toBe(false);
  });

  it("starts no more than its lanes when two sessions claim at once, again and again", async () => {
    await add(2_000, 40);
    const poolId = await createPool(database, { width: 9 });
    await shapeQueues(database, "q%", { width: 2, poolId });
    const problems: string[] = [];
    let done = 0;
    await Promise.all(
      ["w1", "w2", "w3", "w4"].map(async (worker) => {
        const session = await database.connect();
        const claims = await createClaims(database, worker, session);
        for (let turn = 0; turn < 60; turn += 1) {
          const { jobs } = await claims.claim({ quantity: 6, windowAfter: -1 });
          problems.push(...(await overfull(database)));
          await endJobs(
            database,
            jobs.map(({ id }) => id),
          );
          done += jobs.length;
        }
        await session.end();
      }),
    );
    expect(problems).toEqual([]);
    expect(done).toBeGreaterThan(400);
  });
});

describe("a full pool of 2,000 queues with the oldest jobs", () => {
  it("takes no place in the claims beside it", async () => {
    await add(2_000, 2_000);
    await add(50, 50, "free", "1 minute");
    const poolId = await createPool(database, { width: 1 });
    await shapeQueues(database, "q%", { width: 2, poolId });
    const { jobs, claimedAt } = await claim({ quantity: 1, queueIds: [1], windowAfter: null });
    expect(jobs).toHaveLength(1);
    const names = await database.sql("select id from howdah._private_job_queues where queue_name like 'free%'");
    const queueIds = [...Array.from({ length: 24 }, (_, index) => index + 1), ...names.map((row) => Number(row["id"]))];
    const due = { at: claimedAt, id: "0" };
    const answer = await other.claim({ quantity: 50, queueIds, due, windowAfter: null });
    expect([answer.jobs.length, answer.leftover]).toEqual([50, []]);
  });

  it("is passed by, and neither named again nor called more", async () => {
    await add(100, 100);
    const poolId = await createPool(database, { width: 1 });
    await shapeQueues(database, "q%", { width: 2, poolId });
    const first = await claim({ quantity: 24 });
    expect([first.jobs.length, first.leftover, first.more]).toEqual([1, [], false]);
    expect(await other.claim({ quantity: 24 })).toMatchObject({ jobs: [], leftover: [], more: false });
  });
});

describe("turns", () => {
  it("are taken in the order in which a worker has served queues, those first that it has not", async () => {
    await add(12, 4);
    const poolId = await createPool(database, { width: 1 });
    await shapeQueues(database, "q%", { width: 2, poolId });
    const order: number[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const { jobs } = await claim({
        quantity: 24,
        servedQueueIds: order.filter((id, index) => order.lastIndexOf(id) === index),
      });
      order.push(Number(jobs[0]?.queueId));
      await endJobs(database, [jobs[0]?.id ?? ""]);
    }
    expect(order).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });

  it("let a third tenant start at once beside two old backlogs that fill their pool", async () => {
    await add(200, 2, "old", "3 hours");
    await add(3, 1, "new", "1 second");
    const poolId = await createPool(database, { width: 2 });
    await shapeQueues(database, "old%", { width: 2, poolId });
    await shapeQueues(database, "new%", { width: 2, poolId });
    const claimed = await claim({ quantity: 24, queueIds: [1, 2, 3], servedQueueIds: [1, 2] });
    expect(new Set(claimed.jobs.map(({ queueId }) => queueId))).toEqual(new Set([1, 3]));
  });

  it("come after priorities", async () => {
    await add(4, 2);
    await shapeQueues(database, "q%", { width: 2 });
    await database.sql("update howdah._private_jobs set priority = 1 where job_queue_id = 1");
    expect(idsOf(await claim({ quantity: 1, servedQueueIds: [2] }))).toEqual([2]);
  });

  it("keep no serial queue waiting: queues with rules share the places that they have by age", async () => {
    await add(2, 2, "old", "3 hours");
    await add(1, 1, "serial", "2 hours");
    await add(1, 1, "young", "1 hour");
    await shapeQueues(database, "old%", { width: 2 });
    await shapeQueues(database, "young%", { width: 2 });
    const served = [1, 2];
    const { jobs } = await claim({ quantity: 3, servedQueueIds: served });
    expect(new Set(jobs.map(({ queueName }) => queueName?.slice(0, -5)))).toEqual(new Set(["old", "serial", "young"]));
  });
});

describe("a claim with fewer free slots than places", () => {
  it("takes that many jobs of queues with rules, and leaves the rest over", async () => {
    await add(8, 4);
    await add(4, 4, "serial");
    await shapeQueues(database, "q%", { width: 2 });
    const answer = await claim({ quantity: 24, mostRuled: 2 });
    expect(answer.jobs.filter(({ lane }) => lane !== null)).toHaveLength(2);
    expect(answer.jobs.filter(({ lane }) => lane === null)).toHaveLength(4);
    expect([sorted(answer.leftover), answer.more]).toEqual([[1, 2, 3, 4], false]);
  });

  it("looks at none of them when there is no free slot, and leaves over those that it met", async () => {
    await add(8, 4);
    await shapeQueues(database, "q%", { width: 2 });
    const answer = await claim({ quantity: 24, mostRuled: 0, queueIds: [3] });
    expect([answer.jobs, sorted(answer.leftover), answer.more]).toEqual([[], [1, 2, 3, 4], false]);
  });
});
