import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client, TransactionClient } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { Job, JobSpec } from "../../../src/job/job.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS, type BulkAdd } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

// What an add resolves to is what is stored, whatever triggers of users make of
// it; and where they drop a job, the add rejects.
let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await client.addJobs([{ identifier: "t" }, { identifier: "t", spec: { queueName: "q" } }, { identifier: "other" }]);
  await client.addJob("t", {}, { queueName: "other" });
  await database.sql("truncate howdah._private_jobs");
});

afterEach(async () => {
  await database.sql("drop function if exists public.user_trigger() cascade");
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

async function withTrigger(body: string): Promise<void> {
  await database.sql(`
    create function public.user_trigger() returns trigger language plpgsql as $$ begin ${body} return new; end $$;
    create trigger user_trigger before insert on howdah._private_jobs for each row execute function public.user_trigger();
  `);
}

type Adds = Pick<TransactionClient, "addJob" | "addJobs" | "addBatchJob" | "getJob">;

/** Resolves or rejects when all of them have, so that none of them outlives its test. */
async function all<T>(calls: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(calls);
  return Promise.all(calls);
}

type Way = (adds: Adds, payloads: readonly object[]) => Promise<readonly Job[]>;

/** Every way to add jobs with these payloads. */
const WAYS: Readonly<Record<string, Way>> = {
  "one by one": async (adds, payloads) => {
    const jobs: Job[] = [];
    for (const payload of payloads) jobs.push(await adds.addJob("t", payload));
    return jobs;
  },
  "at the same moment": (adds, payloads) => all(payloads.map((payload) => adds.addJob("t", payload))),
  "with a queue": (adds, payloads) => all(payloads.map((payload) => adds.addJob("t", payload, { queueName: "q" }))),
  "with flags": (adds, payloads) => all(payloads.map((payload) => adds.addJob("t", payload, { flags: ["f"] }))),
  "with keys": (adds, payloads) => all(payloads.map((payload, n) => adds.addJob("t", payload, { jobKey: `k${n}` }))),
  ...Object.fromEntries(BULK_ADDS.flatMap(([name, addAll]) => waysInBulk(name, addAll))),
  "as batch jobs": (adds, payloads) => all(payloads.map((payload) => adds.addBatchJob("t", [payload]))),
};

function waysInBulk(name: string, addAll: BulkAdd): [string, Way][] {
  const withSpecs =
    (specOf: (n: number) => JobSpec): Way =>
    (adds, payloads) =>
      addAll(
        adds,
        payloads.map((payload, n) => ({ identifier: "t", payload, spec: specOf(n) })),
      );
  return [
    [`with ${name}`, withSpecs(() => ({}))],
    [`with ${name}, in a queue`, withSpecs(() => ({ queueName: "q" }))],
    [`with ${name}, with keys among them`, withSpecs((n) => (n % 2 === 0 ? { jobKey: `b${n}` } : {}))],
  ];
}

const CHANGES: Readonly<Record<string, string>> = {
  nothing: "",
  "the payload": `new.payload = '{"changed": 12345678901234567890}';`,
  "the priority": "new.priority = 77;",
  "the time": "new.run_at = new.run_at + interval '1 hour';",
  "the attempts that are allowed": "new.max_attempts = 3;",
  "the timeout": "new._howdah_timeout_ms = 5000;",
  "the flags": `new.flags = '{"mark": true}';`,
  "the task": "new.task_id = (select id from howdah._private_tasks where identifier = 'other');",
  "the queue": "new.job_queue_id = (select id from howdah._private_job_queues where queue_name = 'other');",
  "that it has a queue": "new.job_queue_id = null;",
  "the id": "new.id = new.id + 1000000;",
  "the attempts that were made": "new.attempts = 2;",
  "the last error": "new.last_error = 'changed';",
  "the key": "new.key = new.key || 'changed';",
  "that it has a key": "if new.key is null then new.key = 'changed ' || new.id; end if;",
  "the revision": "new.revision = 5;",
  "when it was added": "new.created_at = new.created_at - interval '1 day';",
  "when it was changed": "new.updated_at = new.updated_at + interval '1 second';",
  "when it was locked": "new.locked_at = now();",
  "who has locked it": "new.locked_by = 'changed';",
};

/** Columns that no client is told of, or that follow from others. */
const UNTOLD = [
  "is_available",
  "_howdah_exhausted",
  "_howdah_recoveries",
  "_howdah_detached",
  "_howdah_cancelled",
  "_howdah_released_at",
  "_howdah_group_id",
  "_howdah_awaited",
];

const PAYLOADS = [{ n: 0 }, { n: 1 }, { n: 2 }];

/** Runs adds outside and inside of a transaction that commits. */
const PLACES: Readonly<Record<string, (work: (adds: Adds) => Promise<readonly Job[]>) => Promise<readonly Job[]>>> = {
  outside: (work) => work(client),
  inside: (work) => database.driver.transaction((transaction) => work(client.inTransaction(transaction))),
};

describe("a trigger that changes", () => {
  it("any column that a client is told of is tested here", async () => {
    const columns = await database.sql(`
      select attname::text as name from pg_attribute
      where attrelid = 'howdah._private_jobs'::regclass and attnum > 0 and not attisdropped`);
    const changed = Object.values(CHANGES).flatMap((body) => body.match(/(?<=new\.)\w+(?= =)/g) ?? []);
    const names = columns.map(({ name }) => name as string).filter((name) => !UNTOLD.includes(name));
    expect(names.filter((name) => !changed.includes(name))).toEqual([]);
  });

  for (const [what, body] of Object.entries(CHANGES)) {
    it(`${what}: adds resolve to what is stored`, async () => {
      await withTrigger(body);
      for (const [way, add] of Object.entries(WAYS)) {
        for (const [place, run] of Object.entries(PLACES)) {
          const jobs = await run((adds) => add(adds, PAYLOADS));
          expect(jobs).toHaveLength(PAYLOADS.length);
          const stored = await Promise.all(jobs.map(({ id }) => client.getJob(id)));
          expect([way, place, jobs]).toEqual([way, place, stored]);
          await database.sql("truncate howdah._private_jobs");
        }
      }
    });
  }
});

describe("a trigger that drops", () => {
  const DROPS_SECOND = "if new.payload::text like '%\"n\":1%' then return null; end if;";

  it("all jobs: adds reject, and nothing is stored", async () => {
    await withTrigger("return null;");
    for (const [way, add] of Object.entries(WAYS)) {
      for (const [place, run] of Object.entries(PLACES)) {
        const error = await run((adds) => add(adds, PAYLOADS)).catch((thrown: unknown) => thrown);
        expect([way, place, error]).toEqual([way, place, expect.objectContaining({ code: "HOWDAH_JOB_DROPPED" })]);
        expect((await client.listJobs()).jobs).toEqual([]);
      }
    }
  });

  it("one of several single adds: that one rejects, the others are stored", async () => {
    await withTrigger(DROPS_SECOND);
    for (const spec of [{}, { queueName: "q" }, { flags: ["f"] }]) {
      const results = await Promise.allSettled(PAYLOADS.map((payload) => client.addJob("t", payload, spec)));
      expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(results[1]).toMatchObject({ reason: { code: "HOWDAH_JOB_DROPPED" } });
      expect((await client.listJobs()).jobs).toHaveLength(2);
      await database.sql("truncate howdah._private_jobs");
    }
  });

  it.each(BULK_ADDS)("some jobs of %s: it rejects whole, and names their places", async (_, addAll) => {
    await withTrigger("if (new.payload->>'n')::integer % 7 = 3 then return null; end if;");
    const specs: readonly ((n: number) => JobSpec)[] = [
      () => ({}),
      () => ({ queueName: "q" }),
      (n) => ({ jobKey: `k${n}` }),
    ];
    for (const specOf of specs) {
      const jobs = Array.from({ length: 20 }, (_item, n) => ({ identifier: "t", payload: { n }, spec: specOf(n) }));
      await expect(addAll(client, jobs)).rejects.toMatchObject({
        code: "HOWDAH_JOB_DROPPED",
        message: expect.stringContaining("jobs[3], jobs[10], jobs[17] from") as string,
      });
    }
    expect((await client.listJobs()).jobs).toEqual([]);
  });

  it.each(BULK_ADDS)(
    "a job of %s only the first time: it rejects all the same, and nothing is stored",
    async (_, addAll) => {
      await database.sql("create sequence public.seen");
      await withTrigger("if nextval('public.seen') = 2 then return null; end if;");
      const jobs = PAYLOADS.map((payload) => ({ identifier: "t", payload }));
      await expect(addAll(client, jobs)).rejects.toMatchObject({ code: "HOWDAH_JOB_DROPPED" });
      expect((await client.listJobs()).jobs).toEqual([]);
      await database.sql("drop sequence public.seen cascade");
    },
  );

  it("a job of a schedule that is triggered by hand: that rejects", async () => {
    await withTrigger("return null;");
    await client.schedules.upsert({ id: "s", task: "t", schedule: "0 0 1 1 *" });
    await expect(client.schedules.trigger("s")).rejects.toMatchObject({ code: "HOWDAH_JOB_DROPPED" });
  });
});

describe("a trigger that raises", () => {
  it.each([
    ["P0001", "raise exception 'no';"],
    ["42P01", "perform from public.not_there;"],
    ["42883", "perform public.not_there();"],
    ["3F000", "perform nowhere.not_there();"],
    ["23514", "raise exception 'no' using errcode = '23514';"],
  ])("%s: adds reject with that error", async (code, body) => {
    await withTrigger(body);
    for (const [way, add] of Object.entries(WAYS)) {
      const error = await add(client, PAYLOADS).catch((thrown: unknown) => thrown);
      expect([way, error]).toMatchObject([way, { code: "HOWDAH_DATABASE_ERROR", cause: { code } }]);
    }
    expect((await client.listJobs()).jobs).toEqual([]);
  });
});

describe("an after trigger that removes a job, where a before trigger changes all", () => {
  beforeEach(async () => {
    await withTrigger("new.priority := 7;");
    await database.sql(`
      create function public.user_trigger_after() returns trigger language plpgsql as $$ begin
        delete from howdah._private_jobs where id = new.id and payload::text like '%remove%'; return null; end $$;
      create trigger user_trigger_after after insert on howdah._private_jobs
        for each row execute function public.user_trigger_after();
    `);
    return () => database.sql("drop function if exists public.user_trigger_after() cascade");
  });

  it.each(
    BULK_ADDS.flatMap(([name, addAll]) => [
      { way: `${name} without keys`, addAll, specOf: (): JobSpec => ({}) },
      { way: `${name} in a queue`, addAll, specOf: (): JobSpec => ({ queueName: "q" }) },
      { way: `${name} with keys`, addAll, specOf: (place: number): JobSpec => ({ jobKey: String(place) }) },
    ]),
  )("$way rejects whole and names the place, and no job takes that of another", async ({ addAll, specOf }) => {
    const payloads = ["a", "remove", "b"];
    const jobs = payloads.map((payload, place) => ({ identifier: "t", payload, spec: specOf(place) }));
    await expect(addAll(client, jobs)).rejects.toMatchObject({
      code: "HOWDAH_JOB_DROPPED",
      message: expect.stringContaining("jobs[1]") as string,
    });
    expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
  });

  it("of single adds that share a statement that one rejects, and the others are stored", async () => {
    const results = await Promise.allSettled(
      ["a", "remove", "b", "c"].map((payload) => client.addJob("t", payload, { queueName: "q" })),
    );
    expect(results.map((result) => (result.status === "fulfilled" ? result.value.payload : result.reason))).toEqual([
      "a",
      expect.objectContaining({ code: "HOWDAH_JOB_DROPPED" }),
      "b",
      "c",
    ]);
  });
});
