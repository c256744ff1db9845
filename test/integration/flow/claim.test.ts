import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimedRow } from "../../../src/postgres/queries/claimed-row.ts";
import { createClaims, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules, endJobs, overfull, shapeQueues } from "../../harness/shape-queues.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const { claim } = await createClaims(database);
const other = await createClaims(database, "other");

/** Adds jobs, each a second after the one before, to the queues of these names in turn. */
async function add(count: number, queues: readonly string[] = ["q"], priority = 0): Promise<void> {
  await database.sql(
    `select howdah.add_job('t', queue_name => ($2::text[])[1 + (n - 1) % cardinality($2)], priority => $3::int,
       run_at => now() - (1000 - n) * interval '1 s')
     from generate_series(1, $1) as n`,
    [count, queues, priority],
  );
}

const lanesOf = (jobs: readonly ClaimedRow[]) => jobs.map(({ lane }) => lane).sort((a, b) => Number(a) - Number(b));

describe("a claim of a queue with lanes", () => {
  it("starts as many jobs as there are lanes, the first ones, each on a lane of its own", async () => {
    await add(10);
    await shapeQueues(database, "q", { width: 3 });
    const answer = await claim({ quantity: 10 });
    expect(idsOf(answer)).toEqual([1, 2, 3]);
    expect(lanesOf(answer.jobs)).toEqual([1, 2, 3]);
    expect(answer.jobs.map(({ pool, queueName }) => [pool, queueName])).toEqual(Array(3).fill([null, "q"]));
    const held = await database.sql(
      "select lane, locked_by, job_id::int as id, howdah._howdah_us(locked_at)::text as at from howdah._howdah_lanes order by lane",
    );
    const laneOf = new Map(answer.jobs.map(({ id, lane }) => [lane, Number(id)]));
    expect(held).toEqual(
      [1, 2, 3].map((lane) => ({ lane, locked_by: "w", id: laneOf.get(lane), at: answer.claimedAt })),
    );
  });

  it("finds nothing while all lanes are held, and goes on with one that is freed", async () => {
    await add(10);
    await shapeQueues(database, "q", { width: 3 });
    const { jobs } = await claim({ quantity: 10 });
    expect(await other.claim({ quantity: 10 })).toMatchObject({ jobs: [], leftover: [], waits: [], more: false });
    const [ended] = jobs;
    await endJobs(database, [ended?.id ?? ""]);
    const next = await other.claim({ quantity: 10 });
    expect([idsOf(next), next.jobs.map(({ lane }) => lane)]).toEqual([[4], [ended?.lane]]);
    expect(await overfull(database)).toEqual([]);
  });

  it("starts all of a queue without a limit, and tells that they have no lane", async () => {
    await add(6);
    await shapeQueues(database, "q", { width: 0 });
    const answer = await claim({ quantity: 10 });
    expect([idsOf(answer), lanesOf(answer.jobs)]).toEqual([[1, 2, 3, 4, 5, 6], Array(6).fill(0)]);
  });

  it("starts none of a queue without lanes and buckets: nothing would hold a change of its rules", async () => {
    await add(3);
    await shapeQueues(database, "q", { width: 0 });
    await database.sql("delete from howdah._howdah_buckets");
    expect(await claim({})).toMatchObject({ jobs: [], more: false, waits: [] });
  });

  it("takes a queue once, however often it is named", async () => {
    await add(9);
    await shapeQueues(database, "q", { width: 3 });
    const answer = await claim({ quantity: 9, queueIds: [1, 1, 1], windowAfter: null });
    expect([idsOf(answer), lanesOf(answer.jobs)]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(await overfull(database)).toEqual([]);
  });

  it("starts as many as there are places left by jobs without a queue", async () => {
    await database.sql("select howdah.add_job('t') from generate_series(1, 10)");
    await add(10);
    await shapeQueues(database, "q", { width: 10 });
    const { jobs } = await claim({ quantity: 20 });
    expect([jobs.length, jobs.filter(({ queueId }) => queueId !== null).length]).toEqual([20, 10]);
  });

  it("gives each queue one job before any has more, and the rest by their shares", async () => {
    await add(90, ["a", "b", "c"]);
    await shapeQueues(database, "_", { width: 20 });
    await shapeQueues(database, "b", { width: 20, share: 2 });
    const { jobs } = await claim({ quantity: 3 });
    expect(new Set(jobs.map(({ queueName }) => queueName))).toEqual(new Set(["a", "b", "c"]));
    const { jobs: many } = await other.claim({ quantity: 15 });
    const counts = ["a", "b", "c"].map((name) => many.filter(({ queueName }) => queueName === name).length);
    expect(counts).toEqual([4, 7, 4]);
  });

  it("mixes with jobs without a queue and with serial queues in the order of claims", async () => {
    await add(12, ["serial", "lanes"]);
    await database.sql("select howdah.add_job('t', run_at => now() - interval '998.5 s', priority => 0)");
    await shapeQueues(database, "lanes", { width: 5 });
    const answer = await claim({ quantity: 4 });
    expect(idsOf(answer)).toEqual([1, 13, 2, 4]);
  });
});
