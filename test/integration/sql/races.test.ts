import type pg from "pg";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { applyMigrations } from "../../../src/postgres/apply-migrations.ts";
import { createSchema } from "../../../src/postgres/schema.ts";
import { blocked } from "../../harness/blocked.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs"));

const first = await database.connect();
const second = await database.connect();

const CLAIM = "update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = attempts + 1";
const jobs = () => database.sql("select *, payload::text as json from howdah._private_jobs order by id");
const add = (session: pg.Client, payload: string, more = "") =>
  session.query(
    `select id, revision, payload::text as json from howdah.add_job('t', '${payload}', job_key => 'k'${more})`,
  );
const addMany = (session: pg.Client, payload: string) =>
  session.query(`
    select id, revision, payload::text as json
    from howdah.add_jobs(array[row('t', '${payload}', null, null, null, 'k', null, null)]::howdah.job_spec[])`);

describe("a keyed add against a claim", () => {
  it.each([
    ["add_job", add],
    ["add_jobs", addMany],
  ])("is never lost when the claim commits first: %s", async (_, addKeyed) => {
    await add(first, "1");
    await first.query(`begin; ${CLAIM}`);
    const adding = addKeyed(second, "2");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 0, json: "2" }]);
    expect(await jobs()).toMatchObject([
      { key: null, json: "1", locked_by: "w", attempts: 25, _howdah_detached: true },
      { key: "k", json: "2", locked_by: null, attempts: 0 },
    ]);
  });

  it("is never lost when the claimed job completes meanwhile", async () => {
    await add(first, "1");
    await first.query(`begin; ${CLAIM}; delete from howdah._private_jobs`);
    const adding = add(second, "2");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 0, json: "2" }]);
    expect(await jobs()).toMatchObject([{ key: "k", json: "2" }]);
  });

  it("updates the row when the claim is rolled back", async () => {
    await add(first, "1");
    await first.query(`begin; ${CLAIM}`);
    const adding = add(second, "2");
    await blocked(database, second);
    await first.query("rollback");
    expect((await adding).rows).toMatchObject([{ revision: 1, json: "2" }]);
    expect(await jobs()).toHaveLength(1);
  });

  it("goes first when it was first: a claim that does not wait steps over the row", async () => {
    await add(first, "1");
    await first.query("begin");
    await add(first, "2");
    const { rows } = await second.query("select id from howdah._private_jobs for update skip locked");
    expect(rows).toEqual([]);
    await first.query("commit");
    await second.query(CLAIM);
    expect(await jobs()).toMatchObject([{ json: "2", locked_by: "w", revision: 1 }]);
  });

  it("is never lost against a claim in mode unsafe_dedupe either: the job that runs counts", async () => {
    await add(first, "1");
    await first.query(`begin; ${CLAIM}`);
    const adding = add(second, "2", ", job_key_mode => 'unsafe_dedupe'");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 1, json: "1" }]);
    expect(await jobs()).toMatchObject([{ key: "k", locked_by: "w", attempts: 1 }]);
  });
});

describe("keyed adds against each other", () => {
  it.each([
    ["add_job", add],
    ["add_jobs", addMany],
  ])("makes the second one of a new key an update: %s", async (_, addKeyed) => {
    await first.query("begin");
    await addKeyed(first, "[1]");
    const adding = addKeyed(second, "[2]");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 1, json: "[1, 2]" }]);
    expect(await jobs()).toHaveLength(1);
  });

  it("leaves one key when two bulk adds replace a job that runs", async () => {
    await add(first, "0");
    await first.query(CLAIM);
    await first.query("begin");
    const one = await addMany(first, "1");
    const adding = addMany(second, "2");
    await blocked(database, second);
    await first.query("commit");
    const two = await adding;
    expect([one.rowCount, two.rowCount]).toEqual([1, 1]);
    expect(await jobs()).toMatchObject([
      { key: null, attempts: 25, json: "0" },
      { key: "k", json: "2", revision: 1 },
    ]);
  });

  it("adds a new job when the one of the key is removed meanwhile", async () => {
    await add(first, "1");
    await first.query("begin; select howdah.remove_job('k')");
    const adding = add(second, "2");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 0, json: "2" }]);
  });

  it("shuts out single keyed adds while very many keys are added, and none without a key", async () => {
    await first.query("begin");
    await first.query(`
      select howdah.add_jobs(array_agg(row('t', null, null, null, null, 'many ' || number, null, null)::howdah.job_spec))
      from generate_series(1, 501) as number`);
    await database.sql("select howdah.add_job('t')");
    const adding = add(second, "1");
    await blocked(database, second);
    await first.query("commit");
    expect((await adding).rows).toMatchObject([{ revision: 0 }]);
  });

  it("does not make adds of different keys, or of different schemas, wait for each other", async () => {
    await applyMigrations({ driver: database.driver, schema: createSchema("other") });
    await first.query("begin");
    await add(first, "1");
    await second.query("select howdah.add_job('t', job_key => 'another')");
    await second.query("select other.add_job('t', job_key => 'k')");
    await first.query("commit");
    expect(await jobs()).toHaveLength(2);
  });
});

describe("lock order", () => {
  it("adds the same new names from many sessions in every order without a deadlock", async () => {
    const sessions = await Promise.all(Array.from({ length: 6 }, () => database.connect()));
    const rounds = sessions.map(async (session, number) => {
      for (let round = 0; round < 15; round++) {
        const { rows } = await session.query(
          `select count(*)::int as jobs from howdah.add_jobs(array(
             select row('task ' || name, null, 'queue ' || name, null, null, 'key ' || name, null, null)::howdah.job_spec
             from unnest($1::text[]) as name
           ))`,
          [namesFor(round, number)],
        );
        expect(rows).toEqual([{ jobs: 40 }]);
      }
    });
    await Promise.all(rounds);
    const [row] = await database.sql(`
      select count(*)::int as jobs, count(distinct queue_name)::int as queues from howdah.jobs`);
    expect(row).toEqual({ jobs: 15 * 40, queues: 15 * 40 });
  });

  /** The names of a round, in an order that differs from session to session. */
  function namesFor(round: number, session: number): string[] {
    const names = Array.from({ length: 40 }, (_, index) => `${round}.${(index + 7 * session) % 40}`);
    return session % 2 ? names.toReversed() : names;
  }

  it("changes the same jobs from two sessions in opposite order without a deadlock", async () => {
    await database.sql(
      "select howdah.add_job('t', job_key => 'key ' || number) from generate_series(1, 200) as number",
    );
    const calls = [
      "howdah.reschedule_jobs(ids, priority => 1)",
      "howdah.permanently_fail_jobs(ids)",
      "howdah.add_jobs(array(select row('t', null, null, null, null, 'key ' || n, null, null)::howdah.job_spec from generate_series(1, 200) as n order by direction * n))",
    ];
    const work = async (session: pg.Client, direction: number) => {
      for (let round = 0; round < 30; round++) {
        await session.query(
          `select count(*) from (select array_agg(id order by $1 * id) as ids, $1::int as direction from howdah._private_jobs) as x,
           lateral ${calls[(round + (direction > 0 ? 0 : 1)) % calls.length]}`,
          [direction],
        );
      }
    };
    await Promise.all([work(first, 1), work(second, -1)]);
    const [row] = await database.sql("select count(*)::int as keyed from howdah._private_jobs where key is not null");
    expect(row).toEqual({ keyed: 200 });
  });
});
