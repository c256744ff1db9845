import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { type ClientOptions, createClient } from "../../../src/client/create-client.ts";
import type { ScheduleResult } from "../../../src/hooks/interceptors.ts";
import type { Job, JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Query } from "../../../src/postgres/driver.ts";
import { sqlStateOf } from "../../../src/postgres/sqlstate.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createLossyDriver } from "../../harness/lossy-driver.ts";
import { type CatchPoint, openProxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// Adds of one turn share a statement, and so do those that come while two
// statements are under way.
let database: TestDatabase;
let client: Client;
/** The statements that added jobs, as "alone" or "together". */
let statements: string[] = [];

/** A statement that adds one job. */
const ALONE = /_howdah_add_(plain_)?job_v1/;

/** A client that keeps a record of its adds; jobs of task "t" can be joined. */
async function openClient(options: ClientOptions = {}): Promise<Client> {
  const { driver } = database;
  const recording = Object.create(driver, {
    share: { value: undefined },
    query: {
      value: (query: Parameters<typeof driver.query>[0]) => {
        if (query.text.includes("_howdah_add_jobs_without_keys_v2")) statements.push("together");
        else if (ALONE.test(query.text)) statements.push("alone");
        return driver.query(query);
      },
    },
  }) as typeof driver;
  const opened = await createClient({ driver: recording, migrate: false, logger: silentLogger, ...options });
  await introduce(opened);
  return opened;
}

/** Stores jobs of task "t" in these queues, so that more of them can be joined, and forgets that. */
async function introduce(to: Client, ...queueNames: string[]): Promise<void> {
  await to.addJob("t");
  for (const queueName of queueNames) await to.addJob("t", {}, { queueName });
  await database.sql("delete from howdah._private_jobs");
  statements = [];
}

/** Adds jobs with these specs at the same moment, the position of each its payload. */
function addAtOnce(to: Pick<Client, "addJob">, specs: readonly JobSpec[]): Promise<Job<unknown>>[] {
  return specs.map((spec, n) => to.addJob("t", { n }, spec));
}

const times = (count: number): JobSpec[] => Array.from({ length: count }, () => ({}));

async function stored(): Promise<{ id: string; n: number }[]> {
  const rows = await database.sql(
    "select id::text, (payload->>'n')::integer as n from howdah._private_jobs order by id",
  );
  return rows as { id: string; n: number }[];
}

/** Calls a function of the trigger for every row that is inserted. */
async function withTrigger(body: string): Promise<void> {
  await database.sql(`
    create function public.user_trigger() returns trigger language plpgsql as $$ begin ${body} return new; end $$;
    create trigger user_trigger before insert on howdah._private_jobs for each row execute function public.user_trigger();
  `);
}

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  client = await openClient();
});

afterEach(async () => {
  await client.close();
  await database.sql("drop function if exists public.user_trigger() cascade");
  await database.sql("delete from howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

describe("adds at the same moment", () => {
  it("share statements, and each resolves to its own job as it was stored", async () => {
    await introduce(client, "a", "b");
    const specs: JobSpec[] = [
      {},
      {},
      { priority: 7 },
      { runAt: new Date(Date.UTC(2100, 0)) },
      { queueName: "a", maxAttempts: 3 },
      { flags: ["red", "blue"] },
      { timeout: "2s" },
      { queueName: "b", runAt: "2020-01-01T00:00:00.000001Z", priority: -3, flags: ["red"], maxAttempts: 1 },
    ];
    const jobs = await Promise.all(addAtOnce(client, specs));
    expect(statements).toEqual(["together"]);
    expect(jobs.map(({ payload }) => payload)).toEqual(specs.map((_, n) => ({ n })));
    expect(jobs[2]).toMatchObject({ priority: 7, state: "ready" });
    expect(jobs[3]).toMatchObject({ runAt: new Date(Date.UTC(2100, 0)), state: "scheduled" });
    expect(jobs[4]).toMatchObject({ queueName: "a", maxAttempts: 3 });
    expect(jobs[6]).toMatchObject({ timeoutMs: 2_000 });
    for (const job of jobs) expect(await client.getJob(job.id)).toEqual(job);
  });

  it("without flags among them share statements just so", async () => {
    await introduce(client, "a");
    const specs = times(9).map((_, n): JobSpec => (n % 3 === 0 ? { queueName: "a", runAt: `20${20 + n}-01-01` } : {}));
    const jobs = await Promise.all(addAtOnce(client, specs));
    expect(statements).toEqual(["together"]);
    for (const job of jobs) expect(await client.getJob(job.id)).toEqual(job);
  });

  it("of many producers are stored once each, told of, and in the order of each producer", async () => {
    const task = defineTask({ identifier: "t", run() {} });
    await using worker = await createTestWorker(database, { tasks: [task], pollInterval: "1h", concurrency: 4 });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    const PRODUCERS = 32;
    const EACH = 20;
    const ids = await Promise.all(
      Array.from({ length: PRODUCERS }, async (_, producer) => {
        const mine: string[] = [];
        for (let n = 0; n < EACH; n++) mine.push((await client.addJob("t", { n: producer * EACH + n })).id);
        return mine;
      }),
    );
    await completed.reach(PRODUCERS * EACH);
    await worker.stop();
    await running;
    expect(statements.length).toBeLessThan(PRODUCERS * EACH);
    for (const mine of ids) expect(mine).toEqual(mine.toSorted((a, b) => Number(a) - Number(b)));
    const run = completed.events.map(({ job }) => (job.payload as { n: number }).n);
    expect(run.toSorted((a, b) => a - b)).toEqual(Array.from({ length: PRODUCERS * EACH }, (_, n) => n));
    expect(new Set(ids.flat()).size).toBe(PRODUCERS * EACH);
  });

  it("are all stored when the client is closed in the middle, and told of before close() resolves", async () => {
    const listener = await database.connect();
    let told = 0;
    listener.on("notification", ({ payload }) => (told += (JSON.parse(payload ?? "") as { count: number }).count));
    await listener.query('listen "jobs:insert"');
    const closing = await openClient();
    await until(() => told === 1);
    const adding = Promise.all(addAtOnce(closing, times(50)));
    await closing.close();
    expect(new Set((await adding).map(({ id }) => id))).toEqual(new Set((await stored()).map(({ id }) => id)));
    expect(await stored()).toHaveLength(50);
    await until(() => told === 51, { message: "51 jobs to be told of" });
    await expect(closing.addJob("t")).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });

  it("inside of a transaction, or with keys, keep statements of their own", async () => {
    await database.driver.transaction(async (transaction) => {
      const texts: string[] = [];
      let last: Promise<unknown> = Promise.resolve();
      const inside = client.inTransaction({
        query(query: Query) {
          texts.push(query.text);
          const answer = last.then(() => transaction.query(query));
          last = answer;
          return answer;
        },
      });
      await Promise.all(addAtOnce(inside, times(6)));
      expect(texts.filter((text) => ALONE.test(text))).toHaveLength(6);
    });
    await Promise.all(
      addAtOnce(
        client,
        times(6).map((_, n) => ({ jobKey: `k${n}` })),
      ),
    );
    expect(statements).toEqual(Array.from({ length: 6 }, () => "alone"));
  });

  it("tell the interceptors of each its own id", async () => {
    const results: ScheduleResult[] = [];
    await using asking = await openClient({
      hooks: { beforeJobSchedule: ({ call }) => call.whenEnded((result) => results.push(result)) },
    });
    results.length = 0;
    const jobs = await Promise.all(addAtOnce(asking, times(10)));
    expect(statements).toEqual(["together"]);
    const ended = results.flatMap((result) => ("jobIds" in result ? result.jobIds : []));
    expect(new Set(ended)).toEqual(new Set(jobs.map(({ id }) => id)));
    expect(results).toHaveLength(10);
  });
});

describe("an add that PostgreSQL refuses", () => {
  it.each([
    [
      "by a trigger",
      "if new.payload->>'n' = '5' then raise exception 'not five'; end if;",
      { code: "HOWDAH_DATABASE_ERROR", cause: { code: "P0001" } },
    ],
    [
      "by a constraint",
      "if new.payload->>'n' = '5' then new.max_attempts := 0; end if;",
      { code: "HOWDAH_DATABASE_ERROR", cause: { code: "23514" } },
    ],
    [
      "when it commits",
      "if new.payload->>'n' = '5' then insert into public.pairs values (5), (5); end if;",
      { code: "HOWDAH_DATABASE_ERROR", cause: { code: "23505" } },
    ],
  ])("%s does not fail the others that share its statement", async (_, body, error) => {
    await database.sql("create table public.pairs (n integer unique deferrable initially deferred)");
    await withTrigger(body);
    const results = await Promise.allSettled(addAtOnce(client, times(20)));
    await database.sql("drop table public.pairs");
    expect(results.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([5]);
    expect(results[5]).toMatchObject({ reason: error });
    expect((await stored()).map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(
      times(20).flatMap((__, n) => (n === 5 ? [] : n)),
    );
    // All of them, and then each alone.
    expect(statements).toEqual(["together", ...times(20).map(() => "alone")]);
  });

  it.each("22012 23514 28000 42501 42883 42P01 0A000 53400 55000 P0001 PT400 TT001 XX000".split(" "))(
    "with %s does not fail the others that share its statement, whatever the code means elsewhere",
    async (state) => {
      await withTrigger(`if new.payload->>'n' = '2' then raise exception 'no' using errcode = '${state}'; end if;`);
      const results = await Promise.allSettled(addAtOnce(client, times(4)));
      expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
      expect((await stored()).map(({ n }) => n).toSorted((a, b) => a - b)).toEqual([0, 1, 3]);
    },
  );

  it("because of its payload says so in the same words as ever", async () => {
    let nested: unknown = 1;
    for (let level = 0; level < 7_000; level++) nested = [nested];
    const [good, , , bad] = await Promise.allSettled([
      ...addAtOnce(client, times(3)),
      client.addJob("t", nested),
      client.addJob("t"),
    ]);
    expect(statements[0]).toBe("together");
    expect(good).toMatchObject({ status: "fulfilled" });
    expect(bad).toMatchObject({ reason: { code: "HOWDAH_PAYLOAD_INVALID", message: /more levels than PostgreSQL/ } });
    expect(await stored()).toHaveLength(4);
  });

  it("nor one that a trigger changes or keeps from being stored gives the others a wrong answer", async () => {
    await withTrigger(`
      if new.payload->>'n' = '5' then return null; end if;
      if new.payload->>'n' = '12' then new.run_at := '2100-01-01 00:00:00Z'; end if;
    `);
    const results = await Promise.allSettled(addAtOnce(client, times(14)));
    expect(statements).toContain("together");
    for (const { id, n } of await stored()) expect(results[n]).toMatchObject({ value: { id } });
    expect(await stored()).toHaveLength(13);
    expect(results[5]).toMatchObject({ reason: { code: "HOWDAH_JOB_DROPPED" } });
    expect(results[12]).toMatchObject({ value: { runAt: new Date(Date.UTC(2100, 0)), state: "scheduled" } });
  });

  it("and that shares a statement whose rows a trigger changes is told of them as they were stored", async () => {
    await withTrigger("if new.payload->>'n' = '3' then new.run_at := '2100-01-01 00:00:00Z'; end if;");
    const jobs = await Promise.all(addAtOnce(client, times(6)));
    expect(statements).toEqual(["together"]);
    for (const job of jobs) expect(await client.getJob(job.id)).toEqual(job);
    expect(jobs.map(({ state }) => state)).toEqual(times(6).map((_, n) => (n === 3 ? "scheduled" : "ready")));
  });
});

describe("an add that has to wait for another transaction", () => {
  it("because its queue is just being added holds up no others", async () => {
    const session = await database.connect();
    await session.query("begin; select howdah.add_job('other', queue_name => 'new')");
    const waiting = addAtOnce(
      client,
      times(5).map(() => ({ queueName: "new" })),
    );
    await blockedBy(database, session);
    expect(await Promise.all(addAtOnce(client, times(40)))).toHaveLength(40);
    await session.query("commit");
    expect(await Promise.all(waiting)).toHaveLength(5);
    expect(new Set((await stored()).map(({ id }) => id)).size).toBe(46);
  });

  it("because its queue was cleaned up and is just being added anew holds up no others", async () => {
    await introduce(client, "gone");
    await database.sql("delete from howdah._private_job_queues");
    const session = await database.connect();
    await session.query("begin; select howdah.add_job('other', queue_name => 'gone')");
    const adding = addAtOnce(
      client,
      times(10).map((_, n) => (n === 5 ? { queueName: "gone" } : {})),
    );
    const [waiting] = adding.splice(5, 1);
    expect(await Promise.all(adding)).toHaveLength(9);
    expect(statements[0]).toBe("together");
    await blockedBy(database, session);
    await session.query("commit");
    expect(await waiting).toMatchObject({ queueName: "gone" });
  });

  it("in a trigger of the application holds up no others", async () => {
    await withTrigger("if new.payload->>'n' in ('1', '7') then perform pg_advisory_xact_lock(7); end if;");
    const session = await database.connect();
    await session.query("select pg_advisory_lock(7)");
    const adding = addAtOnce(client, times(30));
    const waiting = [1, 7].map((n) => adding[n] as Promise<Job>);
    expect(await Promise.all(adding.filter((add) => !waiting.includes(add)))).toHaveLength(28);
    expect(await stored()).toHaveLength(28);
    await blockedBy(database, session);
    await session.query("select pg_advisory_unlock(7)");
    expect(await Promise.all(waiting)).toMatchObject([{ payload: { n: 1 } }, { payload: { n: 7 } }]);
  });

  it("twice, and alone, is overtaken by those that come later", async () => {
    await withTrigger("if new.payload->>'n' in ('0', '1') then perform pg_advisory_xact_lock(7); end if;");
    const session = await database.connect();
    await session.query("select pg_advisory_lock(7)");
    const waiting: Promise<Job>[] = [];
    for (const n of [0, 1]) {
      waiting.push(client.addJob("t", { n }));
      await until(() => statements.length === n + 1);
    }
    expect(await Promise.all(times(8).map(() => client.addJob("t")))).toHaveLength(8);
    // The two that wait may have tried again by now, alone.
    expect(statements.filter((statement) => statement === "together")).toHaveLength(1);
    await session.query("select pg_advisory_unlock(7)");
    await Promise.all(waiting);
  });
});

it("adds whose statements are lost in every way are stored once at most, once if they resolve, never if they were refused", async () => {
  let carriedOut = 0;
  let sent = 0;
  const counting = Object.create(database.driver, {
    share: { value: undefined },
    query: { value: (query: Query) => database.driver.query(query).finally(() => (carriedOut += 1)) },
  }) as typeof database.driver;
  const lossy = createLossyDriver(counting, 20_261_122);
  await using unlucky = await openClient({
    driver: {
      ...lossy,
      query(query) {
        sent += 1;
        return lossy.query(query);
      },
    },
  });
  const REFUSED = ["57014", "40001", "53300", "25006", "57P03"];
  const outcomes = new Map<number, "resolved" | "refused" | "unknown">();
  lossy.loseOneIn(3);
  const produce = async (producer: number): Promise<void> => {
    for (let n = producer * 40; n < producer * 40 + 40; n++) {
      await unlucky.addJob("t", { n }).then(
        () => outcomes.set(n, "resolved"),
        (error: unknown) => outcomes.set(n, REFUSED.includes(sqlStateOf(error) ?? "") ? "refused" : "unknown"),
      );
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, producer) => produce(producer)));
  lossy.loseOneIn(0);
  // Some arrive when they are not awaited any more.
  await until(() => carriedOut === sent - lossy.lost.before - lossy.lost.refused);
  const counts = new Map<number, number>();
  for (const { n } of await stored()) counts.set(n, (counts.get(n) ?? 0) + 1);
  for (const [n, outcome] of outcomes) {
    const count = counts.get(n) ?? 0;
    if (outcome === "resolved") expect([n, count]).toEqual([n, 1]);
    else expect([n, count <= (outcome === "refused" ? 0 : 1)]).toEqual([n, true]);
  }
  const seen = [...outcomes.values()];
  expect([seen.length, seen.includes("resolved"), seen.includes("unknown")]).toEqual([480, true, true]);
});

describe.each<[words: string, at: CatchPoint, how: "cut" | "cutClient", storedCount: number]>([
  ["before the server has seen it", "before", "cut", 0],
  ["and it arrives later", "before", "cutClient", 10],
  ["after the commit", "after", "cut", 10],
])("adds whose statement loses its connection, %s,", (_, at, how, storedCount) => {
  it("are told that the result is unknown, each of them, and are not repeated", async () => {
    await using proxy = await openProxy(database.connectionString);
    await using cut = await openClient({ driver: undefined as never, connectionString: proxy.connectionString });
    const breaking = proxy.next("_howdah_add_jobs_without_keys_v2", at).then((caught) => caught[how]());
    const results = await Promise.allSettled(addAtOnce(cut, times(10)));
    await breaking;
    for (const lost of results) expect(lost).toMatchObject({ reason: { code: "HOWDAH_CONNECTION_LOST" } });
    await until(async () => (await stored()).length === storedCount);
    // It goes on over another connection.
    expect(await Promise.all(addAtOnce(cut, times(4)))).toHaveLength(4);
    expect(await stored()).toHaveLength(storedCount + 4);
  });
});
