import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { statfsSync } from "node:fs";
import { chmod, chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { startPostgres } from "../../../src/embedded/index.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// A server that is restarted, cannot write, or is too slow: the worker says so
// once, and goes on when it can.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

/** A task that keeps what it was run for. */
function createLedger() {
  const runs: number[] = [];
  const task = defineTask({ identifier: "job", run: (n: number) => void runs.push(n) });
  return { task, runs: () => runs.toSorted((a, b) => a - b) };
}

function payloads(count: number, first = 0): { task: string; payload: number; spec: object }[] {
  return Array.from({ length: count }, (_, n) => ({
    task: "job",
    payload: first + n,
    spec: n % 2 ? { queueName: `q${n % 10}` } : {},
  }));
}

const upTo = (count: number): number[] => [...Array(count).keys()];

async function jobsLeft({ sql }: Pick<TestDatabase, "sql">): Promise<number> {
  return (await sql("select from howdah._private_jobs")).length;
}

async function endAllSessions({ sql }: Pick<TestDatabase, "sql">): Promise<void> {
  await sql(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
}

/** How often each activity of a worker has complained. */
function counts(events: readonly { readonly activity: string }[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { activity } of events) found[activity] = (found[activity] ?? 0) + 1;
  return found;
}

describe.each(["fast", "immediate"] as const)("a server that is restarted (%s) in the middle of a drain", (mode) => {
  it("costs no job and runs none twice; the worker listens again and complains once of each activity", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "howdah-restart-"));
    await chmod(dataDir, 0o755);
    const settings = { fsync: false, full_page_writes: false, shared_buffers: "16MB" };
    const server = await startPostgres({ dataDir: join(dataDir, "data"), settings });
    const { connectionString } = server;
    const port = Number(new URL(connectionString).port);
    const { task, runs } = createLedger();
    const clock = createShiftedClock();
    const options = {
      tasks: [task],
      connectionString,
      migrate: true,
      clock,
      concurrency: 4,
      pollInterval: "1s",
    } as const;
    const worker = await createTestWorker(database, options);
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(payloads(600));
    const running = worker.run();
    await completed.reach(100);
    await server.stop(mode);
    const again = await startPostgres({ dataDir: join(dataDir, "data"), settings, port });
    try {
      await until(
        () => {
          // Not faster: a slow machine has to connect within what is a real fraction of the timeout then.
          clock.skip(500);
          return runs().length >= 600;
        },
        { message: "the last job to run", deadlineMs: 60_000 },
      );
      await completed.reach(600);
      // The next job is announced, and heard of.
      await worker.client.addJob("job", 600);
      await until(() => runs().length === 601);
      await worker.stop();
      await running;
      expect(runs()).toEqual(upTo(601));
      const complaints = counts(errors.events);
      expect(complaints["listen for new jobs, and polls for them"]).toBe(1);
      expect(complaints["claim jobs"] ?? 0).toBeLessThanOrEqual(2);
      expect(complaints["release jobs"] ?? 0).toBeLessThanOrEqual(4);
    } finally {
      await worker.stop();
      await again.stop("immediate");
      await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
    }
  }, 90_000);
});

describe("a database that can only be read", () => {
  it("is waited for; connections to it are not kept, so that a promoted server is found", async () => {
    await using own = await createDatabase();
    const name = new URL(own.connectionString).pathname.slice(1);
    const { task, runs } = createLedger();
    await using worker = await createTestWorker(own, { tasks: [task], pollInterval: "50ms", maxConnections: 2 });
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(payloads(4));
    await own.sql(`alter database ${name} set default_transaction_read_only = on`);
    await endAllSessions(own);
    const running = worker.run();
    const failed = await until(() => errors.events.find(({ activity }) => activity === "claim jobs"));
    expect(failed.error).toMatchObject({ code: "25006" });
    await expect(worker.client.addJob(task, 4)).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_ERROR",
      cause: { code: "25006" },
    });
    const superuser = await own.connect();
    await superuser.query("set default_transaction_read_only = off");
    await superuser.query(`alter database ${name} reset default_transaction_read_only`);
    // Sessions keep the default that they began with: only new ones can write again.
    await until(() => worker.client.addJob(task, 4));
    await until(() => runs().length === 5, { message: "all jobs to run" });
    await worker.stop();
    await running;
    expect(runs()).toEqual(upTo(5));
    // Once, and once more for each connection that was opened before the end of it and used after that.
    expect(counts(errors.events)["claim jobs"]).toBeLessThanOrEqual(3);
  });
});

describe("a table that is locked for longer than a statement may take", () => {
  it("stops the worker for that long; it says so once of each activity and loses nothing", async () => {
    const { task, runs } = createLedger();
    const blocker = await database.connect();
    await using worker = await createTestWorker(database, {
      tasks: [task],
      statementTimeout: "150ms",
      pollInterval: "20ms",
    });
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(payloads(20));
    await blocker.query("begin; lock table howdah._private_jobs in access exclusive mode");
    const running = worker.run();
    await until(() => errors.events.some(({ activity }) => activity === "claim jobs"));
    const firstId = worker.id;
    await blocker.query("commit");
    await until(async () => (await jobsLeft(database)) === 0);
    await worker.stop();
    await running;
    expect(runs()).toEqual(upTo(20));
    expect(counts(errors.events)["claim jobs"]).toBe(1);
    // A statement that the server has ended is known to have done nothing.
    expect(worker.id).toBe(firstId);
  });
});

describe("a trigger that refuses one job's end", () => {
  it("holds up that job and its queue alone, until it is mended", async () => {
    const { task, runs } = createLedger();
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 5 });
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(payloads(30));
    await database.sql(`
      create function public.refuse() returns trigger language plpgsql as
        $$ begin if old.payload::text = '7' then raise 'not seven'; end if; return old; end $$;
      create trigger refuse before delete on howdah._private_jobs for each row execute function public.refuse()`);
    const running = worker.run();
    await completed.reach(27);
    const left = await database.sql("select id, payload from howdah._private_jobs order by id");
    expect(left.map(({ payload }) => payload as unknown)).toEqual([7, 17, 27]);
    await errors.reach(1);
    await database.sql("drop trigger refuse on howdah._private_jobs; drop function public.refuse()");
    await completed.reach(30);
    await worker.stop();
    await running;
    expect(runs()).toEqual(upTo(30));
    expect(counts(errors.events)).toEqual({ [`write the outcome of job ${String(left[0]?.id)}`]: 1 });
  });
});

const small = await mountSmallDisk();
afterAll(() => small?.unmount());

describe.skipIf(small === undefined)("a disk that is full", () => {
  it("stops what needs room; the worker says so once of each activity and goes on when there is room again", async () => {
    const { path = "" } = small ?? {};
    const tablespace = `small_${new URL(database.connectionString).pathname.slice(1)}`;
    await using own = await createDatabase();
    let runs = 0;
    const task = defineTask({ identifier: "job", run: () => void (runs += 1) });
    await using worker = await createTestWorker(own, { tasks: [task], pollInterval: "50ms", concurrency: 2 });
    const errors = record(worker.hooks, "workerError");
    // Four of them fill a page: whatever a claim changes needs a new one.
    const payload = (): string => randomBytes(900).toString("hex");
    await worker.client.addJobs(Array.from({ length: 40 }, () => ({ task, payload: payload() })));
    await own.sql(`create tablespace ${tablespace} location '${path}'`);
    try {
      await own.sql("alter table howdah._private_jobs set (fillfactor = 100)");
      await own.sql(`alter table howdah._private_jobs set tablespace ${tablespace}`);
      await own.sql("vacuum full howdah._private_jobs");
      await own.sql("alter table howdah._private_jobs set (autovacuum_enabled = false)");
      const { bavail, bsize } = statfsSync(path);
      await writeFile(join(path, "ballast"), Buffer.alloc(bavail * bsize));
      const running = worker.run();
      const full = await until(() => errors.events.find(({ activity }) => activity === "claim jobs"));
      expect(full.error).toMatchObject({ code: "53100" });
      await rm(join(path, "ballast"));
      await until(async () => (await jobsLeft(own)) === 0, { deadlineMs: 20_000 });
      await worker.stop();
      await running;
      expect(runs).toBe(40);
      expect(counts(errors.events)["claim jobs"]).toBe(1);
    } finally {
      await worker.stop();
      await rm(join(path, "ballast"), { force: true });
      await own.sql("alter table howdah._private_jobs set tablespace pg_default");
      await own.sql(`drop tablespace ${tablespace}`);
    }
  });
});

/** A file system of a few megabytes for the server of the tests; `undefined` where mounting is not allowed. */
async function mountSmallDisk(): Promise<{ readonly path: string; unmount(): Promise<void> } | undefined> {
  try {
    const [row] = await database.sql("select current_setting('data_directory') as data");
    const owner = await stat(String(row?.["data"]));
    const path = await mkdtemp(join(tmpdir(), "howdah-small-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path], { stdio: "ignore" });
    await chown(path, owner.uid, owner.gid);
    return {
      path,
      async unmount() {
        execFileSync("umount", [path]);
        await rm(path, { recursive: true });
      },
    };
  } catch {
    process.stderr.write("A full disk is not tested: a small file system can be mounted by root on Linux only.\n");
    return undefined;
  }
}
