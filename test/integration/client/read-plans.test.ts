import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { operatorAccessOf } from "../../../src/client/operator-access.ts";
import { JOB_STATES } from "../../../src/job/job.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";

// The plans of lists and counts, as the server reports them, on 300,000 jobs of
// which the planner knows nothing: 150 times what a page may look at by an index.
const database = await createDatabase();
afterAll(() => database.drop());

const FILL = `
  insert into howdah._private_tasks (identifier) select 't' || n from generate_series(1, 20) as n;
  insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, 2000) as n;
  insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at, attempts, last_error, key)
  select 1 + n % 20, case when n % 5 = 0 then 1 + n / 5 % 2000 end, n % 3,
    now() + (n - 200000) * interval '1 s', case when n % 25 = 3 then 25 else 0 end, case when n % 25 = 3 then 'no ' || n end,
    case when n % 1000 = 0 then 'k' || n end
  from generate_series(1, 300000) as n`;

beforeAll(async () => {
  for (const table of ["_private_jobs", "_private_job_queues"])
    await database.sql(`alter table howdah.${table} set (autovacuum_enabled = false)`);
  await database.sql("analyze howdah._private_jobs, howdah._private_job_queues");
  await database.sql(FILL);
}, 120_000);

/** Rows of a node that read the jobs, and by what; loops are counted in. */
interface Scan {
  readonly by: string;
  readonly rows: number;
}

describe.each([
  { state: "statistics from when there were none", prepare: "select" },
  {
    state: "no statistics at all",
    prepare: `delete from pg_statistic where starelid in ('howdah._private_jobs'::regclass, 'howdah._private_job_queues'::regclass);
     update pg_class set reltuples = -1, relpages = 0 where oid in ('howdah._private_jobs'::regclass, 'howdah._private_job_queues'::regclass)`,
  },
  { state: "true statistics", prepare: "vacuum analyze howdah._private_jobs, howdah._private_job_queues" },
])("with $state", ({ prepare }) => {
  let session: pg.Client;
  let client: Client;
  let plans: string[];

  beforeAll(async () => {
    for (const statement of prepare.split(";\n")) await database.sql(statement);
    session = await database.connect();
    await session.query(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_analyze = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_format = json;
      set auto_explain.log_level = notice;`);
    session.on("notice", ({ message = "" }) => plans.push(message.slice(message.indexOf("{"))));
    client = clientOver({ ...database, readDriver: driverOf(session), logger: silentLogger });
  });

  /** How the statements of `work` read jobs, the largest scan of each kind. */
  async function scansOf(work: () => Promise<unknown>): Promise<Scan[]> {
    plans = [];
    await work();
    const scans = plans.flatMap((plan) => scansIn((JSON.parse(plan) as { Plan: PlanNode }).Plan));
    expect(scans.length).toBeGreaterThan(0);
    return scans;
  }

  const after = (limit: number) => async (options: Parameters<Client["listJobs"]>[0]) => {
    const { next } = await client.listJobs({ ...options, limit });
    expect(next).toBeDefined();
    await client.listJobs({ ...options, limit, after: next });
  };

  it.each([
    ["all", {}, 102],
    ["ready", { state: "ready" }, 1_000],
    ["scheduled", { state: "scheduled" }, 1_000],
    ["failed", { state: "failed" }, 102],
    ["of a queue", { queueName: "q7", limit: 5 }, 60],
    ["with a key", { jobKey: "k1000" }, 1],
  ] as const)("lists jobs by an index that serves the filter: %s", async (_, options, most) => {
    const scans = await scansOf(() =>
      "jobKey" in options ? client.listJobs(options) : after("limit" in options ? options.limit : 100)(options),
    );
    for (const { by, rows } of scans) {
      expect(by).toMatch(
        /^Index (Only )?Scan _howdah_(ready|queued|due|failed)$|^Index (Only )?Scan jobs_(pkey1|key_key1)$/,
      );
      expect([by, rows <= most]).toEqual([by, true]);
    }
  });

  it.each([
    ["of a task that has none", { task: "none" }],
    ["of one task, ready", { task: "t3", state: "ready" }],
    ["failed, with an error", { state: "failed", error: "nowhere" }],
    ["of a time", { since: "2100-01-01T00:00:00Z", backward: true }],
    ["of a queue, with an error", { queueName: "q7", error: "nowhere" }],
  ] as const)("looks at 50,000 jobs at most where none does: %s", async (_, options) => {
    const scans = await scansOf(() => client.listJobs(options));
    for (const { by, rows } of scans) {
      expect(by).toMatch(/^Index (Only )?Scan (_howdah_(queued|failed)|jobs_pkey1)$/);
      expect([by, rows <= 50_000]).toEqual([by, true]);
    }
  });

  it("looks at 20,000 jobs at most where it has to read payloads", async () => {
    for (const { by, rows } of await scansOf(() => client.listJobs({ payload: { a: 1 } }))) {
      expect(by).toMatch(/^Index (Only )?Scan jobs_pkey1$/);
      expect([by, rows <= 20_000]).toEqual([by, true]);
    }
  });

  it.each([
    ["of tasks that have none", {}, { tasks: ["none", "neither"] }],
    ["of a queue", {}, { queueNames: ["q7"] }],
    ["failed, without a queue or of one", { state: "failed" }, { queueNames: [null, "none"] }],
    ["ready, of a task and a queue", { state: "ready" }, { tasks: ["t3"], queueNames: ["q7"] }],
    ["of a queue, of tasks that have none there", { queueName: "q7" }, { tasks: ["none"] }],
  ] as const)("looks at 50,000 jobs at most for someone of some tasks and queues: %s", async (_, options, scope) => {
    const page = { isBackward: false, after: undefined, limit: 100 };
    const scans = await scansOf(() => operatorAccessOf(client).listJobs(options, scope, page));
    for (const { by, rows } of scans) {
      expect(by).toMatch(/^Index (Only )?Scan (_howdah_(queued|failed)|jobs_pkey1)$/);
      expect([by, rows <= 50_000]).toEqual([by, true]);
    }
  });

  it("counts by indexes what they have, and reads a limited part of the table for the rest", async () => {
    const work = async (): Promise<void> => {
      await client.stats();
      await client.listErrors();
      await client.listQueues({ limit: 100 });
      await client.listJobs({ state: "running" });
    };
    for (const { by, rows } of await scansOf(work)) {
      expect(by).not.toMatch(/Seq Scan|Bitmap/);
      expect([by, rows <= 100_001]).toEqual([by, true]);
    }
  });

  it.each([
    [
      "without a queue, behind all others",
      "select max(id) from howdah._private_jobs where job_queue_id is null and priority = 2 and run_at <= now() and attempts = 0",
    ],
    [
      "in a queue",
      "select max(id) from howdah._private_jobs where job_queue_id = 7 and run_at <= now() and attempts = 0",
    ],
    ["that failed", "select max(id) from howdah._private_jobs where attempts > 0"],
    ["that is not there", "select max(id) + 1 from howdah._private_jobs"],
  ])("explains a job by indexes, with the rows before it that it counts: %s", async (_, query) => {
    const [row = {}] = await database.sql(query);
    const id = String(Object.values(row)[0]);
    const direct = clientOver({ ...database, driver: driverOf(session), logger: silentLogger });
    for (const { by, rows } of await scansOf(() => direct.explainJob(id))) {
      expect(by).toMatch(/^Index (Only )?Scan (_howdah_(ready|queued|due)|jobs_pkey1)$/);
      expect([by, rows <= 3_010]).toEqual([by, true]);
    }
  });

  it("is the same inside of a transaction, whose settings are the application's", async () => {
    const connection = await database.connect();
    await connection.query("begin");
    const inside = client.inTransaction(connection);
    for (const state of JOB_STATES)
      expect((await inside.listJobs({ state, limit: 3 })).jobs.length).toBe(state === "running" ? 0 : 3);
    await connection.query("rollback");
  });

  it("would see a scan of the whole table", async () => {
    const scans = await scansOf(() => session.query("select count(*) from howdah._private_jobs where locked_by = 'w'"));
    expect(scans.some(({ by, rows }) => by.includes("Seq Scan") || rows > 100_001)).toBe(true);
  });
});

interface PlanNode {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

function scansIn(node: PlanNode): Scan[] {
  const inner = (node.Plans ?? []).flatMap(scansIn);
  if (node["Relation Name"] !== "_private_jobs" || !node["Node Type"].includes("Scan")) return inner;
  const loops = node["Actual Loops"] ?? 1;
  const rows = ((node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0)) * loops;
  return [...inner, { by: `${node["Node Type"]} ${node["Index Name"] ?? ""}`.trim(), rows }];
}

/** A driver that sends everything over one session. */
function driverOf(session: pg.Client): Driver {
  const query: Driver["query"] = async ({ text, values = [] }) => {
    const answer = await session.query({
      text,
      values: [...values],
      rowMode: "array",
      types: { getTypeParser: () => String },
    });
    const { rows = [], rowCount } = Array.isArray(answer) ? answer.at(-1) : answer;
    return {
      rows: rows as (string | null)[][],
      count: rowCount ?? 0,
    };
  };
  const transaction: Driver["transaction"] = async (work) => {
    await session.query("begin");
    try {
      return await work({ query });
    } finally {
      await session.query("commit");
    }
  };
  return { query, transaction, listen: () => Promise.reject(new Error("no")), close: () => Promise.resolve() };
}
