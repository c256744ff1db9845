import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { aborted, createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql(`truncate howdah._private_jobs, howdah._private_tasks, howdah._private_job_queues, howdah._howdah_history,
    howdah._howdah_attempts, howdah._howdah_job_logs, howdah._howdah_progress, howdah._howdah_recent restart identity`);
});

afterAll(() => database.drop());

/** Jobs of these keys that ended, each with an attempt and a line of its log. */
async function past(keys: readonly string[], quantity = 1): Promise<void> {
  await database.sql(
    `with ended as (
       insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at, key)
       select (array[1, 7, 30, 365])[n % 4 + 1], now() - n * interval '1 s', (select coalesce(max(id), 1000000) from howdah._howdah_history) + row_number() over (), 't', 'c', 1, 25, 0, now(), now(), key
       from unnest($1::text[]) as key, generate_series(1, $2::int) as n
       returning id
     ), attempts as (
       insert into howdah._howdah_attempts (job_id, at, attempt) select id, now(), 1 from ended
     )
     insert into howdah._howdah_job_logs (job_id, at, seq, attempt, message) select id, now(), 1, 1, 'said' from ended`,
    [keys, quantity],
  );
}

/** How many rows of each table say something of jobs. */
async function left(): Promise<Readonly<Record<string, number>>> {
  const [row] = await database.sql(`select
    (select count(*) from howdah._private_jobs)::int as jobs, (select count(*) from howdah._howdah_history)::int as history,
    (select count(*) from howdah._howdah_attempts)::int as attempts, (select count(*) from howdah._howdah_job_logs)::int as lines,
    (select count(*) from howdah._howdah_recent)::int as recent`);
  return row as never;
}

it("erases jobs that wait and that failed, what was kept of those that ended, and lets the key be added again", async () => {
  await client.addJob("t", { name: "Ada" }, { jobKey: "user:17" });
  const failed = await client.addJob("t", {}, { jobKey: "user:18" });
  await client.permanentlyFailJobs([failed.id]);
  await database.sql("insert into howdah._howdah_attempts (job_id, at, attempt, stack) values ($1, now(), 1, 'at x')", [
    failed.id,
  ]);
  await database.sql(
    "insert into howdah._howdah_progress (job_id, at, claimed_at, value) values ($1, now(), now(), '1')",
    [failed.id],
  );
  await database.sql(
    "insert into howdah._howdah_recent (key, until, job_id) values ('user:17', now() + interval '1 day', 1)",
  );
  await past(["user:17", "user:18", "user:19"]);
  expect(await client.eraseJobs({ key: "user:17" })).toEqual({
    jobs: 1,
    history: 1,
    attempts: 1,
    logLines: 1,
    running: [],
  });
  expect(await client.eraseJobs({ key: "user:18" })).toEqual({
    jobs: 1,
    history: 1,
    attempts: 2,
    logLines: 1,
    running: [],
  });
  expect(await left()).toEqual({ jobs: 0, history: 1, attempts: 1, lines: 1, recent: 0 });
  expect(await database.sql("select from howdah._howdah_progress")).toEqual([]);
  expect(await client.eraseJobs({ key: "user:17" })).toMatchObject({ jobs: 0, history: 0 });
});

it("leaves nothing of an erased job in the history, although its task keeps what ends", async () => {
  await database.sql(
    "insert into howdah._private_tasks (identifier, _howdah_keep, _howdah_keep_payload) values ('t', 7, true)",
  );
  await client.addJob("t", { name: "Ada" }, { jobKey: "k" });
  await client.eraseJobs({ key: "k" });
  expect(await left()).toMatchObject({ jobs: 0, history: 0 });
});

it("erases by what keys begin with, whatever the collation makes of them, and nothing else", async () => {
  const mine = ["user:17:a", "user:17:B", "user:17:\u00e4", "user:17:%", "user:17:_", "user:17:"];
  const others = ["user:17", "user:170", "user:1", "User:17:a", "user_17:a", "zz", "user:18:a"];
  for (const jobKey of [...mine, ...others]) await client.addJob("t", {}, { jobKey });
  await past([...mine, ...others], 3);
  const erased = await client.eraseJobs({ keyPrefix: "user:17:" });
  expect(erased).toEqual({ jobs: 6, history: 18, attempts: 18, logLines: 18, running: [] });
  expect((await client.listJobs()).jobs.map(({ jobKey }) => jobKey)).toEqual(others);
  expect(await left()).toMatchObject({ jobs: 7, history: 21 });
});

it("erases in batches what is too much for one", async () => {
  await past(["k"], 2_500);
  await past(["other"], 10);
  expect(await client.eraseJobs({ key: "k" })).toEqual({
    jobs: 0,
    history: 2_500,
    attempts: 2_500,
    logLines: 2_500,
    running: [],
  });
  expect(await left()).toMatchObject({ history: 10, attempts: 10 });
});

it("tells a job that runs to stop, says so, and erases it when it has ended", async () => {
  const held = defineTask({
    identifier: "held",
    keep: { for: "7d", payload: true },
    async run(_payload: unknown, { signal }) {
      throw await aborted(signal);
    },
  });
  await using worker = await createTestWorker(database, { tasks: [held] });
  const running = worker.run();
  const { id } = await client.addJob(held, { name: "Ada" }, { jobKey: "k" });
  await until(async () => (await client.getJob(id))?.state === "running");
  expect(await client.eraseJobs({ key: "k" })).toMatchObject({ jobs: 0, running: [id] });
  await until(async () => (await client.getJob(id))?.state === "failed");
  expect(await client.eraseJobs({ key: "k" })).toMatchObject({ jobs: 1, running: [] });
  expect(await left()).toEqual({ jobs: 0, history: 0, attempts: 0, lines: 0, recent: 0 });
  await worker.stop();
  await running;
});

it("goes on while the same keys are added and jobs end", async () => {
  const quick = defineTask({ identifier: "quick", keep: "1d", run: () => undefined });
  await using worker = await createTestWorker(database, { tasks: [quick], concurrency: 4 });
  const running = worker.run();
  let isOver = false;
  const adding = (async () => {
    for (let n = 0; !isOver; n += 1) await client.addJob(quick, n, { jobKey: `user:${n % 7}` });
  })();
  for (let round = 0; round < 20; round += 1) await client.eraseJobs({ keyPrefix: "user:" });
  isOver = true;
  await adding;
  await until(async () => (await left())["jobs"] === 0);
  await client.eraseJobs({ keyPrefix: "user:" });
  // A job that was replaced while it ran has lost its key.
  expect(await database.sql("select from howdah._howdah_history where key is not null")).toEqual([]);
  await worker.stop();
  await running;
});

it("takes exactly one of a key and a prefix", async () => {
  const invalid = { code: "HOWDAH_OPTION_INVALID" };
  for (const which of [{}, { key: "a", keyPrefix: "b" }, { key: "" }, { keyPrefix: "" }])
    await expect(client.eraseJobs(which)).rejects.toMatchObject(invalid);
  await expect(client.eraseJobs({ task: "t" } as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_UNKNOWN" });
});

it("gives up after a while when a transaction holds one of the jobs, and has erased nothing of its batch", async () => {
  const { id } = await client.addJob("t", {}, { jobKey: "user:17" });
  await past(["user:17"]);
  const holder = await database.connect();
  await holder.query("begin");
  await holder.query("select from howdah._private_jobs where id = $1 for update", [id]);
  await expect(client.eraseJobs({ key: "user:17" })).rejects.toMatchObject({ code: "HOWDAH_QUERY_TIMEOUT" });
  expect(await left()).toMatchObject({ jobs: 1, history: 1 });
  await holder.query("rollback");
  expect(await client.eraseJobs({ key: "user:17" })).toMatchObject({ jobs: 1, history: 1 });
});
