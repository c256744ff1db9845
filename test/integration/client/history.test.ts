import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import type { HistoryOptions } from "../../../src/client/history.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { driverOf } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const client = clientOver({ ...database, logger: silentLogger });

/** Jobs 1 to 40,000, a tenth of them in each length but the week, which has the rest; one a second, ten at once. */
const COUNT = 40_000;
const FILL = `
  insert into howdah._howdah_history (
    keep, finished_at, id, task, queue_name, state, attempts, max_attempts, priority, created_at, run_at, started_at, worker, key
  )
  select
    case n % 10 when 1 then 1 when 2 then 30 when 3 then 365 else 7 end,
    timestamptz '2026-01-01Z' + (n / 10) * interval '1 s', n, 't' || n % 4, case when n % 2 = 0 then 'q' end,
    case when n % 1000 = 7 then 'x' else 'c' end::"char", 1, 25, 0, timestamptz '2026-01-01Z', timestamptz '2026-01-01Z',
    timestamptz '2026-01-01Z' + (n / 10) * interval '1 s', 'w', case when n % 500 = 0 then 'k' || n % 3 end
  from generate_series(1, ${COUNT}) as n`;

beforeAll(async () => {
  await database.sql(FILL);
  for (const [days, unit] of [
    [1, "hour"],
    [7, "day"],
  ] as const) {
    await database.sql(
      `create table howdah.part_${days} partition of howdah._howdah_history_${days}
       for values from ('2027-01-01Z') to (timestamptz '2027-01-01Z' + interval '1 ${unit}')`,
    );
  }
});

/** All pages of a filter. */
async function all(options: HistoryOptions): Promise<number[]> {
  const ids: number[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const page = await client.history({ ...options, after });
    ids.push(...page.jobs.map(({ id }) => Number(id)));
    after = page.next;
    pages += 1;
    expect(pages).toBeLessThan(100);
  } while (after !== undefined);
  return ids;
}

const expected = (fits: (n: number) => boolean): number[] =>
  Array.from({ length: COUNT }, (_, index) => COUNT - index).filter(fits);

describe("history", () => {
  it.each<[HistoryOptions, (n: number) => boolean]>([
    [{ limit: 1_000 }, () => true],
    [{ task: "t1", limit: 1_000 }, (n) => n % 4 === 1],
    [{ jobKey: "k1" }, (n) => n % 500 === 0 && n % 3 === 1],
    [{ jobKey: "k1", task: "t0", limit: 3 }, (n) => n % 500 === 0 && n % 3 === 1 && n % 4 === 0],
    [{ state: "cancelled", limit: 7 }, (n) => n % 1_000 === 7],
    [{ state: "cancelled", task: "t3" }, (n) => n % 1_000 === 7 && n % 4 === 3],
    [{ queueName: "q", limit: 1_000 }, (n) => n % 2 === 0],
    [{ state: "failed" }, () => false],
    [{ since: "2026-01-01T00:10:00Z", until: "2026-01-01T00:20:00Z", limit: 1_000 }, (n) => n >= 6_000 && n < 12_000],
  ])("lists with %j the newest first, each once", async (options, fits) => {
    expect(await all(options)).toEqual(expected(fits));
  });

  it("gives what is kept of a job", async () => {
    await database.sql(
      "update howdah._howdah_history set payload = '{\"a\":1}', result = '[1]', error = 'e' where id = 12",
    );
    const { jobs } = await client.history({ since: "2026-01-01T00:00:01Z", until: "2026-01-01T00:00:02Z", task: "t0" });
    expect(jobs.map(({ id }) => id)).toEqual(["16", "12"]);
    const at = new Date("2026-01-01T00:00:01Z");
    const job = {
      id: "12",
      task: "t0",
      queueName: "q",
      payload: { a: 1 },
      priority: 0,
      runAt: new Date("2026-01-01Z"),
      attempts: 1,
      maxAttempts: 25,
      lastError: "e",
      createdAt: new Date("2026-01-01Z"),
      updatedAt: at,
      jobKey: null,
      revision: 0,
      flags: [],
      timeoutMs: null,
      lockedAt: null,
      lockedBy: null,
      state: "completed",
      finishedAt: at,
      startedAt: at,
      workerId: "w",
      result: [1],
      error: "e",
    };
    expect(jobs[1]).toEqual(job);
    expect(await client.getJob("12")).toEqual(job);
    expect(await client.getJob(String(COUNT + 1))).toBeUndefined();
    expect(jobs[0]).toMatchObject({ payload: undefined, result: undefined });
  });

  it.each([{ after: "x" }, { after: Buffer.from("1 x").toString("base64url") }, { limit: 0 }, { state: "running" }])(
    "refuses %j",
    async (options) => {
      await expect(client.history(options as HistoryOptions)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    },
  );
});

interface PlanNode {
  readonly "Node Type": string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

/** How many rows of history the nodes of a plan have read. */
function rowsRead(node: PlanNode): number {
  const isHistory = node["Relation Name"]?.startsWith("_howdah_history") === true;
  const rows = (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"];
  return (isHistory ? rows : 0) + (node.Plans ?? []).reduce((sum, child) => sum + rowsRead(child), 0);
}

/** The rows of history that the statements of `work` look at. */
async function looked(work: (reader: typeof client) => Promise<unknown>): Promise<number> {
  const session = await database.connect();
  let rows = 0;
  session.on("notice", ({ message = "" }) => {
    rows += rowsRead((JSON.parse(message.slice(message.indexOf("{"))) as { Plan: PlanNode }).Plan);
  });
  await session.query(`load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
    set auto_explain.log_timing = off; set auto_explain.log_format = json; set auto_explain.log_level = notice`);
  const { query } = driverOf(session);
  const readDriver: Driver = {
    query,
    transaction: (run) => run({ query }),
    listen: () => Promise.reject(new Error("no")),
    close: () => Promise.resolve(),
  };
  await work(clientOver({ ...database, readDriver, logger: silentLogger }));
  await session.end();
  return rows;
}

describe.each(["select", "analyze howdah._howdah_history"])("after %s, a page", (prepare) => {
  beforeAll(() => database.sql(prepare));

  it.each<HistoryOptions>([
    {},
    { task: "t1" },
    { jobKey: "k1" },
    { since: "2026-01-01T00:10:00Z", until: "2026-01-01T00:20:00Z" },
  ])("with %j looks by index at no more than it shows of each length", async (options) => {
    const rows = await looked((reader) => reader.history({ ...options, limit: 10 }));
    // Ties of ten, and the rows themselves; of a task that is kept for a day some more. Without statistics a table as
    // small as these is sorted.
    const most = options.task === undefined ? 200 : 5_000;
    expect(rows).toBeLessThan(prepare === "select" ? 15_000 : most);
  });

  it("without an index that serves its filter looks at 20,000 of each length at most", async () => {
    const rows = await looked((reader) => reader.history({ state: "failed" }));
    expect(rows).toBeLessThanOrEqual(4 * 20_000);
  });
});

describe("getJob and listAttempts", () => {
  it("find a job wherever it is, and its attempts", async () => {
    const job = await client.addJob("t", { n: 1 });
    await database.sql(
      "insert into howdah._howdah_attempts select $1, now() + n * interval '1 s', n, 'w', now(), 'e' || n, 's' from generate_series(1, 5) as n",
      [job.id],
    );
    expect(await client.getJob(job.id)).toMatchObject({ id: job.id, state: "ready" });
    expect((await client.listAttempts(job.id)).map(({ attempt, error }) => [attempt, error])).toEqual([
      [1, "e1"],
      [2, "e2"],
      [3, "e3"],
      [4, "e4"],
      [5, "e5"],
    ]);
    const [last, ...others] = await client.listAttempts(job.id, { limit: 1 });
    expect([last?.attempt, last?.workerId, last?.stack, others]).toEqual([5, "w", "s", []]);
    expect(last?.failedAt.getTime()).toBeGreaterThan(last?.startedAt?.getTime() ?? 0);
    expect(await client.listAttempts("999999")).toEqual([]);
    await expect(client.listAttempts("x")).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});
