import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { migrate } from "../../../src/client/migrate-schema.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { defineTask } from "../../../src/job/task.ts";
import { tendHistory } from "../../../src/postgres/queries/tend-history.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
const sessions: Awaited<ReturnType<TestDatabase["connect"]>>[] = [];

async function connect() {
  const session = await database.connect();
  sessions.push(session);
  return session;
}

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("delete from howdah._private_tasks");
});

/** Ends the sessions of the test, and takes all partitions away. */
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.end()));
  for (const { name } of await partitions()) await database.sql(`drop table howdah.${name}`);
  await database.sql("truncate howdah._howdah_history");
});

afterAll(() => database.drop());

const DAYS = [1, 7, 30, 365] as const;

async function keep(days: number, task = `kept ${days}`): Promise<void> {
  await database.sql("insert into howdah._private_tasks (identifier, _howdah_keep) values ($1, $2)", [task, days]);
}

async function partitions(days?: number): Promise<{ name: string; since: Date; until: Date }[]> {
  const rows = await database.sql(
    `select part.* from unnest($1::smallint[]) as kept cross join lateral howdah._howdah_history_partitions_v1(kept) as part order by part.since`,
    [days === undefined ? [...DAYS] : [days]],
  );
  return rows as never;
}

const tendOnce = (atOnce = false) =>
  tendHistory({ executor: database.driver, schema: database.schema }, { atOnce, timeoutMs: 30_000 });

/** Does everything that there is to do now, and returns what it was. */
async function tend(): Promise<string[]> {
  const done: string[] = [];
  await database.sql("update howdah._howdah_history_state set next_at = 'epoch'");
  for (;;) {
    const answer = await tendOnce();
    if (answer.done === null) return done;
    done.push(answer.done);
  }
}

/** Rows of jobs that ended then. */
async function ended(days: number, at: string, quantity: number, first = 1): Promise<void> {
  await database.sql(
    `insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at)
     select $1, ${at}, n, 't', 'c', 1, 25, 0, now(), now() from generate_series($2::int, $2::int + $3::int - 1) as n`,
    [days, first, quantity],
  );
}

async function count(table = "_howdah_history"): Promise<number> {
  const [row] = await database.sql(`select count(*)::int as rows from howdah.${table}`);
  return row?.["rows"] as number;
}

const makeCurrent = (days: number) =>
  database.sql(
    `select howdah._howdah_make_partition_v1($1::smallint, span.since, span.until) as name
     from howdah._howdah_history_span_v1($1::smallint, now(), 0) as span`,
    [days],
  );

describe("partitions", () => {
  it("are made for what tasks keep, for now and ahead, and for nothing else", async () => {
    expect(await tend()).toEqual([]);
    await keep(7);
    const made = await tend();
    expect(made).toHaveLength(3);
    const found = await partitions();
    expect(made.map((text) => text.replace("made ", "")).sort()).toEqual(found.map(({ name }) => name).sort());
    const [first, second, third] = found;
    const midnight = new Date(new Date().toISOString().slice(0, 10));
    expect(first?.since).toEqual(midnight);
    expect([second?.since, third?.since]).toEqual([first?.until, second?.until]);
    expect(await tend()).toEqual([]);
    for (const days of [1, 30, 365]) await keep(days);
    expect(await tend()).toHaveLength(5 + 2 + 2);
    expect(await partitions(1)).toHaveLength(5);
  });

  it("begin and end with hours, days, weeks and months in UTC, whatever the session's time zone", async () => {
    await database.sql("set timezone = 'America/St_Johns'");
    const spans = await database.sql(
      `select days, span.since, span.until from unnest('{1,7,30,365}'::smallint[]) as days
       cross join lateral howdah._howdah_history_span_v1(days, '2028-02-29 23:30:00Z', 1) as span order by days`,
    );
    const at = (text: string) => new Date(text);
    expect(spans).toEqual([
      { days: 1, since: at("2028-03-01T00:00:00Z"), until: at("2028-03-01T01:00:00Z") },
      { days: 7, since: at("2028-03-01T00:00:00Z"), until: at("2028-03-02T00:00:00Z") },
      { days: 30, since: at("2028-03-06T00:00:00Z"), until: at("2028-03-13T00:00:00Z") },
      { days: 365, since: at("2028-03-01T00:00:00Z"), until: at("2028-04-01T00:00:00Z") },
    ]);
  });

  it("take over what the default partition has of their time", async () => {
    await ended(7, "now()", 1_000);
    await ended(7, "now() - interval '3 days'", 10, 2_000);
    expect(await count("_howdah_history_7_rest")).toBe(1_010);
    await tend();
    const [current] = await partitions(7);
    expect([await count("_howdah_history_7_rest"), await count(current?.name)]).toEqual([10, 1_000]);
    expect(await count()).toBe(1_010);
  });

  it("begin in two minutes where the default partition has more of their time than is moved at once", async () => {
    await ended(365, "now()", 20_001);
    await tend();
    const [current] = await partitions(365);
    const inMs = (current?.since.getTime() ?? 0) - systemClock.now();
    expect(inMs).toBeGreaterThan(30_000);
    expect(inMs).toBeLessThanOrEqual(121_000);
    expect([await count("_howdah_history_365_rest"), await count()]).toEqual([20_001, 20_001]);
    expect(await tend()).toEqual([]);
  });

  it("are dropped when everything in them has been kept for long enough, and not before", async () => {
    await keep(7);
    await database.sql(`
      select howdah._howdah_make_partition_v1(7::smallint, span.since, span.until)
      from generate_series(7, 9) as days
      cross join lateral howdah._howdah_history_span_v1(7::smallint, now() - days * interval '1 day', 0) as span`);
    await ended(7, "now() - interval '9 days'", 10);
    await ended(7, "now() - interval '8 days'", 10, 100);
    await ended(7, "now() - interval '7 days'", 10, 200);
    const done = await tend();
    expect(done.filter((text) => text.startsWith("dropped"))).toHaveLength(2);
    expect(await count()).toBe(10);
  });

  it("of jobs that ended without one are deleted by rows, some at a time", async () => {
    await ended(1, "now() - interval '25 hours'", 12_000);
    await ended(1, "now() - interval '23 hours'", 7, 20_000);
    const done = await tend();
    expect(done.filter((text) => text.startsWith("deleted"))).toEqual(["deleted 5000", "deleted 5000", "deleted 2000"]);
    expect(await count()).toBe(7);
  });

  it("are there for a clock that is set forward and back again", async () => {
    await keep(1);
    await tend();
    await ended(1, "now() + interval '400 days'", 5);
    await ended(1, "now() + interval '1 hour'", 5, 100);
    await ended(1, "now()", 5, 200);
    expect(await count("_howdah_history_1_rest")).toBe(5);
    expect(await tend()).toEqual([]);
    expect(await count()).toBe(15);
  });

  it("are looked after by one caller at a time, and by none before it is time", async () => {
    await keep(7);
    const session = await connect();
    await session.query("begin; select from howdah._howdah_history_state for update");
    expect(await tendOnce()).toEqual({
      done: null,
      nextMs: 60_000,
    });
    await session.query("rollback");
    await tend();
    const { done, nextMs } = await tendOnce();
    expect(done).toBeNull();
    expect(nextMs).toBeGreaterThan(50_000);
    expect(nextMs).toBeLessThanOrEqual(60_000);
    await keep(30);
    expect((await tendOnce()).done).toBeNull();
    expect((await tendOnce(true)).done).toMatch(/^made _howdah_history_30_/);
  });
});

describe("concurrently with others", () => {
  it("no row is refused or lost while partitions for the present are attached", async () => {
    const ATTACHED = 12;
    const writers = await Promise.all([1, 2, 3, 4].map(connect));
    let isOver = false;
    const written = writers.map(async (session, writer) => {
      let rows = 0;
      while (!isOver) {
        await session.query(
          `insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at)
           select 1, statement_timestamp(), $1::int + n, 't', 'c', 1, 25, 0, now(), now() from generate_series(1, 20) as n`,
          [writer * 10_000_000 + rows],
        );
        rows += 20;
      }
      return rows;
    });
    for (let round = 0; round < ATTACHED; round += 1) {
      const [made] = await makeCurrent(1);
      expect(made?.["name"]).toMatch(/^_howdah_history_1_\d{10}$/);
      await database.sql(`
        begin;
        alter table howdah._howdah_history_1 detach partition howdah.${made?.["name"]};
        insert into howdah._howdah_history_1_rest select * from howdah.${made?.["name"]};
        drop table howdah.${made?.["name"]};
        commit`);
    }
    isOver = true;
    const rows = (await Promise.all(written)).reduce((sum, each) => sum + each, 0);
    expect(rows).toBeGreaterThan(400);
    expect(await count()).toBe(rows);
  });

  it("a partition of the present that an operator has detached, and whose table is left, keeps no other one from being made", async () => {
    await keep(1);
    await tend();
    const [current] = await database.sql(`select name from howdah._howdah_history_partitions_v1(1::smallint)
      where since <= now() and until > now()`);
    await database.sql(`alter table howdah._howdah_history_1 detach partition howdah.${current?.["name"]}`);
    await keep(7);
    expect(await tend()).toEqual(expect.arrayContaining([expect.stringMatching(/^made _howdah_history_7_/)]));
    await database.sql(`drop table howdah.${current?.["name"]}`);
  });

  it("a reader that goes on keeps an old partition, which holds up nothing else, until it has ended", async () => {
    await keep(7);
    await database.sql(`select howdah._howdah_make_partition_v1(7::smallint, span.since, span.until)
      from howdah._howdah_history_span_v1(7::smallint, now() - interval '9 days', 0) as span`);
    await ended(7, "now() - interval '9 days'", 10);
    const reader = await connect();
    await reader.query("begin; select count(*) from howdah._howdah_history");
    const begun = systemClock.monotonic();
    const done = await tend();
    expect(done.filter((text) => /dropped|emptied/.test(text))).toEqual([]);
    expect(systemClock.monotonic() - begun).toBeLessThan(5_000);
    expect(await count()).toBe(10);
    await reader.query("commit");
    expect((await tend())[0]).toMatch(/^dropped/);
    expect(await count()).toBe(0);
    // The partitions of today and ahead have to wait for the reader of the default one, too.
    expect(await partitions(7)).toHaveLength(3);
  });

  it("a transaction that keeps jobs for long lets an old partition be emptied, and dropped when it has ended", async () => {
    await keep(7);
    await tend();
    await database.sql(`select howdah._howdah_make_partition_v1(7::smallint, span.since, span.until)
      from howdah._howdah_history_span_v1(7::smallint, now() - interval '9 days', 0) as span`);
    await ended(7, "now() - interval '9 days'", 10);
    const writer = await connect();
    await writer.query("begin");
    await writer.query(
      `insert into howdah._howdah_history (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at)
       values (7, now(), 77, 't', 'c', 1, 25, 0, now(), now())`,
    );
    expect(await tend()).toEqual([expect.stringMatching(/^emptied _howdah_history_7_/)]);
    expect(await count()).toBe(0);
    await writer.query("commit");
    expect(await tend()).toEqual([expect.stringMatching(/^dropped _howdah_history_7_/)]);
    expect(await count()).toBe(1);
  });

  it("what is written waits for no more than a moment while a partition cannot be dropped", async () => {
    await keep(7);
    await tend();
    await database.sql(`select howdah._howdah_make_partition_v1(7::smallint, span.since, span.until)
      from howdah._howdah_history_span_v1(7::smallint, now() - interval '9 days', 0) as span`);
    const reader = await connect();
    await reader.query("begin; select count(*) from howdah._howdah_history");
    let longest = 0;
    let isOver = false;
    const writing = (async () => {
      for (let id = 1; !isOver; id += 1) {
        const begun = systemClock.monotonic();
        await ended(7, "now()", 1, id);
        longest = Math.max(longest, systemClock.monotonic() - begun);
      }
    })();
    for (let round = 0; round < 5; round += 1) await tend();
    isOver = true;
    await writing;
    // The lock is waited for 100 ms at most; the rest is the machine.
    expect(longest).toBeLessThan(1_000);
    await reader.query("commit");
  });
});

describe("a worker", () => {
  it("whose tasks keep something has partitions made at once", async () => {
    const kept = defineTask({ identifier: "kept", keep: "7d", run: () => undefined });
    await using worker = await createTestWorker(database, { tasks: [kept] });
    const running = worker.run();
    await until(async () => (await partitions(7)).length === 3);
    await worker.stop();
    await running;
  });
});

it("migrate() has them made and dropped, for those whose workers may not", async () => {
  await keep(7);
  await database.sql(`select howdah._howdah_make_partition_v1(7::smallint, span.since, span.until)
    from howdah._howdah_history_span_v1(7::smallint, now() - interval '9 days', 0) as span`);
  await migrate({ connectionString: database.connectionString, logger: silentLogger });
  const found = await partitions(7);
  expect(found).toHaveLength(3);
  expect(found[0]?.until.getTime()).toBeGreaterThan(systemClock.now());
});
