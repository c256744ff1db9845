import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import postgres from "postgres";
import { afterAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../../src/cli/commands.ts";
import {
  type Client,
  createClient,
  defineTask,
  migrate,
  silentLogger,
  type WorkerOptions,
} from "../../../src/index.ts";
import { postgresDriver } from "../../../src/postgres/drivers/postgres.ts";
import { createDatabase } from "../../harness/database.ts";
import { findPgBouncer, type PgBouncerOptions, startPgBouncer } from "../../harness/pgbouncer.ts";
import { FAST_RECOVERY, startWorkerProcess } from "../../harness/recovery.ts";
import { runCli, wordsOf } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";
import { aborted, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const program = findPgBouncer();
const database = await createDatabase();
afterAll(() => database.drop());

/** Only where `program` is there. */
function start(options: PgBouncerOptions) {
  if (!program) throw new Error("There is no PgBouncer");
  return startPgBouncer(program, database.connectionString, options);
}

/** A poll would take longer than the test may. */
const NO_POLL = "10m";

/** What a worker came to. */
interface Lived {
  /** What ran, in this order. */
  readonly ran: readonly string[];
  /** What failed in the background. */
  readonly errors: readonly unknown[];
  /** Jobs that wait when it has stopped. */
  readonly left: number;
}

/**
 * Has a worker and a client at `connectionString` do all that they do: jobs that are found by notification or by polling,
 * that fail first, run one after another in a queue, ask the database, add others, complete themselves in a transaction,
 * are added in one of the application, are cancelled while they run.
 */
async function live(connectionString: string, options: Partial<WorkerOptions>): Promise<Lived> {
  const { preparedStatements, driver } = options;
  const schema = `pooled_${randomBytes(4).toString("hex")}`;
  const reach = driver ? { driver } : { connectionString, preparedStatements };
  const connection = { ...reach, schema, logger: silentLogger };
  const ran: string[] = [];
  const task = defineTask({
    identifier: "work",
    async run({ kind }: { kind: string }, context) {
      ran.push(kind);
      if (kind === "fails first" && context.job.attempts === 1) throw new Error("no luck");
      if (kind === "asks") await context.query("select 1");
      if (kind === "adds") await context.client.addJob("work", { kind: "added" });
      if (kind === "completes") await context.withTransaction((transaction) => context.complete(transaction));
      if (kind === "holds") throw await aborted(context.signal);
      // Whatever runs beside it in its queue would come in between.
      if (kind.startsWith("serial")) await context.query("select pg_sleep(0.01)");
      if (kind.startsWith("serial")) ran.push(`end of ${kind}`);
    },
  });
  await migrate(connection);
  await using client = await createClient({ ...connection, migrate: false });
  await using worker = await createTestWorker(database, {
    ...reach,
    schema,
    tasks: [task],
    concurrency: 4,
    pollInterval: NO_POLL,
    recovery: FAST_RECOVERY,
    ...options,
  });
  const errors = record(worker.hooks, "workerError");
  const failed = record(worker.hooks, "jobFail");
  const running = worker.run();
  await client.addJob("work", { kind: "single" });
  await until(() => ran.includes("single"));
  const kinds = ["asks", "adds", "completes", "fails first"];
  await client.addJobs(kinds.map((kind) => ({ identifier: "work", payload: { kind } })));
  const inQueue = ["serial 1", "serial 2", "serial 3"];
  await client.addJobs(
    inQueue.map((kind) => ({ identifier: "work", payload: { kind }, spec: { queueName: "serial" } })),
  );
  await addInTransaction(client, connectionString, "committed", "commit");
  await addInTransaction(client, connectionString, "rolled back", "rollback");
  await until(() => ["added", "completes", "committed", "end of serial 3"].every((kind) => ran.includes(kind)));
  const { job } = await failed.reach();
  await client.rescheduleJobs([job.id], { runAt: new Date() });
  await until(() => ran.filter((kind) => kind === "fails first").length === 2);
  const { id } = await client.addJob("work", { kind: "holds" });
  await until(() => ran.includes("holds"));
  expect(await client.cancelJobs([id])).toEqual({ removed: [], signalled: [id] });
  await until(async () => (await client.getJob(id))?.state === "failed");
  await until(async () => (await client.stats()).running.value === 0);
  await worker.stop();
  await running;
  const { ready, scheduled } = await client.stats();
  await database.sql(`drop schema ${schema} cascade`);
  return { ran, errors: errors.events, left: ready.value + scheduled.value };
}

async function addInTransaction(client: Client, connectionString: string, kind: string, end: string): Promise<void> {
  const application = new pg.Client({ connectionString });
  await application.connect();
  await application.query("begin");
  await client.inTransaction(application).addJob("work", { kind });
  await application.query(end);
  await application.end();
}

const WHOLE_LIFE = {
  errors: [],
  left: 0,
  ran: expect.arrayContaining(["single", "asks", "adds", "added", "completes", "fails first", "committed", "holds"]),
};

/** The order of what ran in the queue. */
function serialOf({ ran }: Lived): string[] {
  return ran.filter((kind) => kind.includes("serial"));
}

const SERIAL = ["1", "2", "3"].flatMap((n) => [`serial ${n}`, `end of serial ${n}`]);

describe.skipIf(program === undefined)("behind PgBouncer in session mode", () => {
  it("the whole life of a job needs no option", async () => {
    await using pooler = await start({ poolMode: "session", poolSize: 40 });
    const lived = await live(pooler.connectionString, {});
    expect(lived).toMatchObject(WHOLE_LIFE);
    expect(lived.ran).not.toContain("rolled back");
    expect(serialOf(lived)).toEqual(SERIAL);
  });
});

describe.skipIf(program === undefined)("behind PgBouncer in transaction mode", () => {
  it.each<[string, Partial<WorkerOptions>]>([
    ["listens past the pooler", { listenConnectionString: database.connectionString }],
    ["polls", { useNotificationDelivery: false, pollInterval: "50ms" }],
  ])("the whole life of a job needs no prepared statements and a worker that %s", async (_what, options) => {
    await using pooler = await start({ poolMode: "transaction", poolSize: 3 });
    const lived = await live(pooler.connectionString, { preparedStatements: false, ...options });
    expect(lived).toMatchObject(WHOLE_LIFE);
    expect(lived.ran).not.toContain("rolled back");
    expect(serialOf(lived)).toEqual(SERIAL);
  });

  it("the whole life of a job needs only `prepare: false` over postgres.js, and a way to listen", async () => {
    await using pooler = await start({ poolMode: "transaction", poolSize: 3 });
    const sql = postgres(pooler.connectionString, { prepare: false });
    const driver = postgresDriver(sql, { listenConnectionString: database.connectionString });
    try {
      const lived = await live(pooler.connectionString, { driver });
      expect(lived).toMatchObject(WHOLE_LIFE);
      expect(lived.ran).not.toContain("rolled back");
      expect(serialOf(lived)).toEqual(SERIAL);
    } finally {
      await driver.close();
    }
  });

  it(
    "a worker that listens through the pooler says what to set, and polls for cancellations too",
    { timeout: 60_000 },
    async () => {
      await using pooler = await start({ poolMode: "transaction", poolSize: 3 });
      const connection = { connectionString: pooler.connectionString, preparedStatements: false };
      const logger = createRecordingLogger();
      const started: string[] = [];
      const task = defineTask({
        identifier: "deaf",
        async run(_payload, { job, signal }) {
          started.push(job.id);
          throw await aborted(signal);
        },
      });
      const options = { ...connection, tasks: [task], logger, pollInterval: "50ms", recovery: FAST_RECOVERY } as const;
      await using worker = await createTestWorker(database, options);
      await using client = await createClient({ ...connection, migrate: false, logger: silentLogger });
      const errors = record(worker.hooks, "workerError");
      const running = worker.run();
      const { id } = await client.addJob("deaf");
      await until(() => started.includes(id));
      await client.cancelJobs([id]);
      await until(async () => (await client.getJob(id))?.state === "failed", { deadlineMs: 40_000 });
      await worker.stop();
      await running;
      expect(errors.events.map(({ error }) => error)).toEqual([
        expect.objectContaining({
          code: "HOWDAH_TRANSACTION_POOLER",
          message: expect.stringMatching(/`listenConnectionString`.*`useNotificationDelivery: false`/),
        }),
      ]);
      expect(logger.messages("error")).toEqual(["The worker could not hear of new jobs; it goes on"]);
    },
  );

  it("a client without the option names the pooler, and what to set", async () => {
    // One connection to the server, so that what one client has prepared is in the way of the other.
    await using pooler = await start({ poolMode: "transaction", poolSize: 1 });
    const connect = () => createClient({ connectionString: pooler.connectionString, logger: silentLogger });
    await using first = await connect();
    await first.addJob("task");
    const adding = connect().then(async (second) => {
      await using client = second;
      await client.addJob("task");
    });
    await expect(adding).rejects.toMatchObject({
      code: "HOWDAH_TRANSACTION_POOLER",
      message: expect.stringMatching(/`preparedStatements: false`.*`listenConnectionString`/),
    });
  });

  it.each([
    ["a worker", true],
    ["a worker that only polls", false],
  ])("%s without the option names the pooler, and what to set", async (_, useNotificationDelivery) => {
    await using pooler = await start({ poolMode: "transaction", poolSize: 1 });
    const { connectionString } = pooler;
    await using client = await createClient({ connectionString, logger: silentLogger, preparedStatements: false });
    const task = defineTask({ identifier: "pooled", run() {} });
    // What one of them has prepared on the one connection to the server is in the way of the other.
    const workers = await Promise.all(
      [createRecordingLogger(), createRecordingLogger()].map(async (logger) => {
        const options = { connectionString, tasks: [task], logger, pollInterval: 20, useNotificationDelivery };
        const worker = await createTestWorker(database, options);
        const named = () =>
          logger.entries.filter(({ fields }) => String(fields["error"]).includes("preparedStatements: false"));
        return { worker, named, errors: record(worker.hooks, "workerError") };
      }),
    );
    const running = workers.map(({ worker }) => worker.run());
    await client.addJob("pooled");
    const unlucky = await until(() => workers.find(({ named }) => named().length > 0));
    await Promise.all(workers.map(({ worker }) => worker.stop()));
    await Promise.all(running);
    const { error } = await unlucky.errors.reach();
    expect(error).toMatchObject({ code: "HOWDAH_TRANSACTION_POOLER" });
    const [logged, ...again] = unlucky.named().filter(({ level }) => level === "error");
    expect(logged?.fields["code"]).toBe("HOWDAH_TRANSACTION_POOLER");
    expect(again).toEqual([]);
  });

  /** What a command has to say of jobs that are not there, and of many. */
  const NOT_OF_THE_POOLER =
    /^(?:\d+ checks: .*|Left alone: .*|Not registered: .*|howdah: (?:HOWDAH_(?:OPERATION|RESULT)_UNKNOWN: .*|.* Add --yes to do it\.))?\n?$/;

  it("every command of the command line works without an option", async () => {
    await using pooler = await start({ poolMode: "transaction", poolSize: 1 });
    const others = ["admin", "completion", "cron", "demo", "show", "work"];
    const asking = COMMANDS.filter(({ usage }) => !others.includes(usage.split(" ")[0] ?? ""))
      .flatMap(({ examples }) => examples.map((line) => wordsOf(line).slice(1)))
      .filter((call) => !call.includes("--sql") && !call.includes("--watch"))
      .map((call) => (call[0] === "watch" ? [...new Set([...call, "--once"])] : call));
    await using client = await createClient({ driver: database.driver, migrate: false });
    await client.addJob("send_email", {}, { queueName: "NAME" });
    await client.schedules.upsert({ id: "nightly", task: "nightly", schedule: "0 0 * * *" });
    // Twice: what a command leaves on the connection is in the way of the next.
    for (const call of [...asking, ...asking]) {
      const output = await runCli([...call, "--database-url", pooler.connectionString]);
      expect({ call, error: output.error }).toEqual({ call, error: expect.stringMatching(NOT_OF_THE_POOLER) });
      // These two say with their code what they have found.
      if (output.error === "" && !["doctor", "health"].includes(call[0] ?? ""))
        expect({ call, code: output.code }).toEqual({ call, code: 0 });
    }
  });

  it("howdah demo works without an option, however often", async () => {
    await using pooler = await start({ poolMode: "transaction", poolSize: 2 });
    const folder = await mkdtemp(join(tmpdir(), "howdah-demo-pooled-"));
    const manifest = `${folder}.sha256`;
    const call = ["demo", folder, "--json", "--manifest", manifest, "--database-url", pooler.connectionString];
    try {
      for (let times = 0; times < 3; times += 1) {
        await writeFile(join(folder, "file"), randomBytes(4));
        const { code, out, error } = await runCli(call);
        expect({ code, error }).toEqual({ code: 0, error: "" });
        expect(JSON.parse(out)).toMatchObject({ completed: 1, files: 1 });
      }
    } finally {
      await rm(folder, { recursive: true });
      await rm(manifest, { force: true });
    }
  });

  it("a worker that is killed is found out by its heartbeats", async () => {
    await using pooler = await start({ poolMode: "transaction" });
    const recovery = { ...FAST_RECOVERY, sweepThreshold: "2s" } as const;
    const options = { connectionString: pooler.connectionString, preparedStatements: false, recovery };
    const killed = await startWorkerProcess(database, { taskNames: ["hold"], ...options });
    await using client = await createClient({ driver: database.driver, migrate: false });
    const { id } = await client.addJob("hold");
    await killed.tells("job", { id });
    killed.kill();
    await using watcher = await startWorkerProcess(database, { taskNames: ["quick"], ...options });
    await watcher.tells("recovered", { previousWorkerId: killed.workerId, jobCount: 1 });
    expect(await client.getJob(id)).toMatchObject({ state: "ready" });
  });

  it("a worker outlives the restart of the pooler", async () => {
    const first = await start({ poolMode: "transaction" });
    const { connectionString } = first;
    const ran: unknown[] = [];
    const task = defineTask({ identifier: "after", run: (payload) => void ran.push(payload) });
    await using worker = await createTestWorker(database, {
      connectionString,
      preparedStatements: false,
      listenConnectionString: database.connectionString,
      tasks: [task],
      pollInterval: "100ms",
    });
    const running = worker.run();
    await using client = await createClient({ driver: database.driver, migrate: false });
    await client.addJob("after", 1);
    await until(() => ran.length === 1);
    await first.stop();
    await client.addJob("after", 2);
    await using _second = await start({ poolMode: "transaction", port: Number(new URL(connectionString).port) });
    await until(() => ran.length === 2);
    await worker.stop();
    await running;
    expect(ran).toEqual([1, 2]);
  });
});
