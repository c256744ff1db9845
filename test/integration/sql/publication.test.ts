import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startPostgres, type EmbeddedPostgres } from "../../../src/embedded/index.ts";
import { createWorker, defineTask, type Worker } from "../../../src/index.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { aborted, createRecordingLogger, record } from "../../harness/worker.ts";

const DEAD = "howdah_0123456789abcdef01";
const FORGOTTEN = "howdah_0123456789abcdef02";
const SILENT = "howdah_0123456789abcdef03";

let folder: string;
let server: EmbeddedPostgres;
let admin: pg.Client;

/** A server whose changes are published, all of them, and kept for a subscriber. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-publication-"));
  await chmod(folder, 0o755);
  const settings = { fsync: false, full_page_writes: false, shared_buffers: "16MB", wal_level: "logical" };
  server = await startPostgres({ dataDir: join(folder, "data"), settings });
  admin = new pg.Client({ connectionString: server.connectionString });
  await admin.connect();
  await admin.query("create publication everything for all tables");
  await admin.query("select pg_create_logical_replication_slot('subscriber', 'pgoutput')");
});

afterAll(async () => {
  await admin.end();
  await server.stop("immediate");
  await rm(folder, { recursive: true });
});

const sql = async (text: string, values: unknown[] = []) => (await admin.query(text, values)).rows;

/** A job that this id holds, and its queue. */
async function addHeld(workerId: string, queueName: string | null, age = "0 seconds"): Promise<string> {
  const [job] = await sql("select id from howdah.add_job('quick', '{}', queue_name => $1)", [queueName]);
  const lock = "set locked_at = now() - $2::interval, locked_by = $3";
  await sql(`update howdah._private_jobs ${lock}, attempts = 1 where id = $1`, [job.id, age, workerId]);
  if (queueName) {
    await sql(`update howdah._private_job_queues ${lock} where queue_name = $1`, [queueName, age, workerId]);
  }
  return String(job.id);
}

const quick = defineTask({ identifier: "quick", run: () => undefined });
const hold = defineTask({
  identifier: "hold",
  async run(_payload, { signal }) {
    throw await aborted(signal);
  },
});
const failing = defineTask({
  identifier: "failing",
  retry: { type: "fixed", delay: 0 },
  run: () => Promise.reject(new Error("no")),
});

async function useEverything(worker: Worker): Promise<void> {
  const { client, hooks } = worker;
  const completed = record(hooks, "jobComplete");
  const failed = record(hooks, "jobPermanentlyFail");
  const started = record(hooks, "jobStart");
  await client.addJobs(Array.from({ length: 6 }, (_, n) => ({ task: quick, spec: n % 2 ? { queueName: "q" } : {} })));
  await until(() => completed.events.length >= 6);

  const at = { jobKey: "k", runAt: new Date("2100-01-01") } as const;
  const { id } = await client.addJob(quick, {}, at);
  expect((await client.addJob(quick, {}, { ...at, jobKeyMode: "preserve_run_at" })).id).toBe(id);
  expect(await client.removeJob("k")).toMatchObject({ id });

  const doomed = await client.addJob(failing, {}, { maxAttempts: 2 });
  await until(() => failed.events.some(({ job }) => job.id === doomed.id));

  const held = await client.addJob(hold, {}, { queueName: "held", jobKey: "held" });
  await until(() => started.events.some(({ job }) => job.id === held.id));
  await client.cancelJobs([held.id], "enough");
  await until(async () => (await client.getJob(held.id))?.state !== "running");

  await client.pauseQueue("q");
  await client.pauseTask("quick");
  const waiting = await client.addJob(quick, {}, { queueName: "q" });
  await client.resumeQueue("q");
  await client.resumeTask("quick");
  await until(() => completed.events.some(({ job }) => job.id === waiting.id));

  const [first, second, third] = await client.addJobs(
    Array.from({ length: 3 }, () => ({ task: quick, spec: { runAt: at.runAt } })),
  );
  await client.rescheduleJobs([String(first?.id)], { priority: 3 });
  await client.completeJobs([String(first?.id)]);
  await client.permanentlyFailJobs([String(second?.id), String(third?.id)], "no use");

  await client.schedules.upsert({ id: "s", task: "quick", schedule: "0 0 1 1 *" });
  await client.schedules.pause("s");
  await client.schedules.resume("s");
  await client.schedules.trigger("s");
  await client.schedules.remove("s");
}

it("with a publication for all tables, everything a client, a worker and a recovery do goes on", async () => {
  const logger = createRecordingLogger();
  const worker = await createWorker({
    connectionString: server.connectionString,
    tasks: [quick, hold, failing],
    crontab: "* * * * * quick ?fill=1h",
    concurrency: 4,
    logger,
    shutdown: { osSignals: false },
    recovery: { ...FAST_RECOVERY, heartbeatInterval: "100ms", queueDelay: "1s", orphanInterval: "10ms" },
  });
  await sql(
    "insert into howdah._private_known_crontabs values ('quick', now() - '1 day'::interval, now() - '1h'::interval)",
  );
  const ticks = record(worker.hooks, "cronJobScheduled");
  const errors = record(worker.hooks, "workerError");
  // A registered worker and one that is not: both have died with a job in a queue and one without.
  await sql(
    `insert into howdah._private_workers (id, last_heartbeat_at, _howdah_lock_key, _howdah_lock_pid)
     values ($1, now(), 1, 1)`,
    [DEAD],
  );
  const lost = [
    await addHeld(DEAD, "dead"),
    await addHeld(DEAD, null),
    await addHeld(FORGOTTEN, "forgotten", "1 minute"),
    await addHeld(FORGOTTEN, null, "1 minute"),
  ];
  const running = worker.run();
  await ticks.reach(59);
  await useEverything(worker);
  await until(async () => (await sql("select from howdah.jobs where id = any($1)", [lost])).length === 0, {
    deadlineMs: 30_000,
    message: "the jobs of the dead to have run",
  });
  await until(async () => (await sql("select from howdah._private_workers where id = $1", [DEAD])).length === 0);

  const { client } = worker;
  await sql("insert into howdah._private_workers (id, last_heartbeat_at) values ($1, now() - '1h'::interval)", [
    SILENT,
  ]);
  const silent = await addHeld(SILENT, "silent");
  await client.sweepStaleWorkers({ sweepThreshold: "10m" });
  await until(async () => (await client.getJob(silent)) === undefined);
  await client.forceUnlockWorkers([SILENT]);

  await until(async () => (await client.stats()).running.value === 0);
  const cleaned = await client.cleanup(["permanentlyFailedJobs", "unusedTasks", "unusedQueues"], {
    keepTasks: ["quick"],
  });
  expect(cleaned.permanentlyFailedJobs).toBeGreaterThanOrEqual(3);
  await client.migrate();
  await worker.stop();
  await running;
  expect(errors.events).toEqual([]);
  expect(logger.entries.filter(({ fields }) => /replica identity/.test(JSON.stringify(fields)))).toEqual([]);
  // All of it reached a subscriber.
  const [changes] = await sql(`
    select count(*)::int from pg_logical_slot_get_binary_changes(
      'subscriber', null, null, 'proto_version', '1', 'publication_names', 'everything')`);
  expect(changes.count).toBeGreaterThan(100);
}, 90_000);
