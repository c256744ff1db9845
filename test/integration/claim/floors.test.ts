import type { Identity } from "../../../src/job/identity.ts";
import type { Statements } from "../../../src/postgres/queries/statements.ts";
import { workerContext } from "../../harness/worker-context.ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { LevelFloor } from "../../../src/postgres/queries/claim.ts";
import { START, type Position } from "../../../src/postgres/position.ts";
import { Claimer } from "../../../src/job/claim/claimer.ts";
import { readNotification } from "../../../src/job/claim/notification.ts";
import { changeOf, createClaims, empty, idsOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const { claim, release } = await createClaims(database);
beforeEach(() => empty(database));

/** Adds jobs of task t that were due N seconds ago. */
async function add(seconds: readonly number[], rest = "priority => 0"): Promise<void> {
  for (const ago of seconds) {
    await database.sql(`select from howdah.add_job('t', run_at => now() - interval '${ago} seconds', ${rest})`);
  }
}

const level = (priority: number, floor: Position): LevelFloor => ({ priority, floor });

/** A claimer of everything, with a clock that stands still: the head is scanned once. */
function createClaimer() {
  const context = workerContext({
    identity: { current: "w" } as Identity,
    statements: { claim: (request) => claim(request) } as Statements,
  });
  const claimer = new Claimer(context, {
    unstarted: { keep: (chains) => chains, giveBack: () => expect.unreachable() },
  });
  const take = async (quantity = 10) => {
    const { chains } = await claimer.claim({ quantity, chainLength: 1, mostQueues: quantity });
    return chains.flatMap((chain) => chain.rest.map(({ id }) => Number(id)));
  };
  return { claimer, clock: context.clock, take };
}

describe("the order of a claim", () => {
  it("is priority, time, id, whatever order the rows come in", async () => {
    await add([1, 2, 3], "priority => 5");
    await add([1, 3, 2], "priority => -5");
    expect(idsOf(await claim())).toEqual([5, 6, 4, 3, 2, 1]);
  });

  it("takes no more than it was asked for and says that there may be more", async () => {
    await add([5, 4, 3]);
    const answer = await claim({ quantity: 2 });
    expect([idsOf(answer), answer.more]).toEqual([[1, 2], true]);
    expect(idsOf(await claim({ quantity: 2 }))).toEqual([3]);
  });

  it("mixes heads of queues and jobs without a queue by priority and time", async () => {
    await add([10, 6]);
    await add([8], "queue_name => 'a'");
    await add([7], "queue_name => 'b'");
    await add([1], "queue_name => 'c', priority => -1");
    await add([99], "priority => 1");
    const first = await claim({ quantity: 4 });
    expect(idsOf(first)).toEqual([5, 1, 3, 4]);
    expect(
      idsOf(await claim({ levels: first.levels.map(({ priority, floor }) => level(priority, floor ?? START)) })),
    ).toEqual([2, 6]);
  });
});

describe("what is claimed", () => {
  it("is nothing that is scheduled, exhausted, locked, forbidden or of another task", async () => {
    await add([-60, 1, 1, 1]);
    await database.sql("update howdah._private_jobs set attempts = max_attempts where id = 2");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'other' where id = 3");
    await add([1], "flags => '{red,blue}'");
    await add([1], "flags => '{green}'");
    await database.sql("select howdah.add_job('unknown')");
    expect(idsOf(await claim({ forbiddenFlags: ["red", "black"] }))).toEqual([4, 6]);
  });

  it("carries its lock, its attempt and the time that fences its release", async () => {
    await add([1]);
    const { claimedAt } = await claim();
    const [row] = await database.sql(
      "select locked_by, attempts, is_available, howdah._howdah_us(locked_at)::text as locked_us from howdah._private_jobs",
    );
    expect(row).toEqual({ locked_by: "w", attempts: 1, is_available: false, locked_us: claimedAt });
  });

  it("is also a job with one attempt in all, and its give-back makes it available again", async () => {
    await add([1], "max_attempts => 1");
    const answer = await claim();
    expect(idsOf(answer)).toEqual([1]);
    await release({ claimTimes: [answer.claimedAt], changed: [changeOf(1, { refund: true })] });
    expect(idsOf(await claim())).toEqual([1]);
  });

  it("includes a job of -infinity and not one of infinity, and both pass as positions", async () => {
    await add([1]);
    await database.sql("select howdah.add_job('t', run_at => '-infinity'), howdah.add_job('t', run_at => 'infinity')");
    await database.sql("select howdah.add_job('t', run_at => '-infinity', queue_name => 'q')");
    await database.sql("select howdah.add_job('t', run_at => '0001-01-01 BC', queue_name => 'r')");
    const { take, claimer } = createClaimer();
    expect(await take(1)).toEqual([2]);
    expect((await take(3)).sort((a, b) => a - b)).toEqual([1, 4, 5]);
    expect(await take()).toEqual([]);
    claimer.announce({ count: 1, at: START.at });
    expect(await take()).toEqual([]);
  });
});

describe("floors", () => {
  it("keep every microsecond of one bulk add, so that no claim sees a job twice or none", async () => {
    await database.sql(
      "insert into howdah._private_jobs (task_id, run_at) select 1, now() - interval '1.234567 s' from generate_series(1, 100)",
    );
    const { take } = createClaimer();
    const seen: number[] = [];
    for (let ids = await take(7); ids.length > 0; ids = await take(7)) seen.push(...ids);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it("are the last due entry seen when the claim came back short, of any task", async () => {
    await add([9, 8]);
    await database.sql("select howdah.add_job('unknown', run_at => now() - interval '5 s')");
    await add([-60]);
    const { levels } = await claim();
    const [row] = await database.sql(
      "select howdah._howdah_us(run_at)::text as at, id from howdah._private_jobs where id = 3",
    );
    expect(levels).toEqual([{ priority: 0, floor: row }]);
  });

  it("stay where they are when there is nothing above them", async () => {
    await add([9]);
    const floor = { at: "1000000000000000", id: "7" };
    await database.sql("update howdah._private_jobs set run_at = 'epoch'");
    expect((await claim({ levels: [level(0, floor)] })).levels).toEqual([{ priority: 0, floor }]);
  });

  it("are held back by 200 ms, so that commits may come late", async () => {
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    await session.query("begin");
    await session.query(`
      insert into howdah._private_jobs (task_id, run_at, job_queue_id)
      select 1, now() - late * interval '1 ms', queue
      from (values (199, null), (201, null), (199, 1), (201, 2)) as job(late, queue)`);
    await session.query("insert into howdah._private_job_queues (queue_name) values ('q'), ('r')");
    const { rows } = await session.query("select howdah._howdah_us(now())::text as at");
    const now = { at: (rows as { at: string }[])[0]?.at ?? "", id: "99" };
    const direct = await claims.claim({ levels: [level(0, now)], due: now, windowAfter: null });
    await session.query("rollback");
    expect(idsOf(direct)).toEqual([1, 3]);
  });

  it("of a queue are held back by 200 ms as well, so that a late commit keeps its place in the queue", async () => {
    const session = await database.connect();
    const claims = await createClaims(database, "w", session);
    await session.query("begin");
    await session.query("insert into howdah._private_job_queues (queue_name) values ('q')");
    await session.query(`
      insert into howdah._private_jobs (task_id, run_at, job_queue_id)
      select 1, now() - late * interval '1 ms', 1 from unnest(array[150, 50]) as late`);
    const { rows } = await session.query("select howdah._howdah_us(now() - interval '100 ms')::text as at");
    const floor = { at: (rows as { at: string }[])[0]?.at ?? "", id: "99" };
    const queueFloors = [{ queueId: 1, priority: 0, floor }];
    const answer = await claims.claim({ queueIds: [1], queueFloors, windowAfter: null });
    await session.query("rollback");
    expect(idsOf(answer)).toEqual([1]);
  });

  it("of a queue hide nothing for good: what is due behind one is found when nothing is due after it", async () => {
    await add([60], "queue_name => 'q'");
    await add([50], "queue_name => 'q', priority => -5");
    const [row] = await database.sql("select howdah._howdah_us(now() - interval '1 second')::text as at");
    const queueFloors = [{ queueId: 1, priority: 0, floor: { at: row?.["at"] as string, id: "99" } }];
    const found = () => claim({ queueIds: [1], queueFloors, windowAfter: null });
    expect(idsOf(await found())).toEqual([2]);
  });

  it("fall for a late commit that was announced, and only the full scan finds one that was not", async () => {
    await add([1]);
    const { take, claimer, clock } = createClaimer();
    expect(await take()).toEqual([1]);
    await add([60, 50]);
    expect(await take()).toEqual([]);
    const [row] = await database.sql(
      "select howdah._howdah_us(run_at)::text as at from howdah._private_jobs where id = 3",
    );
    claimer.announce({ count: 1, at: row?.["at"] as string });
    expect(await take()).toEqual([3]);
    await clock.advance(1_000);
    expect(await take()).toEqual([2]);
  });

  it("leave a queued job behind them without a notification to the next look through all queues", async () => {
    await add([1], "queue_name => 'q'");
    const { take, clock } = createClaimer();
    expect(await take()).toEqual([1]);
    expect(await take()).toEqual([]);
    await add([60], "queue_name => 'r'");
    expect(await take()).toEqual([]);
    // A look that a busy machine has made dear makes the next one come later.
    for (let polls = 0, ids: number[] = []; ids.length === 0; polls++) {
      expect(polls).toBeLessThan(60);
      await clock.advance(1_000);
      ids = await take();
      if (ids.length > 0) expect(ids).toEqual([2]);
    }
  });

  it("let full scans find everything behind it, however little each claim takes", async () => {
    await add([1]);
    const { take, clock } = createClaimer();
    await take();
    await add(Array.from({ length: 6 }, (_, index) => 60 - index));
    await add([60, 59], "priority => 3");
    await clock.advance(1_000);
    const seen: number[] = [];
    for (let ids = await take(2); ids.length > 0; ids = await take(2)) seen.push(...ids);
    expect(seen).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("are not raised over jobs whose announcement came during the claim", async () => {
    await add([1]);
    const { claimer, clock } = createClaimer();
    const look = { quantity: 10, chainLength: 1, mostQueues: 10 };
    await claimer.claim(look);
    const session = await database.connect();
    await session.query("begin");
    await session.query("select howdah.add_job('t', run_at => now() - interval '60 s')");
    const [row] = (
      await session.query("select howdah._howdah_us(run_at)::text as at from howdah._private_jobs where id = 2")
    ).rows;
    const inFlight = claimer.claim(look);
    await session.query("commit");
    claimer.announce({ count: 1, at: (row as { at: string }).at });
    await inFlight;
    await claimer.claim(look);
    const [left] = await database.sql(
      "select count(*)::int as count from howdah._private_jobs where locked_at is null",
    );
    expect(left).toEqual({ count: 0 });
    expect(clock.monotonic()).toBe(0);
  });

  it("find a new priority between, below and above the known ones", async () => {
    await add([1], "priority => 0");
    await add([1], "priority => 10");
    const { take } = createClaimer();
    expect(await take()).toEqual([1, 2]);
    await add([60], "priority => 5");
    await add([60], "priority => -32768");
    await add([60], "priority => 32767");
    expect(await take()).toEqual([4, 3, 5]);
  });

  it("follow what the SQL functions announce", async () => {
    await add([1]);
    const { take, claimer } = createClaimer();
    await take();
    const session = await database.connect();
    const heard: string[] = [];
    session.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await session.query('listen "jobs:insert"');
    await session.query("select howdah.add_job('t', run_at => now() - interval '1 day')");
    await session.query("select howdah.add_job('t', run_at => '-infinity')");
    await session.query("select");
    for (const payload of heard) claimer.announce(readNotification(payload, "howdah") ?? {});
    expect(heard).toHaveLength(2);
    expect(await take()).toEqual([3, 2]);
  });

  it("make the second idle look cheap when half a million jobs are of other tasks", async () => {
    await database.sql(
      "insert into howdah._private_jobs (task_id, run_at) select 999, now() - interval '1 day' from generate_series(1, 500000)",
    );
    const session = await database.connect();
    const reads = async () => {
      const { rows } = await session.query(`
        select pg_stat_get_xact_tuples_fetched('howdah._howdah_ready'::regclass)::int as count`);
      return (rows as { count: number }[])[0]?.count ?? 0;
    };
    const claims = await createClaims(database, "w", session);
    await session.query("begin");
    const first = await claims.claim();
    const afterFirst = await reads();
    await claims.claim({
      levels: first.levels.map(({ priority, floor }) => level(priority, floor ?? START)),
      due: first.due,
    });
    const afterSecond = await reads();
    await session.query("commit");
    expect(afterFirst).toBeGreaterThan(490_000);
    expect(afterSecond - afterFirst).toBeLessThan(20);
  });
});
