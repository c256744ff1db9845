import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Check, JudgeContext, Checked } from "../../../src/client/doctor/check.ts";
import { DATABASE_CHECKS } from "../../../src/client/doctor/database-checks.ts";
import { QUICK } from "../../../src/cli/commands/doctor.ts";
import { CHECKS, createDoctor, type DiagnosisResult } from "../../../src/client/doctor/diagnose.ts";
import { LIMITS, type Limits } from "../../../src/client/doctor/limits.ts";
import { defineTask } from "../../../src/job/task.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { faultyDriver } from "../../../src/testing/faulty-driver.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { runCli } from "../../harness/run-cli.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks, howdah._private_workers, howdah._howdah_paused_tasks",
  );
});

afterAll(() => database.drop());

interface Looking {
  readonly limits?: Partial<Limits>;
  readonly clock?: typeof systemClock;
}

async function look(id: string, { limits, clock = systemClock }: Looking = {}): Promise<DiagnosisResult> {
  const doctor = createDoctor(database, clock, { ...LIMITS, ...limits });
  const { results } = await doctor.diagnose({ only: [id] });
  expect(results.map((result) => result.id)).toEqual([id]);
  return results[0] as DiagnosisResult;
}

async function assertFound(id: string, status: string, finding: RegExp, looking?: Looking): Promise<void> {
  const found = await look(id, looking);
  expect(found).toMatchObject({ status, finding: expect.stringMatching(finding) });
}

/** What a check says of these facts, where their state cannot be made in a test. */
function judge<Q extends Checked>(check: Check<Q>, facts: Parameters<Check<Q>["judge"]>[0]) {
  const context: JudgeContext = { limits: LIMITS, askedMs: 0, answeredMs: 0 };
  return check.judge(facts, context);
}

const worker = (id: string, metadata: object | null, silent = "0 s", swept = 0): Promise<unknown> =>
  database.sql(
    `insert into howdah._private_workers (id, metadata, last_heartbeat_at, _howdah_swept, _howdah_lock_key)
     values ($1, $2, now() - $3::interval, $4, 1)`,
    [id, metadata && JSON.stringify(metadata), silent, swept],
  );

describe("a queue that is well", () => {
  it("passes every check, and the command ends with 0", async () => {
    await using own = await createDatabase();
    const noop = defineTask({ identifier: "noop", run: (_payload: object) => undefined });
    const running = await createTestWorker(own, { tasks: [noop] });
    const run = running.run();
    await until(() => running.metrics().isListening);
    await until(
      async () => (await own.sql("select from howdah._private_workers where _howdah_lock_key is not null")).length,
    );
    await running.client.addJob(noop, {});
    await until(async () => (await running.client.stats()).ready.value === 0);
    const diagnosis = await running.client.diagnose();
    // Not every server has it.
    const found = diagnosis.results.filter(({ id }) => id !== "extensions");
    expect(found.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(diagnosis.results.map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id));
    expect(diagnosis).toMatchObject({ status: "ok", unseen: 0 });
    const { code, out, error } = await runCli(["doctor", "--database-url", own.connectionString], {
      columns: 120,
    });
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out.split("\n")).toHaveLength(CHECKS.length + 4);
    expect(out).toMatch(new RegExp(`\n${CHECKS.length} checks: (1 note, )?\\d+ ok\\.\n$`));
    await running.stop();
    await run;
  });
});

describe("the check of", () => {
  it("workers finds the silent and the dead, and none at all", async () => {
    await assertFound("workers", "note", /^No worker is registered\.$/);
    await worker("dead", null, "1 hour", 2);
    await assertFound("workers", "note", /^1 are dead/);
    await worker("silent", null, "40 s");
    await assertFound("workers", "warn", /^silent has sent no heartbeat for 4\d s; 1 are silent\.$/);
  });

  it("oldest due jobs finds those that wait too long, without a queue and in one, with what is in their way", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    await database.sql("update howdah._private_jobs set run_at = now() - interval '10 minutes', created_at = run_at");
    await database.sql("update howdah._private_jobs set created_at = run_at");
    await assertFound("oldest-due", "warn", /^Job \d+ in a queue has been due for 10 min: No worker lives/);
    await database.sql("select howdah.add_job('t', priority => 5)");
    await database.sql(
      "update howdah._private_jobs set run_at = now() - interval '3 hours', created_at = now() - interval '3 hours' where job_queue_id is null",
    );
    await assertFound("oldest-due", "warn", /^Job \d+ without a queue has been due for 3 h: No worker lives/);
    await database.sql("insert into howdah._howdah_paused_tasks values ('t', 'infinity')");
    await assertFound("oldest-due", "warn", /due for 3 h: Its task t is paused without an end\.$/);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w'");
    await assertFound("oldest-due", "ok", /^None waits\.$/);
  });

  it("locked queues finds those of a holder that is gone, and those that are locked for long", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'slow')");
    await worker("busy", null);
    await database.sql(
      "update howdah._private_job_queues set locked_at = now() - interval '2 hours', locked_by = 'busy'",
    );
    await assertFound("locked-queues", "warn", /^slow has been locked for 2 h by busy\.$/);
    await database.sql("update howdah._private_job_queues set locked_by = 'gone'");
    await assertFound("locked-queues", "fail", /^slow has been locked for 2 h by gone, which is not registered\.$/);
    await database.sql("update howdah._private_job_queues set locked_at = now() - interval '10 s'");
    await assertFound("locked-queues", "ok", /./);
  });

  it("unknown tasks finds due jobs that no living worker runs, with the nearest name", async () => {
    await database.sql("select howdah.add_job('send_emial'), howdah.add_job('send_email', queue_name => 'q')");
    await assertFound("unknown-tasks", "note", /^No worker is registered, so/);
    await worker("silent", { tasks: ["send_emial"] }, "5 minutes");
    await worker("w", { tasks: ["send_email"] });
    await assertFound(
      "unknown-tasks",
      "fail",
      /^send_emial: 1 due for \d+ s, and no living worker runs it, did you mean `send_email`\?$/,
    );
    // It may run anything.
    await worker("other", null);
    await assertFound("unknown-tasks", "note", /^send_emial/);
    await database.sql("delete from howdah._private_jobs where id = (select min(id) from howdah._private_jobs)");
    await assertFound("unknown-tasks", "ok", /./);
  });

  it("pauses finds paused tasks and queues", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    await database.sql("update howdah._private_job_queues set _howdah_paused_until = 'infinity'");
    await database.sql(
      "insert into howdah._howdah_paused_tasks values ('t', now() + interval '1 hour'), ('over', now() - interval '1 hour')",
    );
    await assertFound("pauses", "note", /^Paused: task t, queue q\.$/);
  });

  it("failed jobs finds them with their most frequent error, and says when there are too many", async () => {
    await database.sql("select howdah.add_job('t', max_attempts => 1) from generate_series(1, 3)");
    await assertFound("failed", "ok", /^None\.$/);
    await database.sql(
      "update howdah._private_jobs set attempts = 1, last_error = case when id % 2 = 0 then E'a\\nb' else 'a' end",
    );
    await assertFound("failed", "note", /^3; of the newest 100% with "a"\.$/);
    await assertFound("failed", "warn", /^More than /, { limits: { failedWarn: 2 } });
  });

  it("orphans finds jobs whose task or queue is gone", async () => {
    await database.sql("select howdah.add_job('t'), howdah.add_job('u', queue_name => 'q')");
    await database.sql("delete from howdah._private_tasks where identifier = 't'");
    await assertFound("orphans", "fail", /^1 of/);
    await database.sql("delete from howdah._private_job_queues");
    await assertFound("orphans", "fail", /^2 of/);
  });

  it("the far future finds jobs that are due in more than a year", async () => {
    await database.sql("select howdah.add_job('t', run_at => now() + interval '1 day')");
    await assertFound("far-future", "ok", /./);
    await database.sql("select howdah.add_job('t', priority => 3, run_at => 'infinity')");
    await assertFound("far-future", "note", /^Job \d+ is due at infinity\.$/);
  });

  it("unused queues finds queues without jobs that may run", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'used'), howdah.add_job('t', queue_name => 'unused')");
    await database.sql("delete from howdah._private_jobs where id = (select max(id) from howdah._private_jobs)");
    await assertFound("unused-queues", "ok", /^1 of/);
    await assertFound("unused-queues", "note", /^More than 0\.$/, { limits: { unusedQueuesNote: 0 } });
  });

  it("payloads finds large ones", async () => {
    await database.sql("select howdah.add_job('t', to_json(repeat('x', 200000)))");
    await assertFound("payloads", "note", /^1 of the newest 500 jobs .* the largest has 200 kB\.$/);
  });

  it("poison finds jobs whose workers died more than once", async () => {
    await database.sql("select howdah.add_job('t'), howdah.add_job('t')");
    await assertFound("poison", "ok", /./);
    await database.sql(
      "update howdah._private_jobs set _howdah_recoveries = -2 where id = (select min(id) from howdah._private_jobs)",
    );
    await assertFound("poison", "note", /^Jobs \d+\.$/);
  });

  it("the server finds a standby, vacuum that is off, and commits that a crash loses", async () => {
    const well = { version: 180_000, isStandby: false, autovacuum: true, trackCounts: true, synchronousCommit: "on" };
    const { server } = DATABASE_CHECKS;
    expect(judge(server, { ...well, isStandby: true }).status).toBe("fail");
    expect(judge(server, { ...well, autovacuum: false })).toEqual({ status: "fail", finding: "autovacuum is off." });
    expect(judge(server, { ...well, trackCounts: false })).toEqual({ status: "fail", finding: "track_counts is off." });
    expect(judge(server, { ...well, version: 130_000 }).status).toBe("fail");
    await using own = await createDatabase();
    const [{ name } = { name: "" }] = await own.sql("select current_database() as name");
    await own.sql(`alter database ${String(name)} set synchronous_commit = off`);
    await using driver = closing(pgDriver({ connectionString: own.connectionString }));
    const doctor = createDoctor({ driver: driver.driver, schema: own.schema }, systemClock);
    expect((await doctor.diagnose({ only: ["server"] })).results).toMatchObject([{ status: "note" }]);
  });

  it("clocks finds one that is off", async () => {
    const off = (ms: number): typeof systemClock => ({ ...systemClock, now: () => systemClock.now() + ms });
    await assertFound("clock", "ok", /./);
    await assertFound("clock", "note", /^The clocks differ by 5 s\.$/, { clock: off(5_000) });
    await assertFound("clock", "warn", /^The clocks differ by 10 min\.$/, { clock: off(-600_000) });
  });

  it("connections finds too many", async () => {
    await assertFound("connections", "ok", /^\d+ of \d+ connections are in use, \d+ idle in a transaction\.$/);
    await assertFound("connections", "warn", /are in use\.$/, { limits: { connectionsWarn: 0 } });
  });

  it("open transactions finds the session that holds back vacuum", async () => {
    const session = await database.connect();
    await session.query("set application_name = 'forgetful'");
    await session.query("begin isolation level repeatable read; select 1");
    await assertFound("open-transactions", "ok", /./);
    await assertFound(
      "open-transactions",
      "warn",
      /^pid \d+ \(forgetful, idle in transaction\) has been in a transaction for \d+ s\.$/,
      {
        limits: { openWarnSeconds: 0 },
      },
    );
    await assertFound("open-transactions", "fail", /forgetful/, { limits: { openFailSeconds: 0 } });
    await session.query("rollback");
    await assertFound("open-transactions", "ok", /./, { limits: { openWarnSeconds: 5 } });
  });

  it("what else holds back vacuum finds slots, prepared transactions and standbys", () => {
    const { xminHolders } = DATABASE_CHECKS;
    const slot = { kind: "slot", name: "s", age: 5, isActive: false } as const;
    const old = { kind: "prepared", name: "p", age: 2_000_000, isActive: true } as const;
    expect(judge(xminHolders, { seesAll: true, holders: [old, slot] })).toEqual({
      status: "fail",
      finding: "The replication slot s has no reader.",
    });
    expect(judge(xminHolders, { seesAll: true, holders: [old] }).finding).toBe(
      "prepared p holds back 2,000,000 transactions.",
    );
    expect(judge(xminHolders, { seesAll: true, holders: null }).status).toBe("ok");
    expect(judge(xminHolders, { seesAll: false, holders: null }).status).toBe("unseen");
  });

  it("dead rows finds them when they are more than the living", async () => {
    await using own = await createDatabase();
    await own.sql("alter table howdah._private_jobs set (autovacuum_enabled = off)");
    await own.sql("select howdah.add_job('t') from generate_series(1, 300)");
    await own.sql("delete from howdah._private_jobs");
    const doctor = createDoctor(own, systemClock, { ...LIMITS, deadWarn: 200, updatesJudged: Infinity });
    const found = await until(
      async () => {
        // A session reports what it has done with a later statement.
        await own.sql("select 1");
        const [result] = (await doctor.diagnose({ only: ["dead-rows"] })).results;
        return result?.status === "warn" ? result : undefined;
      },
      { deadlineMs: 20_000 },
    );
    expect(found.finding).toBe("_private_jobs has 300 dead rows and 0 living ones.");
    const table = { name: "_private_jobs", live: 10, dead: 5, updates: 20_000, hotUpdates: 10_000, wasVacuumed: true };
    const { vacuum } = DATABASE_CHECKS;
    expect(judge(vacuum, { tables: [table] }).finding).toBe("Only 50% of the updates of _private_jobs are in place.");
    expect(judge(vacuum, { tables: [{ ...table, hotUpdates: 20_000, wasVacuumed: false }] }).status).toBe("warn");
    expect(judge(vacuum, { tables: [{ ...table, hotUpdates: 20_000 }] }).status).toBe("ok");
  });

  it("table options finds what was reset, and indexes those that claims have to write", async () => {
    await using own = await createDatabase();
    const doctor = createDoctor(own, systemClock);
    const find = async (id: string) => (await doctor.diagnose({ only: [id] })).results[0];
    expect(await find("indexes")).toMatchObject({ status: "ok" });
    await own.sql("alter table howdah._private_jobs reset (fillfactor)");
    expect(await find("table-options")).toMatchObject({
      status: "warn",
      finding: "Not set: _private_jobs: fillfactor.",
    });
    await own.sql("create index mine on howdah._private_jobs (task_id)");
    expect(await find("indexes")).toMatchObject({ status: "note", finding: expect.stringContaining("mine") });
    await own.sql("create index hot on howdah._private_jobs (id) where locked_at is null");
    expect(await find("indexes")).toMatchObject({
      status: "fail",
      finding: expect.stringMatching(/^hot: claims write/),
    });
    await own.sql("drop index howdah.hot");
    await own.sql("update pg_index set indisvalid = false where indexrelid = 'howdah._howdah_failed'::regclass");
    expect(await find("indexes")).toMatchObject({ status: "fail", finding: "_howdah_failed: not valid." });
  });

  it("attachments finds triggers, policies and publications", async () => {
    await using own = await createDatabase();
    const doctor = createDoctor(own, systemClock);
    const find = async () => (await doctor.diagnose({ only: ["attachments"] })).results[0];
    await own.sql("create function noted() returns trigger language plpgsql as 'begin return new; end'");
    await own.sql("create trigger noted before insert on howdah._private_jobs for each row execute function noted()");
    await own.sql("create publication everything for table howdah._private_jobs");
    expect(await find()).toMatchObject({ status: "note", finding: "There are noted, everything." });
    await own.sql("alter table howdah._private_jobs enable row level security");
    expect(await find()).toMatchObject({ status: "note", finding: "Row security is on." });
    const hidden = {
      triggers: null,
      hasRowSecurity: true,
      hasPolicies: false,
      isOwner: false,
      foreignKeys: null,
      publications: null,
    };
    expect(judge(DATABASE_CHECKS.attachments, hidden).status).toBe("fail");
  });

  it("notifications, wrap-around and sequences finds what fills up", async () => {
    const { notifications, wraparound } = DATABASE_CHECKS;
    expect(judge(notifications, { share: 0.2 })).toEqual({ status: "warn", finding: "20% of it is filled." });
    expect(judge(notifications, { share: 0.6 }).status).toBe("fail");
    expect(judge(wraparound, { age: 120_000_000, freezeAge: 200_000_000 }).status).toBe("note");
    expect(judge(wraparound, { age: 220_000_000, freezeAge: 200_000_000 }).status).toBe("warn");
    await assertFound("sequences", "ok", /./);
    await using own = await createDatabase();
    await own.sql("select setval('howdah.tasks_id_seq', 2000000000)");
    const { results } = await createDoctor(own, systemClock).diagnose({ only: ["sequences"] });
    expect(results).toMatchObject([{ status: "warn", finding: "tasks_id_seq has used 93% of its numbers." }]);
  });

  it("lock waits finds who waits, and behind whom", async () => {
    const [blocker, blocked] = [await database.connect(), await database.connect()];
    await blocker.query("begin; lock table howdah._private_jobs in share row exclusive mode");
    const waiting = blocked.query("update howdah._private_jobs set priority = 0");
    await until(async () => (await look("lock-waits", { limits: { lockWaitWarnSeconds: 0 } })).status === "warn");
    const [{ pid } = { pid: 0 }] = (await blocker.query("select pg_backend_pid() as pid")).rows as { pid: number }[];
    await assertFound(
      "lock-waits",
      "warn",
      new RegExp(`waited for RowExclusiveLock on _private_jobs for \\d+ s, behind pid ${pid}\\.$`),
      {
        limits: { lockWaitWarnSeconds: 0 },
      },
    );
    await blocker.query("rollback");
    await waiting;
    await assertFound("lock-waits", "ok", /./, { limits: { lockWaitWarnSeconds: 0 } });
  });
});

describe("a role that may not look", () => {
  it("cannot see, and is told so, never that all is well", async () => {
    await using own = await createDatabase();
    const role = `doctor_${randomBytes(4).toString("hex")}`;
    await own.sql(`create role ${role}`);
    try {
      const url = new URL(own.connectionString);
      url.searchParams.set("options", `-c role=${role}`);
      await using driver = closing(pgDriver({ connectionString: url.href }));
      await own.sql(`grant usage on schema howdah to ${role}`);
      const doctor = createDoctor({ driver: driver.driver, schema: own.schema }, systemClock);
      const { results, ...diagnosis } = await doctor.diagnose();
      const unseen = results.filter(({ status }) => status === "unseen").map(({ id }) => id);
      expect(unseen).toEqual(
        expect.arrayContaining(["workers", "failed", "open-transactions", "held-back", "lock-waits", "sequences"]),
      );
      expect(diagnosis.unseen).toBe(unseen.length);
      const call = ["doctor", "--database-url", url.href, "--only", "open-transactions,clock"];
      await own.sql(`grant select on howdah._howdah_migrations, howdah.migrations to ${role}`);
      const told = await runCli(call);
      expect(told).toMatchObject({
        code: 0,
        error: expect.stringMatching(/^2 checks: 1 unseen, 1 ok\. What is unseen may/),
      });
      expect(await runCli([...call, "--strict"])).toEqual({ ...told, code: 1 });
      expect(results.find(({ id }) => id === "open-transactions")?.finding).toContain("pg_read_all_stats");
      expect(results.find(({ id }) => id === "connections")?.finding).toMatch(/connections are in use\.$/);
      expect(results.find(({ id }) => id === "sequences")?.finding).toMatch(
        /grant select on sequence \w+ to this role/,
      );
      expect(results.find(({ id }) => id === "failed")?.finding).toMatch(/^Cannot see: permission denied/);
      const blind = createDoctor({ driver: driver.driver, schema: own.schema }, systemClock).diagnose({
        only: ["failed"],
      });
      await expect(blind).rejects.toThrow("permission denied");
    } finally {
      await own.sql(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

it("rejects when the database does not answer at all", async () => {
  const driver = faultyDriver(database.driver);
  await using client = await createClient({ driver, migrate: false, logger: silentLogger });
  driver.inject({ nth: 5, happens: "lost-before" });
  await expect(client.diagnose()).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
});

describe("howdah doctor", () => {
  it("ends with 1 when a check warns and with 2 when one fails, and says what to do", async () => {
    await worker("silent", { tasks: ["known"] }, "40 s");
    const call = ["doctor", "--database-url", database.connectionString];
    const warned = await runCli([...call, "--only", "workers, pauses"]);
    expect(warned).toMatchObject({ code: 1, error: "2 checks: 1 warn, 1 ok.\n" });
    expect(warned.out).toContain("howdah workers --sweep");
    await database.sql("select howdah.add_job('unknown')");
    const failed = await runCli([...call, "--only", "unknown-tasks", "--json"]);
    expect(failed).toMatchObject({ code: 2, error: "" });
    expect(JSON.parse(failed.out)).toMatchObject({
      status: "fail",
      results: [{ id: "unknown-tasks", status: "fail" }],
    });
    const misspelt = await runCli([...call, "--only", "worker"]);
    expect(misspelt.code).toBe(2);
    expect(misspelt.error).toContain('"workers"');
  });
});

describe("howdah doctor --watch", () => {
  it("looks again until its reader has left, and ends with what it found last", async () => {
    await worker("silent", { tasks: ["known"] }, "40 s");
    const call = [MAIN, "doctor", "--watch", "--json", "--only", "workers"];
    const env = { ...process.env, DATABASE_URL: database.connectionString, HOWDAH_LOG: "warn" };
    const child = spawn(process.execPath, call, { env, stdio: ["ignore", "pipe", "pipe"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const said: string[] = [];
    child.stderr.setEncoding("utf8").on("data", (text: string) => said.push(text));
    const read = async () => JSON.parse((await lines.next()).value ?? "null") as unknown;
    expect(await read()).toMatchObject({ status: "warn", results: [{ id: "workers" }] });
    await database.sql("truncate howdah._private_workers");
    expect(await read()).toMatchObject({ status: "ok", results: [{ finding: "No worker is registered." }] });
    child.stdout.destroy();
    await once(child, "close");
    expect({ code: child.exitCode, said }).toEqual({ code: 0, said: [] });
  }, 30_000);

  it("looks at what changes quickly, unless it is told at what", async () => {
    const env = { ...process.env, DATABASE_URL: database.connectionString };
    const child = spawn(process.execPath, [MAIN, "doctor", "--watch"], { env, stdio: ["ignore", "pipe", "ignore"] });
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (lines.length === 9) break;
    }
    child.kill();
    expect(lines.map((line) => line.split("\t")[1])).toEqual(["CHECK", ...QUICK]);
  });
});

/** A driver that is closed at the end of the block. */
function closing(driver: ReturnType<typeof pgDriver>) {
  return { driver, [Symbol.asyncDispose]: () => driver.close() };
}
