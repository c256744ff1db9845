import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, silentLogger, type QueueRules } from "../../../src/index.ts";
import { sweepRules } from "../../../src/postgres/queries/queue-rules.ts";
import { blocked } from "../../harness/blocked.ts";
import { createDatabase } from "../../harness/database.ts";
import { addTo, emptyFlow, holdLane, LANES, SERIAL, shapeOf, tokensOf } from "../../harness/flow.ts";

const database = await createDatabase();
const { connectionString } = database;
const client = await createClient({ connectionString, logger: silentLogger, migrate: false });
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => emptyFlow(database));

const target = { executor: database.driver, schema: database.schema };
const sweep = async (): Promise<number> => sweepRules(target, 0);
const release = (id: number) =>
  database.sql("update howdah._private_job_queues set locked_at = null, locked_by = null where id = $1", [id]);
const rate = (limit: number, per: `${number}s`, burst?: number) => ({ rate: { limit, per, burst } });

describe("the shape of a queue", () => {
  it.each<[string, QueueRules, object]>([
    ["lanes", { concurrency: 3 }, { width: 3, lanes: [1, 2, 3], buckets: [] }],
    ["one lane", { concurrency: 1 }, { width: 1, lanes: [1], buckets: [] }],
    ["no limit", { concurrency: "unlimited" }, { width: 0, lanes: [], buckets: Array(4).fill([null, null]) }],
    ["a rate, one after the other", rate(1, "10s"), { width: 1, lanes: [1], buckets: [[10_000_000, 1]] }],
    [
      "a rate without a limit",
      { concurrency: "unlimited", ...rate(1, "1s", 5) },
      { width: 0, lanes: [], buckets: [[1_000_000, 5]] },
    ],
    [
      "a rate that several claims share",
      { concurrency: 2, ...rate(60, "1s", 8) },
      {
        width: 2,
        lanes: [1, 2],
        buckets: [
          [50_001, 3],
          [50_001, 3],
          [50_001, 2],
        ],
      },
    ],
    ["a share", { share: 4 }, { width: 1, share: 4, lanes: [1] }],
  ])("is %s", async (_, rules, shape) => {
    await addTo(database, "q");
    expect(await client.setQueueRules("q", rules)).toEqual({ changed: true, waiting: 0 });
    expect(await shapeOf(database, "q")).toMatchObject({ ...shape, waits: false, isCurrent: true, lockedBy: LANES });
    await client.setQueueRules("q", null);
    expect(await shapeOf(database, "q")).toMatchObject({ ...SERIAL, share: null, isCurrent: true });
  });

  it("follows the rule of its name, or else the longest that it begins with", async () => {
    await addTo(database, "a:1", "a:b:1", "a:b:2", "b");
    await client.setQueueRules("a:*", { concurrency: 2 });
    await client.setQueueRules("a:b:*", { concurrency: 3 });
    await client.setQueueRules("a:b:2", { concurrency: 4 });
    const widths = async () =>
      (await database.sql("select _howdah_width as width from howdah._private_job_queues order by queue_name")).map(
        ({ width }) => width as number | null,
      );
    expect(await widths()).toEqual([2, 3, 4, null]);
    await client.setQueueRules("a:b:2", null);
    expect(await widths()).toEqual([2, 3, 3, null]);
    await client.setQueueRules("*", { concurrency: 5 });
    expect(await widths()).toEqual([2, 3, 3, 5]);
    await client.setQueueRules("a:*", null);
    expect(await widths()).toEqual([5, 3, 3, 5]);
  });

  it("is there when the queue is first named, by every way to add", async () => {
    await client.setQueueRules("q*", { concurrency: 2, ...rate(1, "1s", 7) });
    await database.sql("select howdah.add_job('t', queue_name => 'q1')");
    await database.sql("select howdah.add_job('t', queue_name => 'q2', job_key => 'k')");
    await database.sql(
      "select howdah.add_jobs(array[row('t', null, 'q3', null, null, null, null, null)]::howdah.job_spec[])",
    );
    await client.addJobs([{ identifier: "t", spec: { queueName: "q4" } }]);
    await client.pauseQueue("q5");
    await client.addJob("t", {}, { queueName: "other" });
    for (const name of ["q1", "q2", "q3", "q4", "q5"]) {
      expect(await shapeOf(database, name)).toMatchObject({
        width: 2,
        lanes: [1, 2],
        isCurrent: true,
        lockedBy: LANES,
      });
    }
    expect(await shapeOf(database, "other")).toMatchObject(SERIAL);
    expect(await tokensOf(database, 1)).toBeCloseTo(7, 1);
  });
});

describe("a change of rules", () => {
  it("waits until a serial queue is free, and lets no claim have it before", async () => {
    const [id = 0] = await addTo(database, "q");
    await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'w'");
    expect(await client.setQueueRules("q", { concurrency: 2 })).toEqual({ changed: true, waiting: 1 });
    expect(await shapeOf(database, "q")).toMatchObject({ width: null, waits: true, lockedBy: "w", lanes: [] });
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: null, waits: true });
    await release(id);
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: false, lockedBy: LANES, lanes: [1, 2] });
  });

  it("ends the chain of a worker that goes on in a serial queue", async () => {
    const [id = 0] = await addTo(database, "q", "q", "q");
    const [claim] = await database.sql(
      `with lock as (
         update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where id = $1 returning locked_at
       )
       update howdah._private_jobs set locked_at = now(), locked_by = 'w' where id = 1
       returning howdah._howdah_us(now())::text as at, task_id as task, howdah._howdah_us(run_at)::text as due`,
      [id],
    );
    const goOn = () =>
      database.sql(
        `select id from howdah._howdah_release_and_continue_v1(
           'w', array[$1::bigint], array[1]::bigint[], array[$2::integer], null, array[$3::integer], array[$1::bigint],
           array[0], array[$4::bigint], array[1]::bigint[]
         )`,
        [claim?.["at"], claim?.["task"], id, claim?.["due"]],
      );
    expect(await client.setQueueRules("q", { concurrency: 2 })).toEqual({ changed: true, waiting: 1 });
    expect(await goOn()).toEqual([]);
    expect(await shapeOf(database, "q")).toMatchObject({ waits: true, lockedBy: null });
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: false });
  });

  it("to serial waits until nothing of the queue runs, whatever its width is", async () => {
    const [id = 0] = await addTo(database, "q");
    await client.setQueueRules("q", { concurrency: 2 });
    const { jobId } = await holdLane(database, { queueId: id, lane: 2 });
    expect(await client.setQueueRules("q", null)).toEqual({ changed: true, waiting: 1 });
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: true, heldLanes: [2], lockedBy: LANES });
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: true });
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null where id = $1", [jobId]);
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject(SERIAL);
  });

  it("takes away free lanes at once, held ones with their release, and puts back what was missing", async () => {
    const [id = 0] = await addTo(database, "q", "q");
    await client.setQueueRules("q", { concurrency: 5 });
    await holdLane(database, { queueId: id, lane: 4 });
    await client.setQueueRules("q", { concurrency: 2 });
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, lanes: [1, 2, 4], heldLanes: [4] });
    await client.setQueueRules("q", { concurrency: 6 });
    expect(await shapeOf(database, "q")).toMatchObject({ width: 6, lanes: [1, 2, 3, 4, 5, 6], heldLanes: [4] });
    await client.setQueueRules("q", { concurrency: "unlimited" });
    expect(await shapeOf(database, "q")).toMatchObject({ width: 0, lanes: [4], heldLanes: [4] });
  });

  it("leaves the tokens as they are when a rate is set again, changed or divided, and gives one to begin with", async () => {
    const [id = 0] = await addTo(database, "q");
    await client.setQueueRules("q", rate(1, "10s", 10));
    expect(await tokensOf(database, id)).toBeCloseTo(1, 1);
    await database.sql("update howdah._howdah_buckets set next_at = now() - 5 * interval '10 s'");
    expect(await tokensOf(database, id)).toBeCloseTo(6, 1);
    expect(await client.setQueueRules("q", rate(1, "10s", 10))).toEqual({ changed: false, waiting: 0 });
    await client.setQueueRules("q", rate(1, "100s", 10));
    expect(await tokensOf(database, id)).toBeCloseTo(6, 1);
    await client.setQueueRules("q", { concurrency: 2, ...rate(1, "100s", 3) });
    expect(await tokensOf(database, id)).toBeCloseTo(3, 1);
    await client.setQueueRules("q", rate(1, "100s", 20));
    expect(await tokensOf(database, id)).toBeCloseTo(3, 1);
    await client.setQueueRules("q", rate(100, "1s", 20));
    expect(await shapeOf(database, "q")).toMatchObject({ buckets: Array(5).fill([50_000, 4]) });
  });

  it("that says the same writes nothing", async () => {
    await addTo(database, "q");
    await client.setQueueRules("q", { concurrency: 2 });
    const versions = () =>
      database.sql(
        `select xmin::text from howdah._private_job_queues
         union all select xmin::text from howdah._howdah_lanes union all select xmin::text from howdah._howdah_rules`,
      );
    const before = await versions();
    expect(await client.setQueueRules("q", { concurrency: 2 })).toEqual({ changed: false, waiting: 0 });
    expect(await sweep()).toBe(0);
    expect(await versions()).toEqual(before);
  });

  it("waits for a claim that has locked a lane or a part of a bucket, and holds up the ones after it", async () => {
    await addTo(database, "q");
    await client.setQueueRules("q", { concurrency: "unlimited" });
    const [claim, change] = [await database.connect(), await database.connect()];
    await claim.query("begin; select from howdah._howdah_buckets where owner_id = 1 and stripe = 2 for update");
    const changing = change.query("select howdah._howdah_apply_rules_v1('{1}')");
    await blocked(database, change);
    await claim.query("commit");
    expect((await changing).rowCount).toBe(1);
    await Promise.all([claim.end(), change.end()]);
  });

  it("of two at once leaves all queues with what was stored last", async () => {
    const names = Array.from({ length: 250 }, (_, index) => `q${index}`);
    await addTo(database, ...names);
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([
        client.setQueueRules("q*", { concurrency: 2 + round }),
        client.setQueueRules("q*", { concurrency: "unlimited", ...rate(1, "1s") }),
      ]);
      const [stored] = await database.sql("select width from howdah._howdah_rules");
      const widths = await database.sql("select distinct _howdah_width as width from howdah._private_job_queues");
      expect(widths).toEqual([stored]);
    }
  });
});

describe("a queue that was missed", () => {
  it("gets its rule with the next sweep when it was added by a transaction that the rule did not see", async () => {
    const session = await database.connect();
    await session.query("begin; select howdah.add_job('t', queue_name => 'tenant:1')");
    await client.setQueueRules("tenant:*", { concurrency: 3 });
    await session.query("commit");
    expect(await shapeOf(database, "tenant:1")).toMatchObject(SERIAL);
    await sweep();
    expect(await shapeOf(database, "tenant:1")).toMatchObject({ width: 3, lanes: [1, 2, 3], lockedBy: LANES });
    await session.end();
  });

  it("gets it when an add in repeatable read has put back what was cleaned up, or has seen older rules", async () => {
    await client.setQueueRules("tenant:*", { concurrency: 3 });
    await addTo(database, "tenant:1");
    await database.sql("delete from howdah._private_jobs");
    const session = await database.connect();
    await session.query("begin isolation level repeatable read; select from howdah._private_job_queues");
    await client.cleanup(["unusedQueues"]);
    expect(await shapeOf(database, "tenant:1")).toBeUndefined();
    await client.setQueueRules("tenant:*", { concurrency: 2 });
    await session.query(
      "select howdah.add_job('t', queue_name => 'tenant:1'), howdah.add_job('t', queue_name => 'tenant:2'); commit",
    );
    await sweep();
    for (const name of ["tenant:1", "tenant:2"]) {
      expect(await shapeOf(database, name)).toMatchObject({ width: 2, lanes: [1, 2], isCurrent: true });
    }
    await session.end();
  });

  it("is locked for good again when another one has ended its lock", async () => {
    const [id = 0] = await addTo(database, "q");
    await client.setQueueRules("q", { concurrency: 2 });
    await release(id);
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: false, lockedBy: LANES });
    await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'foreign'");
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: true, lockedBy: "foreign" });
    await release(id);
    await sweep();
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, waits: false, lockedBy: LANES });
  });

  it("is found among thousands that no rule fits, and these are compared once", async () => {
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'other ' || n from generate_series(1, 5000) as n",
    );
    await client.setQueueRules("q*", { concurrency: 2 });
    await database.sql("insert into howdah._private_job_queues (queue_name) values ('q1')");
    await sweep();
    expect(await shapeOf(database, "q1")).toMatchObject({ width: 2, isCurrent: true });
    while ((await sweep()) > 0);
    const [row] = await database.sql(
      "select count(*)::integer from howdah._private_job_queues where _howdah_rules_revision = 1",
    );
    expect(row).toEqual({ count: 5001 });
  });

  it("is looked for by one process in a while, and never while there are no rules", async () => {
    expect(await sweepRules(target, 60_000)).toBe(0);
    await addTo(database, "q");
    await client.setQueueRules("p", { concurrency: 2 });
    expect(await sweepRules(target, 60_000)).toBe(1);
    await addTo(database, "q2");
    await database.sql("update howdah._private_job_queues set _howdah_rules_revision = 0");
    expect(await sweepRules(target, 60_000)).toBe(0);
    expect(await sweepRules(target, 0)).toBe(2);
  });
});

describe("pools", () => {
  it("have lanes and buckets of their own, are named by rules, and go when none names them", async () => {
    await addTo(database, "q");
    await expect(client.setQueueRules("q", { pool: "api" })).rejects.toMatchObject({ code: "HOWDAH_POOL_UNKNOWN" });
    expect(await client.setQueuePool("api", { concurrency: 3, ...rate(2, "1s", 2) })).toBe(true);
    expect(await client.setQueuePool("api", { concurrency: 3, ...rate(2, "1s", 2) })).toBe(false);
    await client.setQueueRules("q", { concurrency: 2, pool: "api" });
    expect(await shapeOf(database, "q")).toMatchObject({ width: 2, pool: 1 });
    const gates = async () => ({
      lanes: await database.sql("select lane from howdah._howdah_lanes where owner_id = -1 order by 1"),
      buckets: await database.sql("select burst from howdah._howdah_buckets where owner_id = -1 order by stripe"),
    });
    expect(await gates()).toEqual({ lanes: [{ lane: 1 }, { lane: 2 }, { lane: 3 }], buckets: [{ burst: 2 }] });
    await client.setQueuePool("api", { concurrency: "unlimited" });
    expect(await gates()).toEqual({ lanes: [], buckets: Array(4).fill({ burst: null }) });
    await client.setQueuePool("api", { concurrency: 1 });
    expect(await gates()).toEqual({ lanes: [{ lane: 1 }], buckets: [] });
    await expect(client.setQueuePool("api", null)).rejects.toMatchObject({ code: "HOWDAH_POOL_IN_USE" });
    await client.setQueueRules("q", { concurrency: 2 });
    expect(await shapeOf(database, "q")).toMatchObject({ pool: null });
    expect([await client.setQueuePool("api", null), await client.setQueuePool("api", null)]).toEqual([true, false]);
    expect(await gates()).toEqual({ lanes: [], buckets: [] });
  });

  it("cannot go while a queue still runs by the rules from before", async () => {
    const [id = 0] = await addTo(database, "q");
    await client.setQueuePool("api", { concurrency: 3 });
    await client.setQueueRules("q", { concurrency: 2, pool: "api" });
    await holdLane(database, { queueId: id, lane: 1 });
    await client.setQueueRules("q", null);
    await expect(client.setQueuePool("api", null)).rejects.toMatchObject({ code: "HOWDAH_POOL_IN_USE" });
  });
});

describe("going back to a release without rules", () => {
  it("makes all queues serial, those that run jobs as soon as they have ended", async () => {
    const [first = 0] = await addTo(database, "q1", "q2");
    await client.setQueuePool("p", { concurrency: 1 });
    await client.setQueueRules("q*", { concurrency: 2, pool: "p", ...rate(1, "1s") });
    await holdLane(database, { queueId: first, lane: 1 });
    const drop = async () => (await database.sql("select howdah._howdah_drop_rules() as waiting"))[0]?.["waiting"];
    expect(await drop()).toBe(1);
    expect(await shapeOf(database, "q2")).toMatchObject(SERIAL);
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null");
    await database.sql("update howdah._howdah_lanes set locked_at = null, locked_by = null");
    expect(await drop()).toBe(0);
    expect(await shapeOf(database, "q1")).toMatchObject(SERIAL);
    expect(await client.listQueueRules()).toEqual({ rules: [], pools: [] });
    expect(await database.sql("select from howdah._howdah_buckets")).toEqual([]);
  });
});

describe("what may be stored", () => {
  it("becomes a shape, whatever it is, and the bucket of all parts holds what was said", async () => {
    await addTo(database, "q");
    const stored = fc.record({
      width: fc.oneof(fc.constant(null), fc.constantFrom(0, 1, 2, 999, 1000), fc.integer({ min: 0, max: 1000 })),
      tokenUs: fc.oneof(
        fc.constantFrom(1, 2, 49_999, 50_000, 86_400_000_000),
        fc.integer({ min: 1, max: 86_400_000_000 }),
      ),
      burst: fc.oneof(fc.constantFrom(1, 2, 15, 16, 17, 10_000), fc.integer({ min: 1, max: 10_000 })),
      share: fc.option(fc.integer({ min: 1, max: 100 })),
      hasRate: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(stored, async ({ width, tokenUs, burst, share, hasRate }) => {
        const fits = tokenUs * burst <= 366 * 86_400_000_000;
        const values = ["q", width, hasRate ? tokenUs : null, hasRate ? (fits ? burst : 1) : null, share, null];
        await database.sql("select howdah._howdah_set_rules_v1($1, $2, $3, $4, $5, $6)", values);
        await database.sql("select howdah._howdah_apply_rules_v1('{1}')");
        const shape = await shapeOf(database, "q");
        const lanes = width ?? 1;
        expect(shape).toMatchObject({ width: lanes, lanes: Array.from({ length: lanes }, (_, index) => index + 1) });
        const total = shape?.buckets.reduce((sum, [, part]) => sum + (part ?? 0), 0);
        expect(total).toBe(hasRate ? values[3] : 0);
        // Some row is there to be locked.
        expect((shape?.lanes.length ?? 0) + (shape?.buckets.length ?? 0)).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });

  it.each<[string, string, unknown]>([
    ["no rule at all", "q", {}],
    ["more lanes than a pattern may have", "q*", { concurrency: 101 }],
    ["no lane", "q", { concurrency: 0 }],
    ["a pattern with an asterisk in the middle", "a*b", { concurrency: 1 }],
    ["more than a million starts a second", "q", { rate: { limit: 2_000_001, per: "2s" } }],
    ["less than a start a day", "q", { rate: { limit: 1, per: "25h" } }],
    ["a burst that takes longer than a year to come back", "q", { rate: { limit: 1, per: "1d", burst: 400 } }],
    ["a rate without a time", "q", { rate: { limit: 1 } }],
    ["a share of nothing", "q", { share: 0 }],
  ])("is not %s", async (_, pattern, rules) => {
    await expect(client.setQueueRules(pattern, rules as QueueRules)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
  });

  it("comes back as it was given, in common times", async () => {
    await client.setQueuePool("api", rate(7, "1s"));
    await client.setQueueRules("a*", { concurrency: "unlimited", ...rate(100, "60s", 20), share: 3, pool: "api" });
    await client.setQueueRules("b", { concurrency: 5 });
    const { rules, pools } = await client.listQueueRules();
    expect(rules).toEqual([
      {
        pattern: "a*",
        concurrency: "unlimited",
        rate: { limit: 100, per: "1m", burst: 20 },
        share: 3,
        pool: "api",
        isDeclared: false,
        updatedAt: expect.any(Date) as Date,
      },
      { pattern: "b", concurrency: 5, isDeclared: false, updatedAt: expect.any(Date) as Date },
    ]);
    // Seven a second are not a whole number of microseconds apart: up, so that no day has more than was said.
    expect(pools).toMatchObject([
      { name: "api", concurrency: "unlimited", rate: { limit: 1, per: 142.858, burst: 7 } },
    ]);
    for (const { pattern, concurrency, rate: stored, share, pool } of rules) {
      const again = { concurrency, rate: stored, share, pool };
      expect(await client.setQueueRules(pattern, again)).toEqual({ changed: false, waiting: 0 });
    }
  });
});
