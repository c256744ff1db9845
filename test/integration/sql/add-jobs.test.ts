import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { blockedBy } from "../../harness/blocked.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs"));

/** The way in which the clients of the other implementations call it. */
function addSpecs(specs: readonly object[], preserve = false) {
  return database.sql(
    `select job.*, payload::text as json, extract(year from run_at)::int as year
     from howdah.add_jobs(array(select json_populate_recordset(null::howdah.job_spec, $1::json)), $2) as job`,
    [JSON.stringify(specs), preserve],
  );
}

interface Columns {
  readonly identifiers: readonly (string | null)[];
  readonly payloads?: readonly (string | null)[];
  readonly queueNames?: readonly (string | null)[];
  readonly runAts?: readonly (string | null)[];
  readonly maxAttempts?: readonly (number | null)[];
  readonly keys?: readonly (string | null)[];
  readonly priorities?: readonly (number | null)[];
  readonly flagSets?: readonly (string | null)[];
  readonly modes?: readonly (string | null)[];
}

function addColumns(columns: Columns) {
  const { identifiers, payloads, queueNames, runAts, maxAttempts, keys, priorities, flagSets, modes } = columns;
  return database.sql(
    `select job.*, payload::text as json, extract(year from run_at)::int as year
     from howdah._howdah_add_jobs_v1(
       $1, $2::text[]::json[], $3, $4::timestamptz[], $5, $6, $7, $8::text[]::jsonb[], $9, false
     ) as job`,
    [identifiers, payloads, queueNames, runAts, maxAttempts, keys, priorities, flagSets, modes].map((x) => x ?? null),
  );
}

const stored = () => database.sql("select *, payload::text as json from howdah._private_jobs order by id");
const tasks = async () => {
  const rows = await database.sql("select task_identifier from howdah.jobs order by id");
  return rows.map((row) => row["task_identifier"]);
};

describe("add_jobs", () => {
  it("stores one job for each spec and returns them in the order of the specs", async () => {
    const specs = Array.from({ length: 200 }, (_, index) => ({
      identifier: `task ${(index * 7) % 5}`,
      payload: index,
      ...(index % 3 === 0 ? { queue_name: `queue ${(index * 11) % 7}` } : {}),
      ...(index % 10 === 0 ? { job_key: `key ${index}` } : {}),
    }));
    const jobs = await addSpecs(specs);
    expect(jobs.map((job) => job["payload"])).toEqual(specs.map((spec) => spec.payload));
    expect(await tasks()).toEqual(specs.map((spec) => spec.identifier));
  });

  it("applies the same defaults as add_job", async () => {
    const [job] = await addSpecs([{ identifier: "t", payload: null, unknown_property: 1 }]);
    expect(job).toMatchObject({
      json: "{}",
      priority: 0,
      max_attempts: 25,
      flags: null,
      job_queue_id: null,
      revision: 0,
    });
    expect(job?.["run_at"]).toEqual(job?.["created_at"]);
  });

  it("stores every property of a spec", async () => {
    const [job] = await addSpecs([
      {
        identifier: "t",
        payload: [1],
        queue_name: "q",
        run_at: "2200-01-01",
        max_attempts: 3,
        priority: -4,
        flags: ["a"],
      },
    ]);
    expect(job).toMatchObject({ json: "[1]", year: 2200, max_attempts: 3, priority: -4, flags: { a: true } });
  });

  it("replaces by key, or keeps the time when told to", async () => {
    const [first] = await addSpecs([{ identifier: "t", payload: 1, job_key: "k", run_at: "2200-01-01" }]);
    const [second] = await addSpecs([{ identifier: "t", payload: 2, job_key: "k", run_at: "2201-01-01" }], true);
    expect(second).toMatchObject({ id: first?.["id"], revision: 1, json: "2", year: 2200 });
    const [third] = await addSpecs([{ identifier: "t", payload: 3, job_key: "k", run_at: "2203-01-01" }]);
    expect(third).toMatchObject({ id: first?.["id"], revision: 2, json: "3", year: 2203 });
  });

  it.each(["null", "'{}'"])("adds nothing when the specs are %s", async (specs) => {
    expect(await database.sql(`select * from howdah.add_jobs(${specs})`)).toEqual([]);
  });

  it.each([
    ["a missing identifier", "array[row(null, null, null, null, null, null, null, null)]", "23502"],
    ["a null spec", "array[null]", "23502"],
    [
      "a key twice",
      "array[row('t', null, null, null, null, 'k', null, null), row('t', null, null, null, null, 'k', null, null)]",
      "21000",
    ],
    ["too few attempts", "array[row('t', null, null, null, 0, null, null, null)]", "23514"],
  ])("refuses %s among good specs and stores none of them", async (_, bad, code) => {
    const good = "array[row('good', null, null, null, null, null, null, null)]::howdah.job_spec[]";
    await expect(
      database.sql(`select * from howdah.add_jobs(${good} || ${bad}::howdah.job_spec[])`),
    ).rejects.toMatchObject({ code });
    expect(await stored()).toEqual([]);
  });

  it("detaches jobs that run", async () => {
    await addSpecs([{ identifier: "t", job_key: "k" }]);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1");
    const [next] = await addSpecs([{ identifier: "t", job_key: "k" }]);
    expect(await stored()).toMatchObject([
      { key: null, attempts: 25, locked_by: "w", _howdah_detached: true },
      { id: next?.["id"], key: "k", revision: 0 },
    ]);
  });
});

describe("_howdah_add_jobs_v1", () => {
  it("returns 10,000 jobs in the order given", async () => {
    const numbers = Array.from({ length: 10_000 }, (_, index) => index);
    const jobs = await addColumns({
      identifiers: numbers.map((number) => `task ${number % 3}`),
      payloads: numbers.map(String),
      queueNames: numbers.map((number) => (number % 2 ? `queue ${number % 100}` : null)),
    });
    expect(jobs.map((job) => job["payload"])).toEqual(numbers);
    const ids = jobs.map((job) => Number(job["id"]));
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  it("takes more keys than the lock table of the server has room for", async () => {
    const numbers = Array.from({ length: 10_000 }, (_, index) => index);
    const columns = {
      identifiers: numbers.map(() => "t"),
      payloads: numbers.map(String),
      keys: numbers.map((number) => `key ${number}`),
    };
    await addColumns(columns);
    const again = await addColumns(columns);
    expect(again.map((job) => job["payload"])).toEqual(numbers);
    expect(again.every((job) => job["revision"] === 1)).toBe(true);
  });

  it("fills up what is missing with the defaults", async () => {
    const jobs = await addColumns({ identifiers: ["a", "b"], payloads: ["1"], priorities: [null, 9] });
    expect(jobs).toMatchObject([
      { json: "1", priority: 0 },
      { json: "{}", priority: 9 },
    ]);
  });

  it("mixes keys, modes and jobs without a key, and keeps the order", async () => {
    const given = { identifiers: ["t", "t", "t"], payloads: ["1", "2", "3"] };
    const before = await addColumns({
      ...given,
      keys: ["a", "b", "c"],
      runAts: ["2200-01-01", "2200-01-01", "2200-01-01"],
    });
    const after = await addColumns({
      identifiers: ["t", "t", "t", "t", "t"],
      payloads: ["10", "11", "12", "13", "14"],
      keys: ["c", null, "d", "b", "a"],
      runAts: ["2300-01-01", null, "2300-01-01", "2300-01-01", null],
      modes: ["replace", null, "preserve_run_at", "preserve_run_at", null],
    });
    expect(after.map((job) => [job["key"], job["json"], job["revision"]])).toEqual([
      ["c", "10", 1],
      [null, "11", 0],
      ["d", "12", 0],
      ["b", "13", 1],
      ["a", "14", 1],
    ]);
    expect([after[4], after[3], after[0]].map((job) => job?.["id"])).toEqual(before.map((job) => job["id"]));
    expect([after[0], after[2], after[3]].map((job) => job?.["year"])).toEqual([2300, 2300, 2200]);
  });

  it.each([["unsafe_dedupe"], ["whatever"]])("refuses the mode %s with GWBKM", async (mode) => {
    await expect(addColumns({ identifiers: ["t"], keys: ["k"], modes: [mode] })).rejects.toMatchObject({
      code: "GWBKM",
    });
    expect(await addColumns({ identifiers: ["t"], keys: [null], modes: [mode] })).toHaveLength(1);
  });

  it("stores payload texts verbatim, whatever jsonb would say to them", async () => {
    const payloads = [String.raw`"\u0000"`, String.raw`"\ud800"`, "1e999999", '{ "b":1,"a":2, "b":3 }', "null"];
    const jobs = await addColumns({ identifiers: payloads.map(() => "t"), payloads });
    expect(jobs.map((job) => job["json"])).toEqual(payloads);
  });

  it("refuses a key that appeared in the meantime as a running job, with GWNOR, and takes everything back", async () => {
    const intruder = await database.connect();
    await database.sql("select howdah.add_job('t')");
    await intruder.query("begin");
    await intruder.query(`
      insert into howdah._private_jobs (task_id, key, locked_at, locked_by)
      select id, 'k', now(), 'w' from howdah._private_tasks where identifier = 't'`);
    const [added] = await Promise.allSettled([
      addColumns({ identifiers: ["t", "t"], keys: ["j", "k"] }),
      blockedBy(database, intruder).then(() => intruder.query("commit")),
    ]);
    expect(added).toMatchObject({
      status: "rejected",
      reason: { code: "GWNOR", message: 'Unable to schedule job for key "k"' },
    });
    const keys = await database.sql("select key from howdah._private_jobs where key is not null");
    expect(keys).toEqual([{ key: "k" }]);
  });
});

const VERSIONS: readonly (readonly [string, (given: string, patience: string) => string])[] = [
  ["_howdah_add_jobs_without_keys_v1", (given, patience) => `${given}, ${patience}`],
  ["_howdah_add_jobs_without_keys_v2", (given, patience) => `${given}, ${patience}, false`],
];

describe.each(VERSIONS)("%s", (name, argumentsOf) => {
  const addAll = async (given: string, patience = "null"): Promise<Record<string, unknown>> => {
    const [row] = await database.sql(`select * from howdah.${name}(${argumentsOf(given, patience)})`);
    return row ?? {};
  };

  it("takes one task for all jobs or one for each, and the defaults for what is left out", async () => {
    const one = await addAll("'{t}', '{1,2}', null, null, null, null, null, null, false");
    expect(one).toMatchObject({ due_count: "2", run_times: null, stored_flags: null, due_queue_ids: null });
    const each = await addAll("'{t,u}', '{3,4}', '{null,q}', null, null, null, null, null, false");
    expect(await tasks()).toEqual(["t", "t", "t", "u"]);
    const jobs = await stored();
    expect(jobs.map(({ id }) => id)).toEqual([one["ids"], each["ids"]].flat());
    expect(jobs.map(({ json }) => json)).toEqual(["1", "2", "3", "4"]);
    expect(jobs[0]).toMatchObject({ priority: 0, max_attempts: 25, flags: null, _howdah_timeout_ms: null });
    expect(jobs[3]).toMatchObject({ job_queue_id: (each["due_queue_ids"] as number[])[0] });
  });

  it("tells what it was given to store as it was stored", async () => {
    const given = await addAll(
      `'{t}', '{1,2}', null, '{2100-01-01 00:00:00.000001Z,null}', '{3,null}', '{7,null}', '{"{\\"b\\": true, \\"a\\": true}",null}', '{10,null}', false`,
    );
    const [createdAt] = [given["created_at"]];
    expect(given).toMatchObject({
      run_times: ["4102444800000001", createdAt],
      stored_flags: [{ a: true, b: true }, null],
      due_count: "1",
      due_at: createdAt,
    });
    expect(await stored()).toMatchObject([{ max_attempts: 3, priority: 7, _howdah_timeout_ms: 10 }, { priority: 0 }]);
  });

  it("gives up when it has waited for a lock for as long as it may, and stores nothing", async () => {
    const session = await database.connect();
    await session.query("begin; select howdah.add_job('t', queue_name => 'under way')");
    const adding = addAll("'{t}', '{1,2}', '{null,under way}', null, null, null, null, null, false", "100");
    await expect(adding).rejects.toMatchObject({ code: "55P03" });
    await session.query("rollback");
    expect(await stored()).toEqual([]);
    expect((await database.sql("show lock_timeout"))[0]).toEqual({ lock_timeout: "0" });
  });

  it("notifies in its transaction when it is told to, once, with the earliest time and each queue", async () => {
    const listener = await database.connect();
    const heard: unknown[] = [];
    listener.on("notification", ({ payload }) => heard.push(JSON.parse(payload ?? "")));
    await listener.query('listen "jobs:insert"');
    const given = await addAll("'{t}', '{1,2,3}', '{q,q,null}', null, null, null, null, null, true");
    await listener.query("select 1");
    const [queueId] = given["due_queue_ids"] as number[];
    expect(heard).toMatchObject([{ count: 3, at: Number(given["due_at"]), queues: [queueId] }]);
  });
});

describe("_howdah_add_jobs_without_keys_v2 for ids only", () => {
  it("answers the same ids and what is due, and nothing else, and stores the same", async () => {
    const given = `'{t,u,t}', '{1,2,3}', '{q,null,null}', '{null,null,2100-01-01Z}', '{3,null,null}', '{7,null,null}',
      '{"{\\"a\\": true}",null,null}', '{10,null,null}', false, null`;
    const added: Record<string, unknown>[] = [];
    for (const idsOnly of [false, true]) {
      const [row = {}] = await database.sql(
        `select * from howdah._howdah_add_jobs_without_keys_v2(${given}, ${idsOnly})`,
      );
      added.push(row);
    }
    const [whole, lean] = added;
    expect(lean).toMatchObject({ run_times: null, stored_flags: null, stored: null, due_count: "2" });
    expect(lean?.["due_queue_ids"]).toEqual(whole?.["due_queue_ids"]);
    const jobs = await stored();
    expect(jobs.map(({ id }) => id)).toEqual([whole?.["ids"], lean?.["ids"]].flat());
    const withoutTimes = jobs.map(({ id: _id, run_at: _run, created_at: _new, updated_at: _old, ...job }) => job);
    expect(withoutTimes.slice(3)).toEqual(withoutTimes.slice(0, 3));
  });
});
