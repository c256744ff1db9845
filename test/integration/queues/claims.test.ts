import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { START } from "../../../src/postgres/position.ts";
import type { ClaimAnswer } from "../../../src/postgres/queries/claim-answer.ts";
import type { ClaimRequest } from "../../../src/postgres/queries/claim.ts";
import { changeOf, createClaims, empty, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const { claim, release } = await createClaims(database);
const other = await createClaims(database, "other");
beforeEach(() => empty(database));

/** Adds jobs of task t to these queues, each a second after the one before, all long due. */
async function add(queues: readonly (string | null)[], rest = "priority => 0"): Promise<void> {
  const [last] = await database.sql("select count(*)::int as count from howdah._private_jobs");
  for (const [index, queue] of queues.entries()) {
    const age = 3_600 - Number(last?.["count"]) - index;
    await database.sql(
      `select howdah.add_job('t', queue_name => $1, run_at => now() - interval '${age} seconds', ${rest})`,
      [queue],
    );
  }
}

/** N jobs in each of M queues q1, q2, … with the ids 1, 2, …; the first jobs of all queues come first. */
async function fill(queues: number, jobs = 1): Promise<void> {
  await database.sql(
    "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, $1) as n",
    [queues],
  );
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, run_at)
     select 1, queue, now() - interval '1 hour' + turn * interval '1 second'
     from generate_series(1, $2) as turn, generate_series(1, $1) as queue order by turn, queue`,
    [queues, jobs],
  );
}

async function lock(queues: string, by = "stuck"): Promise<void> {
  await database.sql(`update howdah._private_job_queues set locked_at = now(), locked_by = '${by}' where ${queues}`);
}

/** Queues that are locked, with who has how many of their jobs. */
async function locks(): Promise<unknown[]> {
  const rows = await database.sql(`
    select queue.id, queue.locked_by, count(job.id)::int as jobs
    from howdah._private_job_queues as queue
    left join howdah._private_jobs as job
      on job.job_queue_id = queue.id and job.locked_by = queue.locked_by and job.locked_at = queue.locked_at
    where queue.locked_at is not null group by queue.id order by queue.id`);
  return rows.map((row) => [row["id"], row["locked_by"], row["jobs"]]);
}

/** Claims again and again until nothing more is said to be there. */
async function drain(wanted: Partial<ClaimRequest>): Promise<{ ids: number[]; answers: ClaimAnswer[] }> {
  const answers: ClaimAnswer[] = [];
  let due = START;
  let more = true;
  while (more) {
    const answer = await claim({ windowAfter: null, due, ...wanted });
    answers.push(answer);
    ({ due, more } = answer);
    expect(answers.length).toBeLessThan(1_000);
  }
  return { ids: answers.flatMap(idsOf), answers };
}

describe("a named queue", () => {
  it("gives one job at a time and is locked with it", async () => {
    await add(["a", "a", "b"]);
    const answer = await claim();
    expect(idsOf(answer)).toEqual([1, 3]);
    expect(await locks()).toEqual([
      [1, "w", 1],
      [2, "w", 1],
    ]);
    expect(idsOf(await other.claim())).toEqual([]);
    await release({
      claimTimes: [answer.claimedAt],
      completed: ["1"],
      chainEnds: [{ queueId: 1, lastJobId: "1", claimedAt: answer.claimedAt }],
    });
    expect(idsOf(await other.claim())).toEqual([2]);
  });

  it("gives a chain of due jobs, by priority and time, and none that is scheduled", async () => {
    await add(["a", "a", "a", "a"]);
    await database.sql("update howdah._private_jobs set priority = -1 where id = 3");
    await database.sql("update howdah._private_jobs set run_at = now() + interval '1 hour' where id = 2");
    await add(["a"], "priority => 7");
    expect(idsOf(await claim({ chainLength: 100 }))).toEqual([3, 1, 4, 5]);
    expect(await locks()).toEqual([[1, "w", 4]]);
  });

  it("shares what is left of a claim among the queues that were taken, so that chains never exceed it", async () => {
    await fill(3, 10);
    const answer = await claim({ quantity: 7, chainLength: 100 });
    expect(idsOf(answer)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await locks()).toEqual([1, 2, 3].map((id) => [id, "w", 2]));
  });

  it("is stepped over while it is locked, however many jobs it holds", async () => {
    await fill(3, 2_000);
    await lock("id <= 2");
    const { ids } = await drain({ quantity: 5 });
    expect(ids).toEqual([3]);
  });

  it("steps over jobs of tasks that this worker does not know, and over forbidden flags", async () => {
    await database.sql("select howdah.add_job('unknown', queue_name => 'a', run_at => now() - interval '2 hours')");
    await database.sql(
      "select howdah.add_job('t', queue_name => 'a', run_at => now() - interval '2 hours', flags => '{red}')",
    );
    await add(["a", "b"]);
    expect(idsOf(await claim({ chainLength: 5, forbiddenFlags: ["red"] }))).toEqual([3, 4]);
  });

  it("leaves out of a chain what this worker may not run, between what it may", async () => {
    await add(["a"]);
    await database.sql("select howdah.add_job('unknown', queue_name => 'a', run_at => now() - interval '59 minutes')");
    await database.sql(
      "select howdah.add_job('t', queue_name => 'a', run_at => now() - interval '58 minutes', flags => '{red}')",
    );
    await database.sql("select howdah.add_job('t', queue_name => 'a', run_at => now() - interval '57 minutes')");
    expect(idsOf(await claim({ chainLength: 5, forbiddenFlags: ["red"] }))).toEqual([1, 4]);
  });

  it("is left alone when a job before its head is locked, because another worker may still run it", async () => {
    await add(["a", "a", "b"]);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'foreign' where id = 1");
    expect(idsOf(await claim({ chainLength: 5 }))).toEqual([3]);
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null where id = 1");
    expect(idsOf(await claim({ chainLength: 5 }))).toEqual([1, 2]);
  });

  it("is not held up by exhausted jobs at its front", async () => {
    await add(["a", "a"]);
    await database.sql("update howdah._private_jobs set attempts = max_attempts where id = 1");
    expect(idsOf(await claim())).toEqual([2]);
  });

  it("is found by its name without floors or windows, and only when it is free and due", async () => {
    await fill(4);
    await lock("id = 2");
    await database.sql("update howdah._private_jobs set run_at = now() + interval '1 hour' where id = 3");
    const far = { at: "4000000000000000", id: "0" };
    const [row] = await database.sql("select howdah._howdah_us(now())::text as at");
    const now = { at: row?.["at"] as string, id: "0" };
    expect(idsOf(await claim({ queueIds: [4, 2, 3, 99], due: now, windowAfter: null }))).toEqual([4]);
    expect(idsOf(await claim({ queueIds: [], due: far, windowAfter: null }))).toEqual([]);
  });
});

describe("a queue that its worker says it holds", () => {
  it("is not looked at, however it is come across, unless it is named", async () => {
    await fill(2);
    const heldQueueIds = [1];
    expect(idsOf(await claim({ heldQueueIds, windowAfter: 0 }))).toEqual([2]);
    expect(idsOf(await claim({ heldQueueIds, queueIds: [1] }))).toEqual([1]);
  });
});

describe("a claim of few jobs", () => {
  it("takes the best heads it has seen, and names the queues that are left over", async () => {
    await fill(5);
    const answer = await claim({ quantity: 2, mostQueues: 2 });
    expect(idsOf(answer)).toEqual([1, 2]);
    expect([answer.more, answer.leftover]).toEqual([true, [3, 4, 5]]);
    const next = await claim({ quantity: 5, due: answer.due, queueIds: answer.leftover, windowAfter: null });
    expect([idsOf(next), next.leftover, next.more]).toEqual([[3, 4, 5], [], false]);
  });

  it("makes chains longer when it may take few queues", async () => {
    await fill(5, 4);
    const answer = await claim({ quantity: 8, mostQueues: 2, chainLength: 4 });
    expect(await locks()).toEqual([1, 2].map((id) => [id, "w", 4]));
    expect([answer.more, answer.leftover]).toEqual([true, [3, 4, 5]]);
  });
});

describe("jobs that became due", () => {
  it("are found in the order in which they did, once", async () => {
    await fill(3);
    const first = await claim({ quantity: 3, windowAfter: null });
    expect(idsOf(first)).toEqual([1, 2, 3]);
    expect(first.due.id).toBe("3");
    await lock("true", "w");
    const again = await claim({ due: first.due, windowAfter: null });
    expect([idsOf(again), again.due]).toEqual([[], first.due]);
  });

  it("are found behind thousands that are stuck in locked queues, before a claim says that there is nothing", async () => {
    await fill(2, 10_000);
    await lock("true");
    await add(["free"]);
    await database.sql("update howdah._private_jobs set run_at = now() - interval '1 s' where id = 20001");
    const { ids, answers } = await drain({ quantity: 5 });
    expect(ids).toEqual([20_001]);
    expect(answers.length).toBeGreaterThan(1);
  });
});

describe("the window", () => {
  const now = async () => {
    const [row] = await database.sql("select howdah._howdah_us(now())::text as at");
    return { at: row?.["at"] as string, id: "0" };
  };

  /** Looks until the look was not cut short, as one of five milliseconds may be on a busy machine. */
  const comeRound = async (windowAfter: number): Promise<ClaimAnswer> => {
    const due = await now();
    return until(async () => {
      const answer = await claim({ due, windowAfter });
      const [start, end] = [Number(answer.windowStart), Number(answer.windowAfter)];
      return (answer.windowWrapped || start === 0) && end >= start ? answer : undefined;
    });
  };

  it("finds queues that nothing announced, also when it begins behind them", async () => {
    await fill(6);
    const due = await now();
    for (const windowAfter of [0, 3, 6, 100]) {
      const answer = await claim({ quantity: 1, due, windowAfter });
      expect(answer.jobs).toHaveLength(1);
      expect(answer.windowStart).toBe(windowAfter);
    }
  });

  it("begins somewhere at random when it is not told where", async () => {
    await fill(50);
    const due = await now();
    const starts = new Set<number | null>();
    for (let claims = 0; claims < 20; claims++)
      starts.add((await claim({ quantity: 1, due, windowAfter: -1 })).windowStart);
    expect(starts.size).toBeGreaterThan(1);
  });

  it.each([0, 3, 6, 100, -1])("comes round to where it began when it finds nothing (%d)", async (windowAfter) => {
    await fill(6);
    await lock("true");
    const answer = await comeRound(windowAfter);
    expect([answer.jobs, answer.more]).toEqual([[], false]);
  });

  it("ends with the part in which it began, instead of reading what comes after that twice", async () => {
    await fill(6);
    await lock("true");
    const answer = await comeRound(3);
    expect([answer.windowStart, answer.windowAfter]).toEqual([3, 6]);
  });

  it.each([0, 37, -1])("comes round at once when there are no queues at all (%d)", async (windowAfter) => {
    const answer = await claim({ due: await now(), windowAfter });
    expect(answer).toMatchObject({ windowWrapped: true, more: false });
    expect(answer.windowAfter).toBe(answer.windowStart);
  });

  it("meets every free queue once, claim by claim, while locked ones lie between", async () => {
    await fill(400);
    await lock("id % 3 > 0");
    const due = await now();
    const seen: number[] = [];
    let windowAfter: number | null = 150;
    for (let claims = 0; claims < 500 && seen.length < 133; claims++) {
      const answer: ClaimAnswer = await claim({ quantity: 4, due, windowAfter });
      seen.push(...idsOf(answer));
      ({ windowAfter } = answer);
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 133 }, (_, index) => 3 * (index + 1)));
  });
});

describe("several workers", () => {
  it("share the queues between them, each queue with one of them", async () => {
    await fill(40, 3);
    const workers = await Promise.all([1, 2, 3, 4].map((n) => createClaims(database, `w${n}`)));
    const answers = await Promise.all(workers.map((worker) => worker.claim({ quantity: 15, chainLength: 3 })));
    const ids = answers.flatMap(idsOf);
    expect(new Set(ids).size).toBe(ids.length);
    const [torn] = await database.sql(`
      select count(*)::int as queues from howdah._private_job_queues as queue
      where (
        select count(distinct job.locked_by) from howdah._private_jobs as job where job.job_queue_id = queue.id
      ) > 1 or (locked_at is not null) <> exists (
        select from howdah._private_jobs as job where job.job_queue_id = queue.id and job.locked_by = queue.locked_by
      )`);
    expect(torn).toEqual({ queues: 0 });
  });

  it("free a queue with a give-back as with a completion, and announce it", async () => {
    await add(["a"]);
    const answer = await claim();
    const session = await database.connect();
    const heard: string[] = [];
    session.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await session.query('listen "jobs:insert"');
    await release({
      claimTimes: [answer.claimedAt],
      changed: [changeOf(1, { refund: true })],
      chainEnds: [{ queueId: 1, lastJobId: "1", claimedAt: answer.claimedAt }],
    });
    await session.query("select");
    expect(heard.map((payload) => JSON.parse(payload) as object)).toMatchObject([
      { schema: "howdah", count: 1, queues: [1] },
    ]);
    expect(idsOf(await other.claim())).toEqual([1]);
  });
});
