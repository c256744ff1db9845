import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client, TransactionClient } from "../../../src/client/client.ts";
import { type ClientOptions, createClient } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// Whatever waits for an open transaction of an application waits without a
// connection: other calls of the same client, and a worker, go on.
let database: TestDatabase;
let client: Client;
let session: pg.Client;

const CONNECTIONS = 10;
const MANY = 3 * CONNECTIONS;

async function openClient(options: ClientOptions = {}): Promise<Client> {
  const { connectionString } = database;
  return createClient({
    connectionString,
    maxConnections: CONNECTIONS,
    migrate: false,
    logger: silentLogger,
    ...options,
  });
}

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  client = await openClient();
  await client.addJob("known", {}, { queueName: "known" });
  session = new pg.Client(database.connectionString);
  await session.connect();
  await session.query("begin");
});

afterEach(async () => {
  await session.query("rollback");
  await session.end();
  await client.close();
  await database.sql("drop function if exists public.user_trigger() cascade");
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks");
});

afterAll(async () => {
  await database.drop();
});

/** A way to call that has to wait for a transaction in which something else was called. */
interface Way {
  readonly title: string;
  /** What the open transaction does. */
  hold(inside: TransactionClient, ids: readonly string[]): Promise<unknown>;
  /** The `n`-th call that has to wait for it. */
  wait(outside: Client, n: number, ids: readonly string[]): Promise<unknown>;
  /** How many jobs there are when all of them got through, beside those of before; default all calls and the held one. */
  readonly stored?: number;
}

const IDS = { returning: "ids" } as const;
const key = { jobKey: "k" };
const far = { runAt: "2100-01-01T00:00:00Z" };
const later = { runAt: "2099-01-01T00:00:00Z" };
const WAYS: readonly Way[] = [
  {
    title: "single adds with the same key",
    hold: (inside) => inside.addJob("known", { n: -1 }, key),
    wait: (outside, n) => outside.addJob("known", { n }, key),
    stored: 1,
  },
  {
    title: "single adds with keys of their own",
    hold: (inside) =>
      inside.addJobs(Array.from({ length: MANY }, (_, n) => ({ identifier: "known", spec: { jobKey: `k${n}` } }))),
    wait: (outside, n) => outside.addJob("known", { n }, { jobKey: `k${n}` }),
    stored: MANY,
  },
  {
    title: "adds of a new queue",
    hold: (inside) => inside.addJob("known", {}, { queueName: "new" }),
    wait: (outside, n) => outside.addJob("known", { n }, { queueName: "new" }),
  },
  {
    title: "adds of a new task",
    hold: (inside) => inside.addJob("new"),
    wait: (outside, n) => outside.addJob("new", { n }),
  },
  {
    title: "adds of a new task that have keys of their own",
    hold: (inside) => inside.addJob("new"),
    wait: (outside, n) => outside.addJob("new", { n }, { jobKey: `k${n}` }),
  },
  {
    title: "bulk adds of a new queue",
    hold: (inside) => inside.addJob("known", {}, { queueName: "new" }),
    wait: (outside, n) => outside.addJobs([{ identifier: "known", payload: { n }, spec: { queueName: "new" } }]),
  },
  {
    title: "bulk adds of a new queue, for ids",
    hold: (inside) => inside.addJob("known", {}, { queueName: "new" }),
    wait: (outside, n) => outside.addJobs([{ identifier: "known", payload: { n }, spec: { queueName: "new" } }], IDS),
  },
  {
    title: "bulk adds of a new task, for ids",
    hold: (inside) => inside.addJobs([{ identifier: "new" }], IDS),
    wait: (outside, n) => outside.addJobs([{ identifier: "new", payload: { n } }], IDS),
  },
  {
    title: "bulk adds with the same key, for ids",
    hold: (inside) => inside.addJobs([{ identifier: "known", payload: { n: -1 }, spec: key }], IDS),
    wait: (outside, n) => outside.addJobs([{ identifier: "known", payload: { n }, spec: key }], IDS),
    stored: 1,
  },
  {
    title: "bulk adds with the same key",
    hold: (inside) => inside.addJob("known", { n: -1 }, key),
    wait: (outside, n) => outside.addJobs([{ identifier: "known", payload: { n }, spec: key }]),
    stored: 1,
  },
  {
    title: "batch jobs with the same key",
    hold: (inside) => inside.addBatchJob("known", [-1], key),
    wait: (outside, n) => outside.addBatchJob("known", [n], key),
    stored: 1,
  },
  {
    title: "removals by key",
    hold: (inside) => inside.addJob("known", {}, key),
    wait: (outside) => outside.removeJob("k"),
    stored: 0,
  },
  {
    title: "reschedules",
    hold: (inside, ids) => inside.rescheduleJobs(ids, { priority: 1 }),
    wait: (outside, n, ids) => outside.rescheduleJobs(ids, { priority: n }),
    stored: 0,
  },
  {
    title: "completions and failures by id",
    hold: (inside, ids) => inside.rescheduleJobs(ids, { priority: 1 }),
    wait: (outside, n, ids) => (n % 2 === 0 ? outside.completeJobs(ids) : outside.permanentlyFailJobs(ids)),
    stored: -1,
  },
  {
    title: "cancellations",
    hold: (inside, ids) => inside.rescheduleJobs(ids, { priority: 1 }),
    wait: (outside, _, ids) => outside.cancelJobs(ids),
    stored: -1,
  },
  {
    title: "pauses of a new queue",
    hold: (inside) => inside.addJob("known", {}, { queueName: "new" }),
    wait: (outside) => outside.pauseQueue("new"),
    stored: 1,
  },
  {
    title: "pauses of a task",
    hold: (inside) => inside.pauseTask("known"),
    wait: (outside) => outside.pauseTask("known"),
    stored: 0,
  },
  {
    title: "changes of a schedule",
    hold: (inside) => inside.schedules.upsert({ id: "s", task: "known", schedule: "0 0 1 1 *" }),
    wait: (outside) => outside.schedules.upsert({ id: "s", task: "known", schedule: "0 0 1 1 *" }),
    stored: 0,
  },
  {
    title: "adds that wait in a trigger of a user",
    async hold() {
      await session.query("rollback");
      await session.query(`
        create function public.user_trigger() returns trigger language plpgsql as $$ begin
          if new.payload->>'n' is not null then perform pg_advisory_xact_lock(4711); end if; return new;
        end $$;
        create trigger user_trigger before insert on howdah._private_jobs
          for each row execute function public.user_trigger()`);
      await session.query("begin");
      await session.query("select pg_advisory_xact_lock(4711)");
    },
    wait: (outside, n) => outside.addJob("known", { n }),
    stored: MANY,
  },
];

/** What has nothing to do with any of the ways. */
async function others(outside: Client, id: string): Promise<void> {
  await outside.addJob("known", {}, { queueName: "known", ...later });
  await outside.addJob("other", {}, { queueName: "other", jobKey: "other", ...later });
  await outside.addJobs([{ identifier: "known", spec: later }]);
  await outside.addJobs([{ identifier: "known", spec: later }], IDS);
  await outside.removeJob("other");
  await outside.getJob(id);
  await outside.listQueues();
  const { jobs } = await outside.listJobs();
  await outside.completeJobs(jobs.filter((job) => job.runAt.getUTCFullYear() === 2099).map((job) => job.id));
}

const count = async (): Promise<number> =>
  Number((await database.sql("select count(*) from howdah._private_jobs"))[0]?.["count"]);

/** Resolves once one of them waits for a lock in the server. */
async function tried(): Promise<void> {
  await until(async () => {
    const [row] = await database.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return row !== undefined;
  });
}

describe("while many calls wait for an open transaction", () => {
  for (const { title, hold, wait, stored = MANY + 1 } of WAYS) {
    it(`others go on, and all get through when it ends: ${title}`, async () => {
      const ids = (await client.addJobs(Array.from({ length: 3 }, () => ({ identifier: "known", spec: far })))).map(
        (job) => job.id,
      );
      await hold(client.inTransaction(session), ids);
      const before = await count();
      const waiting = Array.from({ length: MANY }, (_, n) => wait(client, n, ids));
      const settled = Promise.allSettled(waiting);
      await tried();
      let done = 0;
      for (const call of waiting)
        void call.then(
          () => (done += 1),
          () => undefined,
        );
      for (let round = 0; round < 3; round++) await others(client, ids[0] ?? "");
      expect(done).toBe(0);
      await session.query("commit");
      expect((await settled).filter(({ status }) => status === "rejected")).toEqual([]);
      if (stored >= 0) expect(await count()).toBe(before + stored);
    });
  }

  it("so do they within a pool of two connections, which is what is left of them", async () => {
    await using small = await openClient({ maxConnections: 2 });
    await client.inTransaction(session).addJob("known", {}, key);
    const waiting = Array.from({ length: MANY }, (_, n) => small.addJob("known", { n }, key));
    await tried();
    const { id } = await small.addJob("known");
    await others(small, id);
    await session.query("commit");
    expect(await Promise.all(waiting)).toHaveLength(MANY);
  });
});

describe("calls that wait", () => {
  it("keep their order within a key: with `replace` the last one counts", async () => {
    await client.inTransaction(session).addJob("known", { n: -1 }, key);
    const waiting: Promise<unknown>[] = [];
    for (let n = 0; n < MANY; n++) {
      const n1 = { n };
      const bulk = [{ identifier: "known", payload: n1, spec: key }];
      if (n % 3 === 0) waiting.push(client.addJobs(bulk));
      else waiting.push(n % 3 === 1 ? client.addJobs(bulk, IDS) : client.addJob("known", n1, key));
    }
    await tried();
    await session.query("commit");
    await Promise.all(waiting);
    const { jobs } = await client.listJobs({ jobKey: "k" });
    expect(jobs).toMatchObject([{ payload: { n: MANY - 1 }, revision: MANY }]);
  });

  it("keep their order within a key when no transaction makes them wait", async () => {
    const calls = Array.from({ length: MANY }, (_, n) => client.addJob("known", { n }, key));
    await Promise.all(calls);
    const { jobs } = await client.listJobs({ jobKey: "k" });
    expect(jobs).toMatchObject([{ payload: { n: MANY - 1 }, revision: MANY - 1 }]);
  });

  it("do not hold up another key, queue or task, however many they are", async () => {
    const inside = client.inTransaction(session);
    const names = Array.from({ length: MANY }, (_, n) => String(n));
    await inside.addJobs(names.map((name) => ({ identifier: `t${name}`, spec: { queueName: name, jobKey: name } })));
    const waiting = names.flatMap((name) => [
      client.addJob("known", {}, { jobKey: name }),
      client.addJob("known", {}, { queueName: name }),
      client.addJob(`t${name}`),
    ]);
    await tried();
    await client.addJob("known", {}, { jobKey: "free" });
    await client.addJob("known", {}, { queueName: "free" });
    await client.addJob("free");
    await session.query("commit");
    expect(await Promise.all(waiting)).toHaveLength(3 * MANY);
  });

  it("give up after `statementTimeout` with a code, and then nothing is stored", async () => {
    await using hasty = await openClient({ statementTimeout: 500 });
    await client.inTransaction(session).addJob("known", { n: -1 }, { ...key, queueName: "new" });
    const calls = [
      hasty.addJob("known", { n: 1 }, key),
      hasty.addJob("known", { n: 2 }, key),
      hasty.addJob("known", { n: 3 }, { queueName: "new" }),
      hasty.addJobs([{ identifier: "known", spec: key }]),
      hasty.addJobs([{ identifier: "known", spec: key }], IDS),
      hasty.addJobs([{ identifier: "known", spec: { queueName: "new" } }], IDS),
      hasty.removeJob("k"),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result.status === "rejected" && isHowdahError(result.reason, "HOWDAH_QUERY_TIMEOUT")).toBe(true);
    }
    await session.query("commit");
    expect((await client.listJobs({ jobKey: "k" })).jobs).toMatchObject([{ payload: { n: -1 }, revision: 0 }]);
    expect((await client.listJobs({ queueName: "new" })).jobs).toHaveLength(1);
  });

  it("are not repeated when a trigger of a user was told not to wait", async () => {
    await session.query("rollback");
    await session.query(`
      create sequence public.tries;
      create function public.user_trigger() returns trigger language plpgsql as $$ begin
        perform nextval('public.tries');
        raise exception 'no waiting' using errcode = '55P03';
      end $$;
      create trigger user_trigger before insert on howdah._private_jobs
        for each row execute function public.user_trigger()`);
    await session.query("begin");
    await expect(client.addJob("known")).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_ERROR",
      cause: { code: "55P03" },
    });
    expect(await database.sql("select last_value::integer from public.tries")).toEqual([{ last_value: 1 }]);
    await database.sql("drop sequence public.tries");
  });
});

describe("a worker whose handlers wait for an open transaction", () => {
  for (const concurrency of [CONNECTIONS, MANY]) {
    it(`claims, releases and beats as ever, with ${concurrency} of them`, async () => {
      await client.inTransaction(session).addJob("known", { n: -1 }, key);
      const waits = defineTask({
        identifier: "waits",
        async run({ n }: { n: number }, context) {
          await context.client.addJob("known", { n }, n % 2 === 0 ? key : { jobKey: "k" });
        },
      });
      const quick = defineTask({ identifier: "quick", run() {} });
      const batch = defineBatchTask({ identifier: "batch", runBatch() {} });
      await using worker = await createTestWorker(database, {
        tasks: [waits, quick, batch],
        concurrency: concurrency + 1,
        pollInterval: "50ms",
        useNotificationDelivery: false,
        maxConnections: CONNECTIONS,
      });
      const started = record(worker.hooks, "jobStart");
      const completed = record(worker.hooks, "jobComplete");
      const running = worker.run();
      await client.addJobs(Array.from({ length: concurrency }, (_, n) => ({ task: waits, payload: { n } })));
      await started.reach(concurrency);
      await tried();
      const beat = async (): Promise<unknown> =>
        (await database.sql("select max(last_heartbeat_at)::text as at from howdah._private_workers"))[0]?.["at"];
      const before = await beat();
      for (let n = 0; n < 5; n++) await client.addJob(quick);
      await completed.reach(5);
      await until(async () => (await beat()) !== before, { message: "a beat", deadlineMs: 20_000 });
      expect(completed.events.map(({ job }) => job.task)).toEqual(Array.from({ length: 5 }, () => "quick"));
      await session.query("commit");
      await completed.reach(5 + concurrency);
      await worker.stop();
      await running;
    });
  }
});
