import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { addDeadJob, registered } from "../../harness/recovery.ts";

const database = await createDatabase();
const client = await createClient({
  connectionString: database.connectionString,
  migrate: false,
  logger: silentLogger,
});
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

const SILENT = "howdah_0123456789abcdef01";
const register = (id: string, silentFor: string, more = "null, null, 0") =>
  database.sql(
    `insert into howdah._private_workers
       (id, started_at, last_heartbeat_at, metadata, _howdah_lock_key, _howdah_lock_pid, _howdah_swept)
     values ($1, now() - interval '1 day', now() - $2::interval, '{"pid": 7}', ${more})`,
    [id, silentFor],
  );
const lockedBy = async () => {
  const rows = await database.sql("select id, locked_by from howdah._private_jobs order by id");
  return rows.map((row) => row["locked_by"]);
};

describe("listActiveWorkers", () => {
  it("tells who is registered, whose session is there and who is stale", async () => {
    const session = await database.connect();
    const { rows } = await session.query("select pg_backend_pid() as pid, pg_advisory_lock(1752135524, 99)");
    await register("held", "1 second", `99, ${rows[0].pid}, 0`);
    await register("lost", "1 second", "98, 1, 0");
    await register("silent", "6 minutes");
    await register("declared", "1 second", "null, null, 1");
    await database.sql("select howdah.worker_heartbeat('graphile_worker_1', '[1]')");
    const list = await client.listActiveWorkers();
    expect(list.map(({ id, session: lock, isStale }) => `${id} ${lock} ${isStale}`).sort()).toEqual([
      "declared none true",
      "graphile_worker_1 none false",
      "held held false",
      "lost lost false",
      "silent none true",
    ]);
    expect(list.at(-1)).toMatchObject({ id: "graphile_worker_1", metadata: null });
    const held = list.find(({ id }) => id === "held");
    expect(held?.metadata).toEqual({ pid: 7 });
    expect(held && held.lastHeartbeatAt.getTime() - held.startedAt.getTime()).toBe(86_399_000);
    const lax = await client.listActiveWorkers({ sweepThreshold: "1h" });
    expect(lax.find(({ id }) => id === "silent")?.isStale).toBe(false);
    // The lock goes with the session.
    await session.end();
    await expect.poll(async () => (await client.listActiveWorkers()).filter((w) => w.session === "held")).toEqual([]);
  });
});

describe("sweepStaleWorkers", () => {
  it("gives back what silent workers and forgotten holders hold, and spares the others", async () => {
    await register(SILENT, "6 minutes");
    await register("graphile_worker_1", "6 minutes");
    await register("alive", "1 minute");
    await addDeadJob(database, SILENT, { queueName: "a" });
    await addDeadJob(database, "graphile_worker_1");
    await addDeadJob(database, "howdah_0123456789abcdef02", { changes: "locked_at = now() - interval '6 minutes'" });
    await addDeadJob(database, "pool-1", { changes: "locked_at = now() - interval '5 hours'" });
    await addDeadJob(database, "alive");
    await addDeadJob(database, "howdah_0123456789abcdef03");
    await addDeadJob(database, "pool-2", { changes: "locked_at = now() - interval '1 hour'" });
    const spared = ["alive", "howdah_0123456789abcdef03", "pool-2"];
    const dead = [SILENT, "graphile_worker_1", "howdah_0123456789abcdef02", "pool-1"].sort();

    expect(await client.sweepStaleWorkers({ dryRun: true })).toEqual({ workerIds: dead, jobCount: 4, refused: [] });
    expect(await lockedBy()).not.toContain(null);
    expect(await client.sweepStaleWorkers({ recoveryDelay: "1h" })).toEqual({
      workerIds: dead,
      jobCount: 4,
      refused: [],
    });
    expect(await lockedBy()).toEqual([null, null, null, null, ...spared]);
    expect((await client.listQueues()).queues).toMatchObject([{ name: "a", lockedBy: null }]);
    const left = await database.sql("select id from howdah._private_workers");
    expect(left).toEqual([{ id: "alive" }]);
    const later = await database.sql(
      "select id from howdah.jobs where locked_by is null and run_at > now() + interval '29 minutes'",
    );
    expect(later).toHaveLength(3);
    expect(await client.sweepStaleWorkers()).toEqual({ workerIds: [], jobCount: 0, refused: [] });
  });

  it("goes by another threshold, and gives six times as long to a worker whose session is there", async () => {
    const session = await database.connect();
    const { rows } = await session.query("select pg_backend_pid() as pid, pg_advisory_lock(1752135524, 97)");
    await register(SILENT, "5 seconds", `97, ${rows[0].pid}, 0`);
    await addDeadJob(database, SILENT);
    expect(await client.sweepStaleWorkers({ sweepThreshold: "3s" })).toEqual({
      workerIds: [],
      jobCount: 0,
      refused: [],
    });
    expect(await client.sweepStaleWorkers({ sweepThreshold: "100ms" })).toEqual({
      workerIds: [SILENT],
      jobCount: 1,
      refused: [],
    });
    await session.end();
  });

  it("gives the time of the multiplier to a worker without a session that holds resilient jobs, as workers do", async () => {
    const resilient = { changes: `flags = '{"tough": true, "infrastructure_resilient": false}'` };
    const names = {
      usual: `${SILENT.slice(0, -1)}2`,
      tough: `${SILENT.slice(0, -1)}3`,
      lost: `${SILENT.slice(0, -1)}4`,
    };
    await register(names.usual, "6 minutes");
    await register(names.tough, "6 minutes");
    // That its session is gone says that it is dead, whatever it ran.
    await register(names.lost, "6 minutes", "9, 9, 0");
    await addDeadJob(database, names.usual, { changes: `flags = '{"other": true}'` });
    await addDeadJob(database, names.tough, resilient);
    await addDeadJob(database, names.lost, resilient);
    const options = { resilientJobFlags: ["tough"], dryRun: true };
    const all = Object.values(names);
    const dead = async (more: object) => (await client.sweepStaleWorkers({ ...options, ...more })).workerIds;
    expect(await dead({})).toEqual([names.usual, names.lost]);
    expect(await dead({ sweepThreshold: "119s" })).toEqual(all);
    expect(await dead({ resilientSweepThresholdMultiplier: 1 })).toEqual(all);
    expect(await dead({ resilientJobFlags: ["infrastructure_resilient"] })).toEqual(all);
    await database.sql(`update howdah._private_jobs set flags = '{"infrastructure_resilient": true}'`);
    expect((await client.sweepStaleWorkers({ dryRun: true })).workerIds).toEqual([names.lost]);
  });

  it("does nothing while another sweep is under way", async () => {
    await register(SILENT, "6 minutes");
    const other = await database.connect();
    await other.query("begin; select pg_advisory_xact_lock(1752135525, hashtext('howdah'))");
    expect(await client.sweepStaleWorkers()).toEqual({ workerIds: [], jobCount: 0, refused: [] });
    await other.query("rollback");
    expect(await client.sweepStaleWorkers()).toEqual({ workerIds: [SILENT], jobCount: 0, refused: [] });
    expect(await registered(database, SILENT)).toBeUndefined();
  });

  it("refuses what it does not know", async () => {
    await expect(client.sweepStaleWorkers({ sweepTreshold: "1m" } as object)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
    });
    await expect(client.sweepStaleWorkers({ sweepThreshold: 0 })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
  });
});
