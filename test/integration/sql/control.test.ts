import type pg from "pg";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { blocked } from "../../harness/blocked.ts";
import { changeOf, createClaims, empty, idsOf, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

// What cancelling and pausing do concurrently with other sessions at the same rows.
const database = await createDatabase();
afterAll(() => database.drop());
const { claim, release } = await createClaims(database);
beforeEach(async () => {
  await empty(database);
  await database.sql("truncate howdah._howdah_paused_tasks");
});

const CANCEL = "select id::int, signalled from howdah._howdah_cancel_jobs_v1($1, 'enough') order by id";

async function add(count = 1, rest = "queue_name => null"): Promise<void> {
  await database.sql(`select howdah.add_job('t', ${rest}) from generate_series(1, $1)`, [count]);
}

/** Runs a statement in a transaction that stays open. */
async function open(text: string, values: unknown[] = []): Promise<pg.Client> {
  const session = await database.connect();
  await session.query("begin");
  await session.query(text, values);
  return session;
}

describe("cancelling a job", () => {
  it("that is just being claimed waits for the claim, and then tells the worker to stop it", async () => {
    await add();
    const claiming = await database.connect();
    await claiming.query("begin");
    const slow = await createClaims(database, "slow", claiming);
    const claimed = await slow.claim();
    expect(idsOf(claimed)).toEqual([1]);

    const session = await database.connect();
    const cancelling = session.query(CANCEL, [[1]]);
    await blocked(database, session);
    await claiming.query("commit");
    expect((await cancelling).rows).toEqual([{ id: 1, signalled: true }]);
    expect((await jobsById(database))["1"]).toMatchObject({ locked_by: "slow", _howdah_cancelled: "enough" });
  });

  it("hides it from claims until the transaction has decided", async () => {
    await add(2);
    const cancelling = await open(CANCEL, [[1]]);
    expect(idsOf(await claim())).toEqual([2]);
    await cancelling.query("rollback");
    expect(idsOf(await claim())).toEqual([1]);
  });

  it("that is released at the same moment finds it gone, or back and waiting", async () => {
    await add(3);
    const { claimedAt } = await claim();
    const releasing = await database.connect();
    await releasing.query("begin");
    const last = await createClaims(database, "w", releasing);
    await last.release({ claimTimes: [claimedAt], completed: ["1"], changed: [changeOf(2, { refund: true })] });
    const session = await database.connect();
    const cancelling = session.query(CANCEL, [[3, 2, 1]]);
    await blocked(database, session);
    await releasing.query("commit");
    expect((await cancelling).rows).toEqual([
      { id: 2, signalled: false },
      { id: 3, signalled: true },
    ]);
    expect(Object.keys(await jobsById(database))).toEqual(["3"]);
  });

  it("lets a release that comes meanwhile go around it, and decides what becomes of the job", async () => {
    await add(2);
    const { claimedAt } = await claim();
    const cancelling = await open(CANCEL, [[1]]);
    const changed = [1, 2].map((id) => changeOf(id, { message: "it failed" }));
    const answer = await release({ claimTimes: [claimedAt], changed, patient: false });
    expect([...answer.unreleased]).toEqual([["1", "busy"]]);
    await cancelling.query("commit");
    await release({ claimTimes: [claimedAt], changed: changed.slice(0, 1) });
    const jobs = await jobsById(database);
    expect(jobs["1"]).toMatchObject({ last_error: "enough", locked_at: null, is_available: false });
    expect(jobs["2"]).toMatchObject({ last_error: "it failed", is_available: true });
  });

  it("makes an add with the same key wait, which then adds another job", async () => {
    await add(1, "job_key => 'k'");
    const cancelling = await open(CANCEL, [[1]]);
    const session = await database.connect();
    const adding = session.query("select revision from howdah.add_job('t', '{\"n\": 2}', job_key => 'k')");
    await blocked(database, session);
    await cancelling.query("commit");
    expect((await adding).rows).toEqual([{ revision: 0 }]);
    expect(Object.values(await jobsById(database))).toMatchObject([{ key: "k", payload: { n: 2 } }]);
  });

  it("keeps the first reason, and answers and tells again when it is said again", async () => {
    await add();
    await claim();
    const listening = await database.connect();
    const heard: string[] = [];
    listening.on("notification", ({ payload = "" }) => heard.push(payload));
    await listening.query('listen "howdah:control"');
    for (const reason of ["first", "second"]) {
      await listening.query("select * from howdah._howdah_cancel_jobs_v1('{1}', $1)", [reason]);
    }
    expect((await jobsById(database))["1"]).toMatchObject({ _howdah_cancelled: "first", last_error: "first" });
    const told = JSON.stringify({ schema: "howdah", worker: "w", cancelled: ["1"] });
    expect(heard.map((payload) => JSON.stringify(JSON.parse(payload)))).toEqual([told, told]);
    await listening.end();
  });

  it("tells of any number of jobs, in notifications that PostgreSQL takes", async () => {
    await add(1_000);
    await database.sql("select setval('howdah.jobs_id_seq1', 9000000000000000000)");
    await add(500);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = repeat('w', 200)");
    await database.sql("update howdah._private_jobs set locked_by = repeat('x', 100000) where id = 1");
    const ids = (await database.sql("select id::text from howdah._private_jobs")).map((row) => row["id"]);
    const listening = await database.connect();
    let heard = 0;
    listening.on("notification", ({ payload = "" }) => {
      heard += (JSON.parse(payload) as { cancelled: unknown[] }).cancelled.length;
    });
    await listening.query('listen "howdah:control"');
    const { rows } = await listening.query("select * from howdah._howdah_cancel_jobs_v1($1, 'enough')", [ids]);
    expect([rows.length, heard]).toEqual([1_500, 1_499]);
    await listening.end();
  });
});

describe("pausing a queue", () => {
  it("that a claim is just taking waits for the claim", async () => {
    await add(2, "queue_name => 'q'");
    const claiming = await database.connect();
    await claiming.query("begin");
    const slow = await createClaims(database, "slow", claiming);
    const claimed = await slow.claim();
    expect(idsOf(claimed)).toEqual([1]);
    const session = await database.connect();
    const pausing = session.query("select howdah._howdah_pause_queue_v1('q') as until");
    await blocked(database, session);
    await claiming.query("commit");
    expect((await pausing).rows).toEqual([{ until: Number.POSITIVE_INFINITY }]);
    // What runs goes on, and is released as ever; what comes after it waits.
    const chainEnd = { queueId: 1, lastJobId: "1", claimedAt: claimed.claimedAt };
    await slow.release({ claimTimes: [claimed.claimedAt], completed: ["1"], chainEnds: [chainEnd] });
    expect((await claim()).jobs).toEqual([]);
    await database.sql("select howdah._howdah_resume_queue_v1('q')");
    expect(idsOf(await claim())).toEqual([2]);
  });

  it("keeps its row from a clean-up that is under way, and works when the row has just gone", async () => {
    await add(1, "queue_name => 'q'");
    await database.sql("delete from howdah._private_jobs");
    const pausing = await open("select howdah._howdah_pause_queue_v1('q')");
    const cleaning = await database.connect();
    // It sees the queue unused and unpaused, and then has to wait for the table.
    const cleaned = cleaning.query("select howdah._howdah_clean_up_queues_v1()");
    await blocked(database, cleaning);
    await pausing.query("commit");
    expect((await cleaned).rows).toEqual([{ _howdah_clean_up_queues_v1: 0 }]);

    await database.sql("select howdah._howdah_resume_queue_v1('q')");
    await database.sql("select howdah._howdah_clean_up_queues_v1()");
    expect(await database.sql("select from howdah._private_job_queues")).toEqual([]);
    await database.sql("select howdah._howdah_pause_queue_v1('q')");
    expect(await database.sql("select from howdah._private_job_queues")).toHaveLength(1);
  });
});

describe("what is asked for pauses and cancelled jobs", () => {
  it("looks at no more than the jobs that are named and the queues that are paused", async () => {
    await add(3_000, "queue_name => 'q'");
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'r' || n from generate_series(1, 3000) as n",
    );
    await database.sql("select howdah._howdah_pause_queue_v1('r7')");
    await database.sql("analyze howdah._private_jobs, howdah._private_job_queues");
    const session = await database.connect();
    const look = "select kind, name from howdah._howdah_control_v1('{1,2,3}')";
    await session.query(look);
    const { rows } = await session.query(`explain (analyze, buffers, format json) ${look}`);
    const [plan] = rows[0]["QUERY PLAN"] as [{ Plan: Record<string, number> }];
    expect((await session.query(look)).rows).toEqual([
      { kind: "q", name: "r7" },
      { kind: "a", name: null },
    ]);
    expect((plan.Plan["Shared Hit Blocks"] ?? 0) + (plan.Plan["Shared Read Blocks"] ?? 0)).toBeLessThan(40);
  });
});
