import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { START } from "../../../src/postgres/position.ts";
import { createReleaseAndContinue } from "../../../src/postgres/queries/ending/release-and-continue.ts";
import { changeOf, createClaims, driverOf, type Claims } from "../../harness/claims.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

// The plans of what really runs inside of the functions, as the server reports
// them, on a million jobs of which the planner knows nothing.
const database = await createDatabase();
afterAll(() => database.drop());
const WORKER_ID = "w".repeat(25);

/** By one of the indexes that were made for it, or by id; what became due, without the table. */
const GOOD_SCAN =
  /^Index (Only Scan using _howdah_due on _private_jobs|(Only )?Scan using (_howdah_(ready|queued) on _private_jobs|jobs_pkey1 on _private_jobs|job_queues_pkey1 on _private_job_queues))$/;

const FILL = `
  insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, 5000) as n;
  insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at)
  select 1 + (n % 2), nullif(n % 10000, 0), n % 3, now() - interval '1 hour' + n * interval '1 ms'
  from (select case when i % 2 = 0 then i / 2 % 5000 + 1 else 0 end as n from generate_series(1, 1000000) as i) as job`;

beforeAll(async () => {
  for (const table of ["_private_jobs", "_private_job_queues"]) {
    await database.sql(`alter table howdah.${table} set (autovacuum_enabled = false)`);
  }
  await database.sql("analyze howdah._private_jobs, howdah._private_job_queues");
  await database.sql(FILL);
}, 120_000);

describe.each([
  { state: "statistics from when there were none", prepare: "select", settings: "" },
  {
    state: "true statistics, and a server that finds indexes dear",
    prepare: "analyze howdah._private_jobs, howdah._private_job_queues",
    settings: "set random_page_cost = 1000; set cpu_index_tuple_cost = 100",
  },
  {
    state: "no statistics at all",
    settings: "",
    prepare: `delete from pg_statistic where starelid in ('howdah._private_jobs'::regclass, 'howdah._private_job_queues'::regclass);
     update pg_class set reltuples = -1, relpages = 0 where oid in ('howdah._private_jobs'::regclass, 'howdah._private_job_queues'::regclass)`,
  },
])("on a million jobs with $state", ({ prepare, settings }) => {
  let session: pg.Client;
  let claims: Claims;
  let plans: string[];

  beforeAll(async () => {
    await database.sql(prepare);
    session = await database.connect();
    await session.query(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_level = notice;
      ${settings}`);
    session.on("notice", ({ message }) => plans.push(String(message)));
    claims = await createClaims(database, WORKER_ID, session);
  });

  /** Runs `work` and returns how any statement that it ran reads the jobs and the queues. */
  async function scansOf(work: () => Promise<unknown>): Promise<string[]> {
    plans = [];
    await work();
    expect(plans.length).toBeGreaterThan(0);
    const nodes = plans.flatMap(
      (plan) => plan.match(/[A-Z][A-Za-z ]*Scan\b[^(\n]*\bon _private_jobs?(_queues)?\b/g) ?? [],
    );
    return [...new Set(nodes.map((node) => node.replace(" Backward", "").trim()))].sort();
  }

  it("claims and releases by index alone, queued or not, with floors or without", async () => {
    const answers: Awaited<ReturnType<Claims["claim"]>>[] = [];
    const scans = await scansOf(async () => {
      for (const chainLength of [1, 5]) {
        const first = await claims.claim({ quantity: 50, chainLength, windowAfter: -1, due: START });
        const second = await claims.claim({
          quantity: 50,
          queueIds: first.leftover,
          due: first.due,
          levels: [0, 1].map((priority) => ({ priority, floor: { at: "1000000000000000", id: "1" } })),
          chainLength,
        });
        answers.push(
          first,
          second,
          await claims.claim({ taskIds: [7], due: first.due, windowAfter: null, forbiddenFlags: ["x"] }),
        );
      }
      for (const { jobs, claimedAt } of answers) {
        const ids = jobs.map(({ id }) => id);
        const lastIds = new Map(jobs.map(({ queueId, id }) => [queueId, id]));
        const chainEnds = [...lastIds].flatMap(([queueId, lastJobId]) =>
          queueId === null ? [] : [{ queueId, lastJobId, claimedAt }],
        );
        const ending = {
          claimTimes: [claimedAt],
          completed: ids.slice(0, 20),
          changed: ids.slice(20).map((id) => changeOf(id, { refund: true, message: "x", delayMs: 60_000 })),
          chainEnds,
        };
        await claims.release(ending);
        await claims.release({ ...ending, patient: false });
      }
    });
    expect(answers.reduce((sum, { jobs }) => sum + jobs.length, 0)).toBeGreaterThanOrEqual(200);
    for (const scan of scans) expect(scan).toMatch(GOOD_SCAN);
    expect(scans.length).toBeGreaterThan(4);
  });

  it("claims straight, completes what it claimed, and goes on in queues, by index alone", async () => {
    const releaseAndContinue = createReleaseAndContinue(driverOf(session), database.schema);
    const found: number[] = [];
    const scans = await scansOf(async () => {
      const levels = [0, 1].map((priority) => ({ priority, floor: { at: "1000000000000000", id: "1" } }));
      const { due } = await claims.claim({ quantity: 1, windowAfter: null, due: START });
      const late = { at: String(BigInt(due.at) + 3_600_000_000n), id: "0" };
      for (const [quantity, seen, forbiddenFlags] of [
        [50, late, null],
        [5, late, ["x"]],
        [5, due, null],
      ] as const) {
        const straight = { quantity, levels, due: seen, windowAfter: null, isStraight: true, forbiddenFlags };
        const { jobs, claimedAt } = await claims.claim(straight);
        found.push(jobs.length);
        await claims.release({ claimTimes: [claimedAt], completed: jobs.map(({ id }) => id) });
      }
      const seenLevels = [{ priority: 0, floor: late }];
      const { jobs, claimedAt } = await claims.claim({ quantity: 8, levels: seenLevels, windowAfter: -1, due: START });
      const queued = jobs.filter(({ queueId }) => queueId !== null);
      const queues = queued.map(({ queueId, priority, id, runAt }) => {
        return { queueId: Number(queueId), priority, floor: { at: runAt, id } };
      });
      const completed = queued.map(({ id }) => id);
      const chainEnds = queued.map(({ id, queueId }) => ({ queueId: Number(queueId), lastJobId: id, claimedAt }));
      const ended = { workerId: WORKER_ID, claimTimes: [claimedAt], completed, changed: [], chainEnds, patient: true };
      const next = await releaseAndContinue(ended, { workerId: WORKER_ID, taskIds: [1], forbiddenFlags: null, queues });
      found.push(queued.length, next.jobs.length);
    });
    expect(found.slice(0, 3)).toEqual([50, 5, 5]);
    expect(found[3]).toBeGreaterThan(0);
    expect(found[4]).toBe(found[3]);
    for (const scan of scans) expect(scan).toMatch(GOOD_SCAN);
    expect(scans.length).toBeGreaterThan(4);
  });

  it("claims jobs that were named by their ids alone", async () => {
    const named = await session.query(
      "select id::text from howdah._private_jobs where job_queue_id is null and locked_at is null and run_at <= now() and task_id = 1 and id > 500000 order by id limit 20",
    );
    const jobIds = (named.rows as { id: string }[]).map(({ id }) => id);
    let claimed = 0;
    const scans = await scansOf(async () => {
      claimed = (await claims.claimNamed(jobIds, ["x"])).jobs.length;
    });
    expect([claimed, scans]).toEqual([20, ["Index Scan using jobs_pkey1 on _private_jobs"]]);
  });

  it("sees the bad plan when the claim's settings are taken away", async () => {
    const scans = await scansOf(() => session.query("select count(*) from howdah._private_jobs where locked_by = 'w'"));
    expect(scans.join()).toMatch(/Seq Scan/);
  });
});

describe.each([
  ["none was locked", ""],
  ["all were locked", "set locked_at = now(), locked_by = 'w'"],
])("with statistics of when there were a few hundred queues and %s", (_, locked) => {
  it("compares nothing with each queue that there is: claims, completions, failures", async () => {
    await using own = await createDatabase();
    const session = await own.connect();
    await own.sql("alter table howdah._private_job_queues set (autovacuum_enabled = false)");
    await own.sql("select howdah.add_job('t', queue_name => 'q' || n % 400) from generate_series(1, 2000) as n");
    if (locked) await own.sql(`update howdah._private_job_queues ${locked}`);
    await own.sql("vacuum analyze howdah._private_jobs, howdah._private_job_queues");
    if (locked) await own.sql("update howdah._private_job_queues set locked_at = null, locked_by = null");
    const claims = await createClaims(own, WORKER_ID, session);
    const notices: string[] = [];
    session.on("notice", ({ message }) => notices.push(String(message)));
    await session.query(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_analyze = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_level = notice`);
    for (const isCompleted of [true, false]) {
      const { jobs, claimedAt } = await claims.claim({ quantity: 300, windowAfter: -1 });
      const chainEnds = jobs.map(({ id, queueId }) => ({ queueId: Number(queueId), lastJobId: id, claimedAt }));
      const ids = jobs.map(({ id }) => id);
      const outcomes = isCompleted
        ? { completed: ids }
        : { changed: ids.map((id) => changeOf(id, { delayMs: 60_000 })) };
      await claims.release({ claimTimes: [claimedAt], ...outcomes, chainEnds });
      expect(new Set(chainEnds.map(({ queueId }) => queueId)).size).toBe(300);
    }
    const nodes = notices.flatMap((plan) => [
      ...plan.matchAll(/-> +(.*?) +\(cost.*?actual rows=([\d.]+) loops=(\d+)\)/g),
    ]);
    expect(nodes.length).toBeGreaterThan(20);
    const most = nodes
      .map(([, node, rows, loops]) => ({ node, rows: Number(rows) * Number(loops) }))
      .filter(({ rows }) => rows > 4_000);
    expect(most).toEqual([]);
    expect(await own.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
  });
});

describe("a claim of a job that has attempts left", () => {
  const counts = async (own: TestDatabase, session: pg.Client) => {
    const { rows: versions } = await session.query(
      "select current_setting('server_version_num')::int >= 150000 as flushes",
    );
    if ((versions as { flushes: boolean }[])[0]?.flushes) await session.query("select pg_stat_force_next_flush()");
    const [row] = await own.sql(
      "select n_tup_upd::int as updates, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = '_private_jobs'",
    );
    return row as { updates: number; hot: number };
  };

  it.each([
    ["many left", 25],
    ["the last one", 1],
  ])("stays on its page and leaves the indexes alone (%s)", async (_, maxAttempts) => {
    // What other sessions have done is counted when they come to it, so there are none.
    await using own = await createDatabase();
    const session = await own.connect();
    const claims = await createClaims(own, WORKER_ID, session);
    await own.sql(
      'insert into howdah._private_jobs (task_id, max_attempts, payload) select 1, $1, \'{"to":"ada@example.com"}\' from generate_series(1, 5000)',
      [maxAttempts],
    );
    const before = await counts(own, session);
    for (let claimed = 0; claimed < 5_000; claimed += 500) await claims.claim({ quantity: 500, windowAfter: null });
    const after = await until(async () => {
      const now = await counts(own, session);
      return now.updates - before.updates >= 5_000 ? now : undefined;
    });
    expect(after.updates - before.updates).toBe(5_000);
    expect((after.hot - before.hot) / 5_000).toBeGreaterThan(0.85);
  });
});
