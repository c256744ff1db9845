import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { createClient, createWorker, defineTasks, migrate, silentLogger } from "../../src/index.ts";
import { readProjectFile } from "../docs/project-tree.ts";
import { snippetsOf } from "../docs/snippets.ts";
import { createDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";
import { runCli } from "../harness/run-cli.ts";
import { until } from "../harness/until.ts";
import { cliFile, loadRelease, type TheirOptions } from "./graphile-worker.ts";

/** The statements of the guide in their order: jobs there, history of the crontab there, jobs back. */
const [MOVE = "", MOVE_HISTORY = "", MOVE_BACK = ""] = snippetsOf(
  readProjectFile("docs/guides/from-graphile-worker.md"),
  "sql",
).map(({ lines }) => lines.join("\n"));

const JOBS = (schema: string): string => `
  select identifier as task, payload::text, queue_name as queue, jobs.run_at > now() as later, max_attempts as max, key,
    priority, flags from ${schema}._private_jobs jobs join ${schema}._private_tasks tasks on tasks.id = task_id
  left join ${schema}._private_job_queues queues on queues.id = job_queue_id order by payload::text`;

it("the guide's way there and back keeps every job", async () => {
  await using database = await createDatabase({ migrate: false });
  const { connectionString } = database;
  const theirs = await loadRelease();
  const own: TheirOptions = { connectionString, logger: new theirs.Logger(() => () => {}), noHandleSignals: true };
  const utils = await theirs.makeWorkerUtils(own);
  await utils.migrate();
  await utils.addJob("a", 1);
  await utils.addJob("a", 2, { queueName: "q", maxAttempts: 3, jobKey: "k", priority: -7, flags: ["slow"] });
  await utils.addJob("b", 3, { runAt: new Date("2099-01-01T00:00:00Z") });
  const before = await database.sql(JOBS("graphile_worker"));
  expect(before).toHaveLength(3);

  // Try it: a schema beside theirs, which is left alone.
  await runCli(["migrate", "--database-url", connectionString, "--schema", "howdah"]);
  expect(await database.sql(JOBS("graphile_worker"))).toEqual(before);

  // Switch, and go back.
  await database.sql(MOVE);
  expect(await database.sql(JOBS("howdah"))).toEqual(before);
  expect(await database.sql(JOBS("graphile_worker"))).toEqual([]);
  await database.sql(MOVE_BACK);
  expect(await database.sql(JOBS("graphile_worker"))).toEqual(before);
  await database.sql(MOVE);

  // Run both on one schema: each takes the tasks that it knows.
  const ran: unknown[] = [];
  const runner = await theirs.run({
    ...own,
    schema: "howdah",
    pollInterval: 100,
    taskList: { a: (payload) => void ran.push(`theirs ${payload}`) },
  });
  await using worker = await createWorker({
    connectionString,
    logger: silentLogger,
    shutdown: { osSignals: false },
    tasks: defineTasks({ c: (payload: unknown) => void ran.push(`ours ${String(payload)}`) }),
  });
  const running = worker.run();
  await worker.client.addJob("a", 4);
  const theirUtils = await theirs.makeWorkerUtils({ ...own, schema: "howdah" });
  await theirUtils.addJob("c", 5);
  await until(() => ran.length === 4, { message: "four jobs" });
  expect(new Set(ran)).toEqual(new Set(["ours 5", "theirs 1", "theirs 2", "theirs 4"]));
  await runner.stop();
  await worker.stop();
  await running;
  await theirUtils.release();
  await utils.release();
});

it("the history of a crontab is taken along, and what Howdah knows already counts where it is newer", async () => {
  await using database = await createDatabase();
  const theirs = await loadRelease();
  const own = { connectionString: database.connectionString, logger: new theirs.Logger(() => () => {}) };
  await theirs.runMigrations(own);
  await database.sql(`
    insert into graphile_worker._private_known_crontabs values
      ('new', '2020-01-01Z', '2020-03-01Z'), ('older', '2020-01-01Z', '2020-03-01Z'), ('fresh', '2020-02-01Z', null);
    insert into howdah._private_known_crontabs values ('older', '2020-02-01Z', '2020-04-01Z'), ('fresh', '2020-03-01Z', null)`);
  await database.sql(MOVE_HISTORY);
  expect(await database.sql("select * from howdah._private_known_crontabs order by identifier")).toEqual([
    { identifier: "fresh", known_since: new Date("2020-02-01Z"), last_execution: null },
    { identifier: "new", known_since: new Date("2020-01-01Z"), last_execution: new Date("2020-03-01Z") },
    { identifier: "older", known_since: new Date("2020-01-01Z"), last_execution: new Date("2020-04-01Z") },
  ]);
});

it("a folder of tasks is run as it is by both command lines, on one schema", async () => {
  await using database = await createDatabase({ migrate: false });
  const { connectionString } = database;
  await migrate({ connectionString, logger: silentLogger });
  const folder = await mkdtemp(join(tmpdir(), "howdah-compat-"));
  try {
    await mkdir(join(folder, "tasks"));
    await writeFile(
      join(folder, "tasks/send_email.js"),
      'module.exports = async (payload) => { require("fs").appendFileSync("sent", payload.to + "\\n"); };\n',
    );
    const client = await createClient({ connectionString, logger: silentLogger });
    await client.addJob("send_email", { to: "theirs" });
    await using their = await startNode(cliFile(), {
      args: ["--connection", connectionString, "--schema", "howdah", "--once"],
      cwd: folder,
    });
    expect(await their.ended).toMatchObject({ code: 0 });
    await client.addJob("send_email", { to: "ours" });
    const howdah = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const args = ["work", "tasks", "--schema", "howdah", "--once", "--database-url", connectionString];
    await using our = await startNode(howdah, { args, cwd: folder });
    expect(await our.ended).toMatchObject({ code: 0 });
    expect((await client.listJobs()).jobs).toEqual([]);
    expect(await readFile(join(folder, "sent"), "utf8")).toBe("theirs\nours\n");
    await client.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
