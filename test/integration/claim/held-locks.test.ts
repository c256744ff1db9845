import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createHeldLocks } from "../../../src/postgres/queries/held-locks.ts";
import { changeOf, createClaims, empty, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
const locks = createHeldLocks(database.driver, database.schema);
beforeEach(() => empty(database));

const HOUR_US = 3_600_000_000n;

async function add(count: number, queue: string | null = null): Promise<void> {
  await database.sql("select howdah.add_job('t', queue_name => $2) from generate_series(1, $1)", [count, queue]);
}

async function one(text: string): Promise<unknown> {
  const [row] = await database.sql(text);
  return Object.values(row ?? {})[0];
}

const recoveries = () => one("select array_agg(_howdah_recoveries order by id) from howdah._private_jobs");

describe("marking a job", () => {
  it("is done for its holder only, and once is as good as twice", async () => {
    await add(2);
    const { claimedAt } = await worker.claim({ quantity: 1 });
    await database.sql("update howdah._private_jobs set _howdah_recoveries = 2");
    const held = { id: "1", lockedBy: "w", claimTimes: [claimedAt] };
    expect(await locks.mark(held)).toBe(true);
    expect(await locks.mark(held)).toBe(true);
    expect(await locks.mark({ ...held, lockedBy: "other" })).toBe(false);
    expect(await locks.mark({ ...held, claimTimes: ["1"] })).toBe(false);
    expect(await locks.mark({ ...held, id: "2" })).toBe(false);
    expect(await locks.mark({ ...held, id: "99" })).toBe(false);
    expect(await recoveries()).toEqual([-2, 2]);
  });

  it("waits for no other transaction for long", async () => {
    await add(1);
    const { claimedAt } = await worker.claim();
    const user = await database.connect();
    await user.query("begin; select from howdah._private_jobs where id = 1 for update");
    await expect(locks.mark({ id: "1", lockedBy: "w", claimTimes: [claimedAt] })).rejects.toMatchObject({
      code: "55P03",
    });
    await user.end();
  });
});

describe("the number of recoveries", () => {
  it.each([
    ["an attempt that was interrupted counts, and is refunded", 1, { refund: true, interrupted: true }, [0, 2]],
    ["and not refunded once the job is marked", -2, { refund: true, interrupted: true }, [1, 3]],
    ["a failure only takes the mark away", -2, { message: "no" }, [1, 2]],
    ["a snooze takes it away, and is refunded", -2, { refund: true, delayMs: 1_000 }, [0, 2]],
    ["what was not started is refunded", -3, { refund: true }, [0, 3]],
    ["it ends at the largest number there is room for", 32_767, { refund: true, interrupted: true }, [0, 32_767]],
  ])("%s", async (_, before, change, [attempts, after]) => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set _howdah_recoveries = $1 where id = 1", [before]);
    await worker.release({ claimTimes: [claimedAt], changed: [changeOf(1, change), changeOf(2, { refund: true })] });
    const jobs = await jobsById(database);
    expect(jobs[1]).toMatchObject({ attempts, _howdah_recoveries: after, locked_by: null });
    expect(jobs[2]).toMatchObject({ attempts: 0, _howdah_recoveries: 0 });
  });
});

describe("looking what is lost", () => {
  it("finds what is unlocked, another's, another claim's or gone, and nothing else", async () => {
    await add(5);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_by = null, locked_at = null where id = 1");
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = 2");
    await database.sql("update howdah._private_jobs set locked_at = now() + interval '1 s' where id = 3");
    await database.sql("delete from howdah._private_jobs where id = 4");
    const held = ["1", "2", "3", "4", "5"].map((id) => ({ id, lockedBy: "w", claimTimes: [claimedAt] }));
    expect([...(await locks.findLost(held))].toSorted()).toEqual(["1", "2", "3", "4"]);
    expect(await locks.findLost([])).toEqual(new Set());
  });
});

describe("renewing locks", () => {
  it("moves the time of jobs and queues together, and the fence goes with it", async () => {
    await add(2, "q");
    const { claimedAt } = await worker.claim({ chainLength: 2 });
    const renewedAt = String(BigInt(claimedAt) + HOUR_US);
    const claimTimes = [claimedAt, renewedAt];
    const renewal = { workerId: "w", jobIds: ["1", "2"], queueIds: [1], claimTimes, renewedAt };
    await locks.renew(renewal);
    await locks.renew(renewal);
    const times = await one(
      `select array_agg(howdah._howdah_us(locked_at)::text) from (
         select locked_at from howdah._private_jobs union all select locked_at from howdah._private_job_queues
       ) as held`,
    );
    expect(times).toEqual([renewedAt, renewedAt, renewedAt]);
    const chainEnds = claimTimes.map((time) => ({ queueId: 1, lastJobId: "2", claimedAt: time }));
    const answer = await worker.release({ claimTimes, completed: ["1", "2"], chainEnds });
    expect(answer.unreleased.size).toBe(0);
    expect(await one("select locked_by from howdah._private_job_queues")).toBe(null);
  });

  it("touches no row that is another's, and waits for none that a transaction holds", async () => {
    await add(3);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = 2");
    const user = await database.connect();
    await user.query("begin; select from howdah._private_jobs where id = 3 for update");
    const renewedAt = String(BigInt(claimedAt) + HOUR_US);
    const claimTimes = [claimedAt, renewedAt];
    await locks.renew({ workerId: "w", jobIds: ["1", "2", "3"], queueIds: [], claimTimes, renewedAt });
    await user.end();
    const renewed = await one(
      `select array_agg(id::text) from howdah._private_jobs where howdah._howdah_us(locked_at) = ${renewedAt}`,
    );
    expect(renewed).toEqual(["1"]);
  });

  it("enters no index: the rows stay where they are", async () => {
    await add(1, "q");
    const { claimedAt } = await worker.claim();
    const hot = `select (sum(pg_stat_get_xact_tuples_hot_updated(oid)) - sum(pg_stat_get_xact_tuples_updated(oid)))::int
      from pg_class where relname in ('_private_jobs', '_private_job_queues')`;
    const renewedAt = String(BigInt(claimedAt) + HOUR_US);
    const session = await database.connect();
    await session.query("begin");
    await session.query("select howdah._howdah_renew_v1('w', '{1}', '{1}', $1, $2)", [
      `{${claimedAt},${renewedAt}}`,
      renewedAt,
    ]);
    const { rows } = await session.query(hot);
    const { rows: updated } = await session.query(
      "select sum(pg_stat_get_xact_tuples_updated(oid))::int as n from pg_class where relname in ('_private_jobs', '_private_job_queues')",
    );
    await session.end();
    expect([Object.values(rows[0] as object)[0], (updated[0] as { n: number }).n]).toEqual([0, 2]);
  });
});
