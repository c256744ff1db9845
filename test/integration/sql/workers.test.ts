import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

const workers = () =>
  database.sql(`
    select id, metadata, last_heartbeat_at > now() - interval '1 hour' as fresh,
      started_at > now() - interval '1 hour' as new
    from howdah._private_workers order by id`);
const age = (id: string, by: string) =>
  database.sql(
    `update howdah._private_workers set last_heartbeat_at = now() - $2::interval, started_at = now() - $2::interval
     where id = $1`,
    [id, by],
  );
const jobs = () =>
  database.sql("select *, run_at >= now() + interval '29 seconds' as delayed from howdah._private_jobs order by id");

describe("presence", () => {
  it("registers a worker with its first heartbeat and keeps its start and metadata with the next", async () => {
    await database.sql(`select howdah.worker_heartbeat('w', '{"pid": 1}')`);
    await age("w", "2 hours");
    await database.sql("select howdah.worker_heartbeat('w')");
    expect(await workers()).toEqual([{ id: "w", metadata: { pid: 1 }, fresh: true, new: false }]);
    await database.sql(`select howdah.worker_heartbeat(worker_id => 'w', metadata => '{"pid": 2}')`);
    expect(await workers()).toMatchObject([{ metadata: { pid: 2 } }]);
  });

  it("keeps JSON null apart from no metadata, and refuses a worker without an id", async () => {
    await database.sql("select howdah.worker_heartbeat('w', 'null')");
    const [row] = await database.sql("select metadata::text from howdah._private_workers");
    expect(row).toEqual({ metadata: "null" });
    await expect(database.sql("select howdah.worker_heartbeat(null)")).rejects.toMatchObject({ code: "23502" });
  });

  it("deregisters a worker, and does not mind one that is not there", async () => {
    await database.sql("select howdah.worker_heartbeat('w')");
    await database.sql("select howdah.worker_deregister('w'), howdah.worker_deregister('x')");
    expect(await workers()).toEqual([]);
  });

  it("lists those that have been silent for longer than the threshold", async () => {
    await database.sql("select howdah.worker_heartbeat('fresh'), howdah.worker_heartbeat('silent')");
    await age("silent", "6 minutes");
    const stale = (threshold: string) => database.sql(`select * from howdah.list_stale_workers(${threshold})`);
    expect(await stale("interval '5 minutes'")).toEqual([{ worker_id: "silent" }]);
    expect(await stale("interval '7 minutes'")).toEqual([]);
    expect(await stale("null")).toEqual([]);
  });
});

describe("holders that never registered", () => {
  it("lists the holders of a job or a queue for longer than the threshold, each once", async () => {
    await database.sql("select howdah.worker_heartbeat('registered')");
    await database.sql("insert into howdah._private_tasks (identifier) values ('t') on conflict do nothing");
    await database.sql(`
      insert into howdah._private_jobs (task_id, locked_at, locked_by) values
        (1, now() - interval '6 minutes', 'pool'), (1, now() - interval '6 minutes', 'pool'),
        (1, now() - interval '6 minutes', 'registered'), (1, now(), 'young'), (1, null, 'no time')`);
    await database.sql(`
      insert into howdah._private_job_queues (queue_name, locked_at, locked_by) values
        ('a', now() - interval '6 minutes', 'pool'), ('b', now() - interval '6 minutes', 'queue holder')`);
    const rows = await database.sql("select * from howdah.list_orphan_locked_workers('5 minutes') order by 1");
    expect(rows).toEqual([{ worker_id: "pool" }, { worker_id: "queue holder" }]);
  });
});

describe("recovery", () => {
  const hold = async (change = "attempts = 1") => {
    await database.sql("select howdah.add_job('t', queue_name => 'q', max_attempts => 3)");
    await database.sql(`
      update howdah._private_jobs set locked_at = now(), locked_by = 'dead', attempts = 1, updated_at = '2000-01-01'`);
    await database.sql(`update howdah._private_jobs set ${change}`);
    await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'dead'");
  };
  const recover = async (more = "") => {
    const [row] = await database.sql(`select howdah.recover_dead_worker_jobs('{dead}'${more}) as count`);
    return row?.["count"];
  };

  it("gives jobs back with the attempt refunded, and frees the queues", async () => {
    await hold();
    expect(await recover(", interval '30 seconds'")).toBe(1);
    expect(await jobs()).toMatchObject([
      {
        locked_at: null,
        locked_by: null,
        attempts: 0,
        last_error: "Job recovered after worker interruption",
        delayed: true,
        _howdah_recoveries: 1,
        is_available: true,
      },
    ]);
    const queues = await database.sql("select locked_at, locked_by from howdah._private_job_queues");
    expect(queues).toEqual([{ locked_at: null, locked_by: null }]);
    const [row] = await database.sql("select updated_at > '2001-01-01' as touched from howdah._private_jobs");
    expect(row).toEqual({ touched: true });
  });

  it("counts jobs and not queues, and keeps a later time", async () => {
    await hold("run_at = '2200-01-01'");
    await database.sql(
      "insert into howdah._private_job_queues (queue_name, locked_at, locked_by) values ('z', now(), 'dead')",
    );
    expect(await recover()).toBe(1);
    expect(await jobs()).toMatchObject([{ run_at: new Date("2200-01-01T00:00:00Z") }]);
    expect(await recover()).toBe(0);
  });

  it.each([
    { job: "was removed while it ran", given: "_howdah_detached = true, attempts = 3", attempts: 3, recoveries: 1 },
    { job: "started again and again", given: "_howdah_recoveries = -2, attempts = 2", attempts: 2, recoveries: 3 },
    {
      job: "was recovered very often",
      given: "_howdah_recoveries = 32767, attempts = 2",
      attempts: 1,
      recoveries: 32767,
    },
    { job: "was never started", given: "attempts = 0", attempts: 0, recoveries: 1 },
  ])("leaves a job that $job with $attempts attempts", async ({ given, attempts, recoveries }) => {
    await hold(given);
    await recover();
    expect(await jobs()).toMatchObject([{ attempts, _howdah_recoveries: recoveries, locked_by: null }]);
  });

  it("does not wait: a row in use stays for the next call, and so does the worker's registration", async () => {
    await hold();
    await database.sql("select howdah.worker_heartbeat('dead')");
    const user = await database.connect();
    await user.query("begin; select from howdah._private_jobs for update");
    expect(await recover()).toBe(0);
    await database.sql("select howdah.delete_stale_workers('{dead}')");
    expect(await workers()).toMatchObject([{ id: "dead" }]);
    await user.query("rollback");
    expect(await recover()).toBe(1);
    await database.sql("select howdah.delete_stale_workers('{dead,unknown}')");
    expect(await workers()).toEqual([]);
  });
});
