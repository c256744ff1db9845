import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { blocked, blockedBy } from "../../harness/blocked.ts";
import { createClaims, idsOf, stopAtRow } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createPool, emptyRules, overfull, shapeQueues, type Shape } from "../../harness/shape-queues.ts";

// What a claim does beside a change of a queue that begins or ends while it is under way.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));
const other = await createClaims(database, "other");

async function add(count: number): Promise<void> {
  await database.sql("select howdah.add_job('t', queue_name => 'q') from generate_series(1, $1)", [count]);
}

/** As all that changes a queue does it: its row first, then all that a claim would lock of it. */
const LOCK_ALL = `
  select from howdah._private_job_queues where id = 1 for update;
  select from howdah._howdah_buckets where owner_id = 1 order by stripe for update;
  select from howdah._howdah_lanes where owner_id = 1 order by lane for update`;
const SERIAL = `
  delete from howdah._howdah_lanes where owner_id = 1;
  delete from howdah._howdah_buckets where owner_id = 1;
  update howdah._private_job_queues set _howdah_width = null, locked_at = null, locked_by = null where id = 1`;
const WITHOUT_TOKENS = `
  insert into howdah._howdah_buckets (owner_id, stripe, next_at, token_us, burst)
  values (1, 1, now() + interval '1 minute', 60000000, 1)`;

const change = (
  statements: string,
  session: { query(text: string): Promise<unknown> } = { query: (text) => database.sql(text) },
) => session.query(`begin; ${LOCK_ALL}; ${statements}; commit`);

const LANES: Shape = { width: 3 };
const UNLIMITED: Shape = { width: 0 };
const RATED: Shape = { width: 0, rate: { tokenUs: 1_000_000, burst: 100, stripes: 2 } };

describe("a claim that has seen a queue, when the queue is changed before it locks the lanes or the bucket", () => {
  /** The look asks a row or two of the gates; the next one that is looked at is to be locked. */
  async function claimBeside(shape: Shape, nth: number, meanwhile: () => Promise<unknown>) {
    await add(10);
    await shapeQueues(database, "q", shape);
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    const table = shape.width > 0 ? "_howdah_lanes" : "_howdah_buckets";
    const stop = await stopAtRow(database, session, table, nth);
    try {
      const claiming = claims.claim({ windowAfter: null, queueIds: [1] });
      await blockedBy(database, stop.session);
      await meanwhile();
      await stop.pass();
      return await claiming;
    } finally {
      await stop.remove();
    }
  }

  it.each([
    ["is paused", "update howdah._private_job_queues set _howdah_paused_until = 'infinity'"],
    ["is parked", "update howdah._private_job_queues set _howdah_parked_until = now() + interval '1 hour'"],
    ["waits for another shape", "update howdah._private_job_queues set _howdah_rules_revision = -1"],
    ["gets a rate and has no token", WITHOUT_TOKENS],
    ["becomes serial", SERIAL],
  ])("takes none of its three lanes when it %s", async (_, statements) => {
    const answer = await claimBeside(LANES, 2, () => change(statements));
    expect(answer.jobs).toEqual([]);
    expect(await overfull(database)).toEqual([]);
  });

  it("takes none of its lanes when it comes to need a pool", async () => {
    const pool = await createPool(database, { width: 1 });
    const answer = await claimBeside(LANES, 2, () =>
      change(`update howdah._private_job_queues set _howdah_pool_id = ${pool}`),
    );
    expect(answer.jobs).toEqual([]);
  });

  it("takes the lanes that are left to it when it becomes narrower", async () => {
    const answer = await claimBeside(LANES, 2, () =>
      change(
        "update howdah._private_job_queues set _howdah_width = 2; delete from howdah._howdah_lanes where lane > 2",
      ),
    );
    expect(idsOf(answer)).toEqual([1, 2]);
    expect(await overfull(database)).toEqual([]);
  });

  it.each([
    ["is paused", "update howdah._private_job_queues set _howdah_paused_until = 'infinity'"],
    ["becomes serial", SERIAL],
  ])("starts nothing of an unlimited one when it %s", async (_, statements) => {
    expect((await claimBeside(UNLIMITED, 2, () => change(statements))).jobs).toEqual([]);
  });
});

describe("two claims that have seen one token", () => {
  it("start one job with it, also when one of them takes others of a pool in the same claim", async () => {
    await add(10);
    await database.sql("select howdah.add_job('t', queue_name => 'p') from generate_series(1, 10)");
    await shapeQueues(database, "q", { width: 0, rate: { tokenUs: 60_000_000, burst: 1 } });
    await shapeQueues(database, "p", { width: 2, poolId: await createPool(database, { width: 5 }) });
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    // The look asks once, and how many parts are needed is asked before one is locked.
    const stop = await stopAtRow(database, session, "_howdah_buckets", 3);
    try {
      const claiming = claims.claim({ windowAfter: null, queueIds: [1, 2] });
      await blockedBy(database, stop.session);
      expect(idsOf(await other.claim({ windowAfter: null, queueIds: [1], quantity: 1 }))).toEqual([1]);
      await stop.pass();
      expect((await claiming).jobs.map(({ queueName }) => queueName)).toEqual(["p", "p"]);
    } finally {
      await stop.remove();
    }
  });
});

describe("a change of a queue of which a claim is under way", () => {
  /** The claim stands still in the update of its first job. */
  async function whileClaiming<T>(shape: Shape, work: () => Promise<T>): Promise<{ ids: number[]; result: T }> {
    await add(10);
    await shapeQueues(database, "q", shape);
    await database.sql(`
      create or replace function public.slow() returns trigger language plpgsql as $$
        begin
          if new.locked_by = 'w' then perform pg_advisory_xact_lock_shared(4711); end if;
          return new;
        end $$;
      create or replace trigger slow before update on howdah._private_jobs for each row execute function public.slow()`);
    const gate = await database.connect();
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    await gate.query("select pg_advisory_lock(4711)");
    try {
      const claiming = claims.claim({ windowAfter: null, queueIds: [1], quantity: 3 });
      await blockedBy(database, gate);
      const result = await work();
      await gate.query("select pg_advisory_unlock(4711)");
      return { ids: idsOf(await claiming), result };
    } finally {
      await gate.end();
      await session.end();
      await database.sql("drop trigger slow on howdah._private_jobs");
    }
  }

  it.each([
    ["three lanes", LANES],
    ["no limit", UNLIMITED],
    ["a rate", RATED],
  ])("waits for the claim, so that a queue with %s never runs more than one when it is serial", async (_, shape) => {
    const { ids } = await whileClaiming(shape, async () => {
      const refused = database.sql(`begin; set local lock_timeout = '100ms'; ${LOCK_ALL}`);
      await expect(refused).rejects.toMatchObject({ code: "55P03" });
      await database.sql("rollback");
      expect((await other.claim({ windowAfter: null, queueIds: [1], quantity: 1 })).jobs.length).toBeLessThanOrEqual(1);
    });
    expect(ids).toHaveLength(3);
  });

  it("is seen by every claim after it: a pause that has returned lets nothing start", async () => {
    const session = await database.connect();
    const { ids, result } = await whileClaiming(LANES, async () => {
      const pausing = change("update howdah._private_job_queues set _howdah_paused_until = 'infinity'", session);
      await blocked(database, session);
      return { pausing };
    });
    await result.pausing;
    expect(ids).toEqual([1, 2, 3]);
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    expect((await other.claim({ queueIds: [1] })).jobs).toEqual([]);
  });
});

describe("a queue with rules whose row an operator unlocks", () => {
  it("is claimed by its lanes all the same", async () => {
    await add(10);
    await shapeQueues(database, "q", { width: 2 });
    await database.sql("update howdah._private_job_queues set locked_at = null, locked_by = null");
    const counts: number[] = [];
    for (const claims of [other, await createClaims(database, "w2"), await createClaims(database, "w3")]) {
      counts.push((await claims.claim({ quantity: 24 })).jobs.length);
    }
    expect(counts).toEqual([2, 0, 0]);
    expect(await overfull(database)).toEqual([]);
  });
});

describe("a queue that becomes narrower while more of it run", () => {
  it("starts no more than its width from then on", async () => {
    await add(20);
    await shapeQueues(database, "q", { width: 6 });
    const { jobs } = await other.claim({ quantity: 6 });
    await change(`
      update howdah._private_job_queues set _howdah_width = 2;
      delete from howdah._howdah_lanes where lane > 2 and locked_at is null`);
    expect(jobs).toHaveLength(6);
    // Their workers have not heard of it and free all six lanes.
    await database.sql("delete from howdah._private_jobs where locked_at is not null");
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    const again = await other.claim({ quantity: 24 });
    expect(again.jobs.map(({ lane }) => lane)).toEqual([1, 2]);
  });
});

describe("a queue of one lane", () => {
  it("is left alone while its first job is locked, as a serial one", async () => {
    await add(3);
    await shapeQueues(database, "q", { width: 1 });
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'elsewhere' where id = 1");
    expect((await other.claim({})).jobs).toEqual([]);
    await shapeQueues(database, "q", { width: 2 });
    expect(idsOf(await other.claim({}))).toEqual([2, 3]);
  });

  it("starts one job at a time, in order", async () => {
    await add(3);
    await shapeQueues(database, "q", { width: 1 });
    expect(idsOf(await other.claim({ quantity: 10, chainLength: 5 }))).toEqual([1]);
    expect(idsOf(await other.claim({ quantity: 10, chainLength: 5 }))).toEqual([]);
  });
});
