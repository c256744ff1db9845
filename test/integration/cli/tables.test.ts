import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../../src/index.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { projectFiles } from "../../docs/project-tree.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { runCli } from "../../harness/run-cli.ts";

/** Every command that prints rows, for a person at a terminal and for a program behind a pipe. */

const CRONTAB = join(tmpdir(), `howdah-tables-${process.pid}`);
let database: TestDatabase;

/** The call, the columns for programs, and a row of each as programs get it. */
const CALLS: readonly (readonly [call: string, header: string, row: RegExp])[] = [
  [
    "list --task later",
    "ID TASK QUEUE STATE DUE PRIO TRIES KEY DETAIL",
    /^\d+\tlater\tmail\tscheduled\t2100-01-31T08:00:00\.000Z\t3\t0\/25\t\t$/,
  ],
  [
    "list --state failed",
    "ID TASK QUEUE STATE DUE PRIO TRIES KEY DETAIL",
    /^\d+\tbroken\t\tfailed\t\S+Z\t0\t1\/1\t\tno such file\\n at\\\S+x$/,
  ],
  ["queues list", "QUEUE JOBS READY HELD BY PAUSED", /^mail\t1\t0\t\tinfinity$/],
  ["rules list", "QUEUES CONCURRENCY RATE SHARE POOL SET BY", /^tenant:\*\t5\t100\/1m, burst 20\t2\tapi\ta call$/],
  ["tasks list", "TASK PAUSED", /^later\t2100-01-31T08:00:00\.000Z$/],
  [
    "workers",
    "WORKER HOST PID SLOTS RUNS STARTED HEARTBEAT SESSION TROUBLE",
    /^w\tbox\t7\t\t\t\S+Z\t\S+Z\tnone\tstale$/,
  ],
  ["stats", "STATE JOBS", /^total\t1002$/],
  ["stats --by task", "TASK READY SCHEDULED RUNNING FAILED", /^later\t0\t1\t0\t0$/],
  ["stats --by queue", "QUEUE READY SCHEDULED RUNNING FAILED", /^mail\t0\t1\t0\t0$/],
  [
    "history --task kept",
    "ID TASK QUEUE STATE ENDED TOOK TRIES KEY DETAIL",
    /^7\tkept\tmail\tcompleted\t\S+Z\t2000\t1\/25\tk\t$/,
  ],
  ["errors", "JOBS ERROR TASKS FIRST LAST NEWEST", /^1\tno such file\tbroken\t\S+Z\t\S+Z\t\d+$/],
  ["stats --by error", "ERROR FAILED", /^no such file\t1$/],
  [
    "operations list",
    "ID ACTION STATE FOUND CHANGED STOPPED BEGUN LAST BATCH",
    /^\d+\tretry\tdone\t1000\t1000\t0\t\S+Z\t\S+Z$/,
  ],
  [
    "schedules list",
    "ID TASK SCHEDULE ZONE LAST NEXT STATE",
    /^nightly\tbackup\t0 0 1 1 \*\tUTC\t\t\d{4}-01-01T00:00:00\.000Z\tno worker knows the task$/,
  ],
  [
    `cron check ${CRONTAB}`,
    "ID TASK SCHEDULE ZONE FILL NEXT",
    /^backup\tbackup\t0 0 1 1 \*\tUTC\t\S*\t\d{4}-01-01T00:00:00\.000Z$/,
  ],
  [
    "doctor --only workers,clock",
    "STATUS CHECK FINDING MEANS TODO GUIDE",
    /^warn\tworkers\tw has sent no heartbeat\t?.*\tdocs\/guides\/recovery\.md$/,
  ],
];

/** Of these there are none: the columns are printed all the same. */
const EMPTY: readonly (readonly [call: string, says: string])[] = [
  ["list --task none", "No such jobs."],
  ["history", "No such jobs."],
  ["errors --task none", "No job has failed for good."],
  ["queues list --search none", "No queues."],
  ["stats --by queue", "No such jobs."],
  ["operations list", "No operations."],
  ["schedules list", "No schedules."],
  ["tasks list", "No task is paused."],
  ["rules list", "No rules."],
  ["workers", "No workers."],
];

beforeAll(async () => {
  writeFileSync(CRONTAB, "0 0 1 1 * backup\n");
  database = await createDatabase();
  await using client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
  await client.addJobs(
    Array.from({ length: 1_000 }, () => ({ identifier: "retried", payload: {}, spec: { maxAttempts: 1 } })),
  );
  await database.sql("update howdah._private_jobs set attempts = 1");
  await client.retryJobs({ task: "retried" });
  await client.addJob("later", {}, { runAt: new Date("2100-01-31T08:00:00Z"), queueName: "mail", priority: 3 });
  await client.addJob("broken", {}, { maxAttempts: 1 });
  await database.sql(
    "update howdah._private_jobs set attempts = 1, last_error = E'no such file\\n at\\tx' where max_attempts = 1 and priority = 0 and id = (select max(id) from howdah._private_jobs)",
  );
  await database.sql(`insert into howdah._howdah_history
    (keep, finished_at, id, task, queue_name, state, attempts, max_attempts, priority, created_at, run_at, started_at, key)
    values (7, now(), 7, 'kept', 'mail', 'c', 1, 25, 0, now(), now(), now() - interval '2 s', 'k')`);
  await client.pauseQueue("mail");
  await client.setQueuePool("api", { concurrency: 50 });
  const rate = { limit: 100, per: "1m", burst: 20 } as const;
  await client.setQueueRules("tenant:*", { concurrency: 5, rate, share: 2, pool: "api" });
  await client.pauseTask("later", { until: "2100-01-31T08:00:00Z" });
  await client.schedules.upsert({ id: "nightly", task: "backup", schedule: "0 0 1 1 *" });
  await database.sql(
    `insert into howdah._private_workers (id, last_heartbeat_at, metadata) values ('w', now() - interval '1 hour', '{"pid": 7, "host": "box"}')`,
  );
});

afterAll(async () => {
  rmSync(CRONTAB, { force: true });
  await database.drop();
});

const call = (line: string, at: TestDatabase, columns?: number) =>
  runCli([...line.split(" "), "--database-url", at.connectionString], columns === undefined ? undefined : { columns });

describe.each(CALLS)("howdah %s", (line, header, row) => {
  it("separates columns by tabs for programs, below their names, without colours", async () => {
    const { out } = await call(line, database);
    expect(out).not.toContain("\u001B");
    const [names = "", ...rows] = out.replace(/\n$/, "").split("\n");
    expect(names.replaceAll("\t", " ")).toBe(header);
    expect(rows.filter((each) => row.test(each))).toHaveLength(1);
    const width = names.split("\t").length;
    expect(new Set(rows.map((each) => each.split("\t").length))).toEqual(new Set([width]));
  });

  it("prints a table for people, no wider than the terminal", async () => {
    for (const columns of [60, 140]) {
      const { out } = await call(line, database, columns);
      const lines = stripVTControlCharacters(out).trimEnd().split("\n");
      expect(out).not.toContain("\t");
      expect(lines[0]).toMatch(new RegExp(`^ *${header.split(" ")[0]}\\b`));
      const rows = line.startsWith("doctor") ? lines.slice(0, 3) : lines;
      expect(Math.max(...rows.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    }
  });
});

describe("without rows", () => {
  it.each(EMPTY)(
    "howdah %s prints the names of the columns for programs, and a sentence for people",
    async (line, says) => {
      await using empty = await createDatabase();
      const piped = await call(line, empty);
      expect(piped).toMatchObject({ code: 0, out: expect.stringMatching(/^[A-Z]+(\t[A-Z ]+)*\n$/) });
      expect(stripVTControlCharacters((await call(line, empty, 80)).out)).toBe(`${says}\n`);
    },
  );
});

it("leaves out no command that prints rows", () => {
  const printing = projectFiles().filter(
    (path) => path.startsWith("src/cli/commands/") && readFileSync(path, "utf8").includes("printTable("),
  );
  const tested = new Set(CALLS.map(([line]) => line.split(" ")[0]));
  const files = { queues: "pauses", tasks: "pauses" } as Readonly<Record<string, string>>;
  expect([...new Set([...tested].map((name) => `src/cli/commands/${files[name ?? ""] ?? name}.ts`))].sort()).toEqual(
    printing.sort(),
  );
});
