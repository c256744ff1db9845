import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs"));

type Stored = Record<string, unknown>;

async function add(call: string, values: unknown[] = []): Promise<Stored> {
  const [row] = await database.sql(
    `select job.*, payload::text as json, run_at = now() as due_now from howdah.add_job(${call}) as job`,
    values,
  );
  return row as Stored;
}

const stored = () => database.sql("select *, payload::text as json from howdah._private_jobs order by id");

describe("values of add_job", () => {
  it("stores the defaults when only the identifier is given", async () => {
    const job = await add("'assert_jobs_work'");
    expect(job).toMatchObject({
      job_queue_id: null,
      json: "{}",
      priority: 0,
      due_now: true,
      attempts: 0,
      max_attempts: 25,
      last_error: null,
      key: null,
      locked_at: null,
      locked_by: null,
      revision: 0,
      flags: null,
      is_available: true,
      _howdah_exhausted: false,
      _howdah_recoveries: 0,
      _howdah_detached: false,
    });
    expect(job["created_at"]).toEqual(job["run_at"]);
    const [seen] = await database.sql("select task_identifier, queue_name from howdah.jobs");
    expect(seen).toEqual({ task_identifier: "assert_jobs_work", queue_name: null });
  });

  it("stores everything that is given, by position as well as by name", async () => {
    const byPosition = await add(
      `'job3', '{"a":1}', 'myqueue', '2030-01-02 03:04:05.678901+00', 10, 'some key', -5, '{x,y,x}', 'replace'`,
    );
    const byName = await add(
      `identifier => 'job3', payload => '{"a":1}', queue_name => 'myqueue', run_at => '2030-01-02 03:04:05.678901+00',
       max_attempts => 10, job_key => 'other key', priority => -5, flags => '{x,y}', job_key_mode => 'replace'`,
    );
    const expected = { json: '{"a":1}', priority: -5, max_attempts: 10, flags: { x: true, y: true }, due_now: false };
    expect(byPosition).toMatchObject({ ...expected, key: "some key" });
    expect(byName).toMatchObject({ ...expected, key: "other key" });
    const queues = await database.sql("select queue_name, locked_at, is_available from howdah._private_job_queues");
    expect(queues).toEqual([{ queue_name: "myqueue", locked_at: null, is_available: true }]);
    const [seen] = await database.sql(
      `select count(*)::int as jobs from howdah.jobs
       where queue_name = 'myqueue' and run_at = '2030-01-02 03:04:05.678901+00'`,
    );
    expect(seen).toEqual({ jobs: 2 });
  });

  it.each([
    ["JSON null", "null"],
    ["a scalar", "42"],
    ["white space, key order and duplicates", '{ "b":1,  "a" : [ ], "b":2 }'],
    ["an escaped NUL", String.raw`{"a":"\u0000"}`],
    ["half of a surrogate pair", String.raw`{"a":"\ud800"}`],
    ["a thousand levels", "[".repeat(1000) + "]".repeat(1000)],
  ])("stores the text of a payload verbatim: %s", async (_, text) => {
    expect((await add("'t', $1::json", [text]))["json"]).toBe(text);
  });

  it.each(["'', job_key => 'k'", "''", "'t', queue_name => ''", "'t', flags => '{}'", "'t', job_key_mode => null"])(
    "accepts %s",
    async (call) => {
      expect(await add(call)).toMatchObject({ revision: 0, flags: null });
    },
  );

  it.each([
    ["null", "23502", /identifier/],
    ["repeat('é', 129)", "23514", /tasks_identifier_check/],
    ["'t', queue_name => repeat('q', 129)", "23514", /job_queues_queue_name_check/],
    ["'t', job_key => ''", "23514", /jobs_key_check/],
    ["'t', job_key => repeat('k', 513)", "23514", /jobs_key_check/],
    ["'t', max_attempts => 0", "23514", /jobs_max_attempts_check/],
    ["'t', max_attempts => 32768", "22003", /smallint out of range/],
    ["'t', priority => 32768", "22003", /smallint out of range/],
    ["'t', flags => array['a', null]", "22023", /null/],
    [
      "'t', job_key => 'k', job_key_mode => 'dedupe'",
      "GWBKM",
      /^Invalid job_key_mode value, expected 'replace', 'preserve_run_at' or 'unsafe_dedupe'\.$/,
    ],
  ])("refuses %s with %s and stores nothing", async (call, code, message) => {
    await expect(add(call)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await stored()).toEqual([]);
  });

  it.each(["repeat('é', 128)", "'t', queue_name => repeat('é', 128)", "'t', job_key => repeat('é', 512)"])(
    "counts characters, not bytes: %s",
    async (call) => {
      await add(call);
      expect(await stored()).toHaveLength(1);
    },
  );

  it("takes the extremes of attempts, priorities and times", async () => {
    const first = await add("'t', max_attempts => 32767, priority => -32768, run_at => '-infinity'");
    const last = await add("'t', max_attempts => 1, priority => 32767, run_at => 'infinity'");
    expect(first).toMatchObject({ max_attempts: 32767, priority: -32768 });
    expect(last).toMatchObject({ max_attempts: 1, priority: 32767 });
  });

  it("ignores the mode when there is no key", async () => {
    await add("'t', job_key_mode => 'whatever'");
    await add("'t', job_key_mode => 'unsafe_dedupe'");
    expect(await stored()).toHaveLength(2);
  });

  it("uses up no id of a task or queue that is there", async () => {
    await add("'known', queue_name => 'known'");
    const ids = () =>
      database.sql("select sequencename, last_value from pg_sequences where sequencename <> 'jobs_id_seq1'");
    const before = await ids();
    await add("'known', queue_name => 'known'");
    await add("'known', queue_name => 'known', job_key => 'k'");
    await database.sql(
      "select howdah.add_jobs(array[row('known', null, 'known', null, null, 'k', null, null)]::howdah.job_spec[])",
    );
    expect(await ids()).toEqual(before);
  });
});

describe("keys of add_job", () => {
  const lock = (ago = "0") =>
    database.sql(
      "update howdah._private_jobs set locked_at = now() - $1::interval, locked_by = 'w', attempts = attempts + 1",
      [ago],
    );

  it("counts the updates of one row in its revision", async () => {
    for (const number of [1, 2, 3, 4]) await add("'t', $1::json, job_key => 'k'", [JSON.stringify({ a: number })]);
    expect(await stored()).toMatchObject([{ json: '{"a":4}', revision: 3 }]);
  });

  it("keeps the row and gives everything the new value, or the default where none is given", async () => {
    const first = await add(`'t', '{"a":1}', 'queue1', now() + interval '1 hour', 10, 'k', 7, '{f}'`);
    await database.sql(`
      update howdah._private_jobs set attempts = 3, last_error = 'no', _howdah_recoveries = -2,
        updated_at = '2000-01-01'`);
    const second = await add("'other', job_key => 'k'");
    expect(second).toMatchObject({
      id: first["id"],
      created_at: first["created_at"],
      key: "k",
      json: "{}",
      job_queue_id: null,
      max_attempts: 25,
      priority: 0,
      flags: null,
      attempts: 0,
      last_error: null,
      revision: 1,
      due_now: true,
      _howdah_recoveries: 0,
    });
    expect(second["updated_at"]).toEqual(second["run_at"]);
    const [seen] = await database.sql("select task_identifier, queue_name from howdah.jobs");
    expect(seen).toEqual({ task_identifier: "other", queue_name: null });
  });

  it("keeps the time of a job that has not started yet when asked to, and gives any other the new one", async () => {
    await add("'t', job_key => 'k', run_at => '2200-01-01'");
    await add("'t', '2', job_key => 'k', run_at => '2201-01-01', job_key_mode => 'preserve_run_at'");
    const year = async () => {
      const [row] = await database.sql(
        "select extract(year from run_at)::int as year, revision, payload from howdah._private_jobs where key = 'k'",
      );
      return row;
    };
    expect(await year()).toEqual({ year: 2200, revision: 1, payload: 2 });
    await add("'t', '3', job_key => 'k', run_at => '2202-01-01', job_key_mode => 'unsafe_dedupe'");
    expect(await year()).toEqual({ year: 2200, revision: 2, payload: 2 });
    await database.sql("update howdah._private_jobs set attempts = 1");
    await add("'t', '4', job_key => 'k', run_at => '2203-01-01', job_key_mode => 'preserve_run_at'");
    expect(await year()).toEqual({ year: 2203, revision: 3, payload: 4 });
  });

  it.each(["replace", "preserve_run_at"])("detaches a running job and adds a new one: %s", async (mode) => {
    for (const ago of ["1 minute", "5 hours"]) {
      await database.sql("truncate howdah._private_jobs");
      const running = await add("'t', '1', job_key => 'k'");
      await lock(ago);
      const next = await add(`'t', '2', job_key => 'k', job_key_mode => '${mode}'`);
      expect(next).toMatchObject({ revision: 0, json: "2", key: "k", locked_by: null });
      expect(await stored()).toMatchObject([
        { id: running["id"], key: null, attempts: 25, locked_by: "w", json: "1", _howdah_detached: true },
        { id: next["id"], key: "k", attempts: 0, _howdah_detached: false },
      ]);
    }
  });

  it.each(["replace", "preserve_run_at"])("replaces a job that failed for good by a new one: %s", async (mode) => {
    const failed = await add("'t', job_key => 'k', max_attempts => 3, run_at => '2000-01-01'");
    await database.sql("update howdah._private_jobs set attempts = 5");
    const next = await add(`'t', job_key => 'k', job_key_mode => '${mode}'`);
    expect(next).toMatchObject({ revision: 0, due_now: true });
    expect(await stored()).toMatchObject([
      { id: failed["id"], key: null, attempts: 3, _howdah_detached: false },
      { id: next["id"], key: "k" },
    ]);
  });

  it("leaves a job alone in mode unsafe_dedupe, also one that runs or failed for good", async () => {
    const first = await add("'t', '1', job_key => 'k', job_key_mode => 'unsafe_dedupe'");
    expect(first).toMatchObject({ revision: 0 });
    await lock();
    const second = await add("'u', '2', 'q', job_key => 'k', job_key_mode => 'unsafe_dedupe'");
    expect(second).toMatchObject({
      id: first["id"],
      revision: 1,
      json: "1",
      locked_by: "w",
      task_id: first["task_id"],
    });
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null, attempts = 25");
    const third = await add("'u', '3', job_key => 'k', job_key_mode => 'unsafe_dedupe'");
    expect(third).toMatchObject({ id: first["id"], revision: 2, json: "1", attempts: 25 });
    expect(await stored()).toHaveLength(1);
  });

  it.each(["replace", "preserve_run_at"])("joins the payloads when both are arrays: %s", async (mode) => {
    await add(`'t', '[ 1]', job_key => 'k'`);
    await database.sql("update howdah._private_jobs set attempts = 1");
    expect(await add(`'t', '[2]', job_key => 'k', job_key_mode => '${mode}'`)).toMatchObject({ json: "[1, 2]" });
    expect(await add(`'t', '{"a": 3}', job_key => 'k'`)).toMatchObject({ json: '{"a": 3}' });
    expect(await add(`'t', '[4]', job_key => 'k'`)).toMatchObject({ json: "[4]" });
  });

  it.each([String.raw`["\u0000"]`, String.raw`["\ud800"]`, "[1e999999]"])(
    "refuses to join %s with HWMRG and keeps what is stored",
    async (text) => {
      await add("'t', $1::json, job_key => 'k'", [text]);
      await expect(add("'t', '[2]', job_key => 'k'")).rejects.toMatchObject({ code: "HWMRG" });
      expect(await stored()).toMatchObject([{ json: text, revision: 0 }]);
    },
  );
});
