import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { START } from "../../../src/postgres/position.ts";
import { createClaims, type Claims } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createPool, shapeQueues } from "../../harness/shape-queues.ts";

// The plans of claims of queues with rules, on tables of which the planner knows nothing.
const database = await createDatabase();
afterAll(() => database.drop());

const TABLES = ["_private_jobs", "_private_job_queues", "_howdah_lanes", "_howdah_buckets", "_howdah_pools"];
const ALL = TABLES.map((table) => `howdah.${table}`).join(", ");

/** By one of the indexes that were made for it, or by the key. */
const GOOD_SCAN =
  /^Index (Only Scan using _howdah_due on _private_jobs|(Only )?Scan using (_howdah_(ready|queued) on _private_jobs|jobs_pkey1 on _private_jobs|job_queues_pkey1 on _private_job_queues|_howdah_lanes_pkey on _howdah_lanes|_howdah_buckets_pkey on _howdah_buckets|_howdah_pools_(pkey|name_key) on _howdah_pools))$/;

beforeAll(async () => {
  for (const table of TABLES) await database.sql(`alter table howdah.${table} set (autovacuum_enabled = false)`);
  await database.sql(`analyze ${ALL}`);
  await database.sql(`
    insert into howdah._private_job_queues (queue_name)
    select (array['l', 'r', 'u', 'p', 's'])[1 + n % 5] || n from generate_series(1, 5000) as n;
    insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at)
    select 1 + (n % 2), nullif(1 + n % 6000, 0), n % 3, now() - interval '1 hour' + n * interval '1 ms'
    from generate_series(1, 200000) as n;
    update howdah._private_jobs set job_queue_id = null where job_queue_id > 5000`);
  const poolId = await createPool(database, { width: 500, rate: { tokenUs: 1_000, burst: 1_000, stripes: 16 } });
  await shapeQueues(database, "l%", { width: 5 });
  await shapeQueues(database, "r%", { width: 0, rate: { tokenUs: 1_000_000, burst: 20, stripes: 4 } });
  await shapeQueues(database, "u%", { width: 0 });
  await shapeQueues(database, "p%", { width: 5, poolId });
}, 120_000);

/** Has the session report the plans of all statements inside of functions. */
async function explain(session: pg.Client, settings = ""): Promise<string[]> {
  const plans: string[] = [];
  session.on("notice", ({ message }) => plans.push(String(message)));
  await session.query(`
    load 'auto_explain';
    set auto_explain.log_min_duration = 0;
    set auto_explain.log_analyze = on;
    set auto_explain.log_timing = off;
    set auto_explain.log_nested_statements = on;
    set auto_explain.log_level = notice;
    ${settings}`);
  return plans;
}

// Each state names queues that no earlier one came near: a serial queue that was claimed stays locked.
let firstQueueId = 1;

describe.each([
  { state: "statistics from when there were none", prepare: "select", settings: "" },
  {
    state: "true statistics, and a server that finds indexes dear",
    prepare: `analyze ${ALL}`,
    settings: "set random_page_cost = 1000; set cpu_index_tuple_cost = 100",
  },
  {
    state: "no statistics at all",
    settings: "",
    prepare: `delete from pg_statistic where starelid = any ('{${ALL}}'::regclass[]);
     update pg_class set reltuples = -1, relpages = 0 where oid = any ('{${ALL}}'::regclass[])`,
  },
])("with $state", ({ prepare, settings }) => {
  it("claims of queues with rules read everything by index, and no row more than a few times", async () => {
    await database.sql(prepare);
    const session = await database.connect();
    const plans = await explain(session, settings);
    const claims: Claims = await createClaims(database, "w".repeat(25), session);
    plans.length = 0;
    const found = new Set<string>();
    let due = START;
    for (let turn = 0; turn < 8; turn += 1) {
      // Two of each kind by name, others by what became due and by a window.
      const queueIds = Array.from({ length: 10 }, (_, index) => firstQueueId + 10 * turn + index);
      const restingTaskIds = turn === 3 ? [99] : [];
      // In the last ones calls do several jobs, and places are kept for priorities that wait.
      const more = {
        gathering: turn < 4 ? undefined : { taskIds: [1, 2], sizes: [5, 5], further: 100 },
        aging: turn < 6 ? undefined : { places: 7, afterMs: 1_000 },
      };
      const answer = await claims.claim({ quantity: 60, queueIds, windowAfter: -1, due, restingTaskIds, ...more });
      ({ due } = answer);
      for (const { queueName } of answer.jobs) found.add(queueName?.slice(0, 1) ?? "none");
    }
    firstQueueId += 1_000;
    expect([...found].sort()).toEqual(expect.arrayContaining(["l", "p", "r", "s", "u"]));
    const nodes = plans.flatMap(
      (plan) =>
        plan.match(/[A-Z][A-Za-z ]*Scan\b[^(\n]*\bon _(private_jobs?(_queues)?|howdah_(lanes|buckets|pools))\b/g) ?? [],
    );
    const scans = [...new Set(nodes.map((node) => node.replace(" Backward", "").trim()))].sort();
    for (const scan of scans) expect(scan).toMatch(GOOD_SCAN);
    expect(scans.length).toBeGreaterThan(6);
    const most = plans
      .flatMap((plan) => [...plan.matchAll(/-> +(.*?) +\(cost.*?actual rows=([\d.]+) loops=(\d+)\)/g)])
      .map(([, node, rows, loops]) => ({ node, rows: Number(rows) * Number(loops) }))
      .filter(({ rows }) => rows > 8_000);
    expect(most).toEqual([]);
  });
});

describe("a claim where there are no rules", () => {
  const FILL = [
    "alter table howdah._private_jobs set (autovacuum_enabled = false)",
    "alter table howdah._private_job_queues set (autovacuum_enabled = false)",
    "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, 300) as n",
    `insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at)
     select 1, case when n % 3 > 0 then 1 + n % 300 end, n % 2, now() - interval '1 hour' + n * interval '1 ms'
     from generate_series(1, 6000) as n`,
    "vacuum analyze howdah._private_jobs",
    "vacuum analyze howdah._private_job_queues",
  ];

  /** What a few claims bring, which statements they run inside of functions, and how many blocks these touch. */
  async function measure(form: "v1" | "v2") {
    await using own = await createDatabase();
    for (const statement of FILL) await own.sql(statement);
    const session = await own.connect();
    const plans = await explain(session, "set auto_explain.log_buffers = on");
    const claim = (chainLength: number) =>
      session.query(
        `select kind, id::text, queue_id, priority from howdah._howdah_claim_${form}(
          'w', 24, '{1}', null, '{}', '{}', '{}', '{1,2,3}', 0, 0, 0, ${chainLength}, 24, '{2}', '{0}', '{0}', '{0}', '{5}'
        )`,
      );
    // The first one makes the plans, which reads the catalogue.
    await claim(1);
    const results = [];
    for (const chainLength of [1, 2, 3]) {
      plans.length = 0;
      const { rows } = await claim(chainLength);
      // The last plan is that of the call, with all that happened in it. The question costs a block of an index.
      const blocks = Number(/Buffers: shared hit=(\d+)/.exec(plans.at(-1) ?? "")?.[1] ?? 0);
      const asked = plans.filter((plan) => plan.includes('exists (select from "howdah"._howdah_rules)'));
      const scans = new Set(plans.slice(0, -1).flatMap((plan) => plan.match(/Index [A-Za-z ]*Scan\b[^(\n]*/g) ?? []));
      const asks = scans.delete("Index Only Scan using _howdah_rules_pkey on _howdah_rules  ") ? 1 : 0;
      results.push({
        rows,
        asked: asked.length,
        statements: plans.length - asked.length,
        blocks: blocks - asks,
        scans: [...scans].sort(),
      });
    }
    return results;
  }

  it("brings the same, with the same scans, blocks and no more statements, but for one look whether there are rules", async () => {
    const [before, after] = [await measure("v1"), await measure("v2")];
    for (const [index, one] of after.entries()) {
      const { rows, scans, statements = 0, blocks = 0 } = before[index] ?? {};
      expect(one).toMatchObject({ rows, scans, blocks });
      expect(one.statements).toBeLessThanOrEqual(statements);
      expect(one.asked).toBe(1);
    }
  });
});
