import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDoctor, type DiagnosisResult } from "../../../src/client/doctor/diagnose.ts";
import { CONNECTION_CHECKS } from "../../../src/client/doctor/connection-checks.ts";
import { DATABASE_CHECKS } from "../../../src/client/doctor/database-checks.ts";
import { LIMITS, type Limits } from "../../../src/client/doctor/limits.ts";
import { STORAGE_CHECKS } from "../../../src/client/doctor/storage-checks.ts";
import type { Driver, Query } from "../../../src/postgres/driver.ts";
import { pgDriver, type PgDriverOptions } from "../../../src/postgres/drivers/pg.ts";
import { ROLE_RIGHTS } from "../../../src/postgres/queries/doctor/lacking-rights.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { findPgBouncer, startPgBouncer } from "../../harness/pgbouncer.ts";
import { until } from "../../harness/until.ts";

/** What a role may do, the schema, and the way to the database: each check in its bad state and in its good one. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

const CONTEXT = { limits: LIMITS, askedMs: 0, answeredMs: 0 };

interface Looking {
  readonly limits?: Partial<Limits>;
  readonly driver?: Driver;
  readonly at?: TestDatabase;
}

async function look(id: string, { limits, at = database, driver = at.driver }: Looking = {}): Promise<DiagnosisResult> {
  const doctor = createDoctor({ driver, schema: at.schema }, systemClock, { ...LIMITS, ...limits });
  const { results } = await doctor.diagnose({ only: [id] });
  expect(results.map((result) => result.id)).toEqual([id]);
  return results[0] as DiagnosisResult;
}

async function assertFound(id: string, status: string, finding: RegExp, looking?: Looking): Promise<void> {
  expect(await look(id, looking)).toMatchObject({ status, finding: expect.stringMatching(finding) });
}

function connect(connectionString: string, options: Partial<PgDriverOptions> = {}) {
  const driver = pgDriver({ connectionString, preparedStatements: false, ...options });
  return { driver, [Symbol.asyncDispose]: () => driver.close() };
}

/** A role of its own, for as long as a test lasts. */
async function createRole(own: TestDatabase) {
  const name = `doctor_${randomBytes(4).toString("hex")}`;
  await own.sql(`create role ${name}`);
  const url = new URL(own.connectionString);
  url.searchParams.set("options", `-c role=${name}`);
  const { driver } = connect(url.href);
  return {
    name,
    driver,
    async [Symbol.asyncDispose]() {
      await driver.close();
      await own.sql(`drop owned by ${name}; drop role ${name}`);
    },
  };
}

const grantsOf = (finding: string): string => /lacks: (.*?)(; \d+ more)?\.$/.exec(finding)?.[1] ?? "";

describe("the check of rights", () => {
  it.each([
    ["reader", "reads, and neither adds nor runs jobs"],
    ["producer", "adds jobs and does not run them"],
    ["worker", "runs jobs"],
  ] as const)("finds each right that a %s lacks, with the grant that mends it", async (kind, does) => {
    await using own = await createDatabase();
    await using role = await createRole(own);
    const looking = { at: own, driver: role.driver };
    // What says which kind of role it is, and without which nothing can be seen.
    await own.sql(`grant usage on schema howdah to ${role.name}`);
    if (kind !== "reader") await own.sql(`grant insert (payload) on howdah._private_jobs to ${role.name}`);
    if (kind === "worker") await own.sql(`grant update on howdah._private_jobs to ${role.name}`);
    await own.sql("revoke execute on all functions in schema howdah from public");
    await own.sql("grant execute on all functions in schema howdah to public");
    await own.sql("revoke execute on function howdah._howdah_touch_keyed_job_v1 from public");
    let granted = 0;
    for (;;) {
      const { status, finding } = await look("rights", looking);
      if (status === "ok") break;
      expect({ status, finding }).toMatchObject({
        status: "fail",
        finding: expect.stringContaining(`${does}, and lacks: grant `),
      });
      await own.sql(grantsOf(finding));
      granted += 1;
    }
    expect(granted).toBeGreaterThanOrEqual(kind === "reader" ? 10 : kind === "producer" ? 14 : 20);
    await assertFound("rights", "ok", new RegExp(`^${role.name} ${does}, and has all rights for that\\.$`), looking);
  });

  it("asks for what roles.sql grants, and for nothing else", async () => {
    await using own = await createDatabase();
    const file = fileURLToPath(new URL("../../../docs/guides/roles.sql", import.meta.url));
    const names = { producer: `p_${randomBytes(4).toString("hex")}`, worker: `w_${randomBytes(4).toString("hex")}` };
    const script = readFileSync(file, "utf8").replaceAll(
      /howdah_(producer|worker)/g,
      (_, kind: "producer" | "worker") => names[kind],
    );
    try {
      await own.sql(script);
      for (const kind of ["producer", "worker"] as const) {
        const url = new URL(own.connectionString);
        url.searchParams.set("options", `-c role=${names[kind]}`);
        await using way = connect(url.href);
        await assertFound("rights", "ok", /has all rights for that\.$/, { at: own, driver: way.driver });
      }
      const said = script.replaceAll(/--.*/g, "");
      const objects = Object.values(ROLE_RIGHTS).flatMap((rights) => rights.flatMap(({ on }) => on));
      for (const [, name] of said.matchAll(/howdah\.(\w+)/g)) expect(objects).toContain(name);
    } finally {
      const both = Object.values(names).join(", ");
      await own.sql(`drop owned by ${both}; drop role ${both}`);
    }
  });

  it("lets the owner pass", () => assertFound("rights", "ok", / runs jobs, and has all rights for that\.$/));
});

describe("the check of sizes", () => {
  it("finds a table that is much larger than its rows", async () => {
    await using own = await createDatabase();
    await own.sql("alter table howdah._private_jobs set (autovacuum_enabled = off)");
    await own.sql("select howdah.add_job('t', json_build_object('n', n)) from generate_series(1, 2000) as n");
    await own.sql("analyze howdah._private_jobs");
    const looking = { at: own, limits: { sizeJudgedBytes: 50_000 } };
    await assertFound("sizes", "ok", /^Together \d+ kB\.$|^Together \d\.\d MB\.$/, looking);
    // What is left at the end keeps vacuum from cutting the table off.
    await own.sql("delete from howdah._private_jobs where id < (select max(id) - 10 from howdah._private_jobs)");
    await own.sql("vacuum analyze howdah._private_jobs");
    await assertFound("sizes", "warn", /^\w+ has \S+ [kM]B for 11 (rows|entries), which need about /, looking);
    await own.sql("vacuum full analyze howdah._private_jobs");
    await assertFound("sizes", "ok", /./, looking);
    await assertFound("sizes", "ok", /./, { at: own });
  });

  it("judges nothing of which the number of rows is not known", () => {
    const relation = { name: "x", isIndex: false, bytes: 1e9, width: null, fillFactor: 1 };
    const judge = (rows: number | null) =>
      STORAGE_CHECKS.sizes.judge({ relations: [{ ...relation, rows }] }, CONTEXT).status;
    expect([judge(null), judge(0), judge(3_000_000)]).toEqual(["ok", "warn", "ok"]);
  });
});

describe("the check of vacuums", () => {
  it("finds one that takes long, and one that waits for a session that reads a page", async () => {
    await using own = await createDatabase();
    await own.sql("select howdah.add_job('t') from generate_series(1, 100)");
    await assertFound("vacuums", "ok", /^None runs\.$/, { at: own });
    const [reader, vacuum] = [await own.connect(), await own.connect()];
    const stuck = { at: own, limits: { vacuumBlockedWarnSeconds: 0 } };
    const read = "begin; declare pages cursor for select * from howdah._private_jobs; fetch 1 from pages";
    // It may not leave out a page that a cursor stands on.
    const freeze = "vacuum (freeze, disable_page_skipping) howdah._private_jobs";
    let ended = Promise.resolve<unknown>(undefined);
    await until(
      async () => {
        await reader.query(read);
        let isOver = false;
        ended = vacuum.query(freeze).finally(() => (isOver = true));
        await until(async () => isOver || (await look("vacuums", stuck)).status === "warn");
        if (!isOver) return true;
        // A transaction in another database was older than the jobs, and kept the vacuum from freezing them.
        await reader.query("rollback");
        await own.sql("update howdah._private_jobs set priority = priority");
        return false;
      },
      { deadlineMs: 30_000 },
    );
    await assertFound(
      "vacuums",
      "warn",
      /^The vacuum of _private_jobs \(pid \d+, scanning heap\) has taken \d+ s, and waits for a session that reads a page of it\.$/,
      stuck,
    );
    await assertFound("vacuums", "warn", /^The vacuum of \w+ \(pid \d+, .*\) has taken \d+ s\.$/, {
      at: own,
      limits: { vacuumWarnSeconds: 0 },
    });
    await assertFound("vacuums", "ok", /^1 vacuum under way\.$/, { at: own });
    await reader.query("rollback");
    await ended;
    await assertFound("vacuums", "ok", /^None runs\.$/, stuck);
  });

  it("names what it stands behind, and is unseen by a role that sees no sessions of others", () => {
    const vacuum = {
      pid: 7,
      table: "jobs",
      phase: "truncating heap",
      seconds: 90,
      waitsForPage: false,
      blockedBy: [8],
    };
    const { judge } = STORAGE_CHECKS.vacuumsUnderWay;
    expect(judge({ seesAll: true, vacuums: [vacuum] }, CONTEXT).finding).toMatch(
      /has taken 90 s, and waits behind pid 8\.$/,
    );
    expect(judge({ seesAll: false, vacuums: null }, CONTEXT).status).toBe("unseen");
  });
});

describe("the check of schedules", () => {
  it("finds those that have missed two ticks, but for paused ones", async () => {
    await using own = await createDatabase();
    const insert = (id: string, since: string, more = "") =>
      own.sql(
        `insert into howdah._howdah_schedules (id, task, expression, time_zone, fill_ms, missed, payload, since${more ? ", paused_at" : ""})
         values ($1, 't', '*/10 * * * *', 'UTC', 0, 'once', '{}', now() - $2::interval${more ? ", now()" : ""})`,
        [id, since],
      );
    await insert("recent", "5 minutes");
    await insert("paused", "2 hours", "paused");
    await assertFound("schedules", "ok", /^None has missed two\.$/, { at: own });
    await insert("late", "2 hours");
    await assertFound(
      "schedules",
      "warn",
      /^late has missed every tick since \d{4}-.*Z, and no worker knows its task\.$/,
      { at: own },
    );
    await own.sql("update howdah._howdah_schedules set last_tick = now() where id = 'late'");
    await assertFound("schedules", "ok", /./, { at: own });
  });
});

describe("the check of the schema", () => {
  it("finds functions that were changed or are missing, and those of other implementations", async () => {
    await using own = await createDatabase();
    await assertFound("schema", "ok", /^Revision \d+, with the functions of this release\.$/, { at: own });
    await own.sql(
      "create or replace function howdah._howdah_us(at timestamptz) returns bigint language plpgsql as 'begin return 0; end'",
    );
    const { finding } = await look("schema", { at: own });
    expect(finding).toBe("Not as this release makes it: function _howdah_us(timestamptz).");
    await using other = await createDatabase();
    const [{ source } = { source: "" }] = await other.sql(
      "select pg_get_functiondef(oid) as source from pg_proc where proname = 'add_job' and pronamespace = 'howdah'::regnamespace",
    );
    await other.sql(String(source).replace(/begin/i, "begin -- changed\n"));
    await assertFound("schema", "note", /^Of another implementation, or changed: function add_job\(/, { at: other });
  });

  it("finds a newer schema, and does not compare it", async () => {
    await using own = await createDatabase();
    await own.sql("insert into howdah._howdah_migrations (id, name) values (900000, 'later')");
    await assertFound("schema", "note", /^Revision 900000, this release knows \d+: not compared\.$/, { at: own });
  });
});

describe("the check of extensions", () => {
  it("finds that no operator sees what statements cost", async () => {
    await using own = await createDatabase();
    await assertFound("extensions", "note", /^pg_stat_statements is not in this database\.$/, { at: own });
    const [available] = await own.sql("select from pg_available_extensions where name = 'pg_stat_statements'");
    if (available) {
      await own.sql("create extension pg_stat_statements");
      await assertFound("extensions", "ok", /^pg_stat_statements is there/, { at: own });
    }
    const { judge } = DATABASE_CHECKS.extensions;
    expect(judge({ hasStatements: true, hasStatTuple: true })).toMatchObject({ status: "ok" });
  });
});

describe("the checks of the way to the database", () => {
  it("pass a direct connection", async () => {
    await assertFound("pooler", "ok", /^A session keeps its backend\.$/);
    await assertFound("notify", "ok", /^A notification arrives after \d+ ms\.$/);
    await assertFound("round-trip", "ok", /^\d+\.\d ms at the median, \d+\.\d ms at worst\.$/);
  });

  it("find a long way", async () => {
    const far: Driver = Object.assign(Object.create(database.driver), {
      query: (query: Query) => systemClock.sleep(25).then(() => database.driver.query(query)),
    });
    await assertFound("round-trip", "note", /^[23]\d\.\d ms at the median/, { driver: far });
  });

  it("find a driver that does not listen, and a session that cannot be opened", async () => {
    const mute: Driver = Object.assign(Object.create(database.driver), { capabilities: { listen: false } });
    await assertFound("notify", "note", /^This driver does not listen: workers poll\.$/, { driver: mute });
    await assertFound("pooler", "note", /^There is no session that listens/, { driver: mute });
    await using way = connect(database.connectionString, { listenConnectionString: "postgresql://127.0.0.1:1/none" });
    await assertFound("notify", "fail", /^No session listens: ./, way);
    await assertFound("pooler", "note", /^There is no session that listens/, way);
    expect(CONNECTION_CHECKS.sessions.judge({ kept: "in-process" }).finding).toBe("The database runs in this process.");
  });

  const program = findPgBouncer();
  it.skipIf(program === undefined)("find a transaction pooler, but for a way past it", async () => {
    if (!program) return;
    await using pooler = await startPgBouncer(program, database.connectionString, {
      poolMode: "transaction",
      poolSize: 3,
    });
    await using pooled = connect(pooler.connectionString);
    await assertFound("pooler", "warn", /^A session changes its backend/, pooled);
    await assertFound("notify", "fail", /^A notification to ourselves has not arrived within a second\.$/, pooled);
    await using past = connect(pooler.connectionString, { listenConnectionString: database.connectionString });
    await assertFound("pooler", "ok", /./, past);
    await assertFound("notify", "ok", /./, past);
    await using keeping = await startPgBouncer(program, database.connectionString, {
      poolMode: "session",
      poolSize: 10,
    });
    await using kept = connect(keeping.connectionString);
    await assertFound("pooler", "ok", /./, kept);
    await assertFound("notify", "ok", /./, kept);
  });
});
