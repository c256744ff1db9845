import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createClient, createWorker, defineTask, isHowdahError, silentLogger, type Client } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { until } from "../harness/until.ts";
import type { Library, LibraryHandle, OpenLibrary } from "./library.ts";

/** What some libraries round, cut, decode or encode twice. */
const HOSTILE = {
  number: 9007199254740991,
  text: 'quotes " and \\ backslashes, (parentheses), commas, $1 and ? and :name',
  nothing: null,
  empty: "",
  list: [null, "null", true, 1.5],
  lines: "one\ntwo\r\n\ttabs",
  beyond: "ünïcode 🐫",
};

const fault = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "done",
    (error: unknown) => (isHowdahError(error) ? error.code : error),
  );

/** Tests everything that a transaction of a library promises. */
export function describeLibrary(library: Library): void {
  describe(`a transaction of ${library.name}`, () => {
    let database: TestDatabase;
    let client: Client;
    let open: OpenLibrary;
    beforeAll(async () => {
      database = await createDatabase();
      await database.sql("create table orders (id integer primary key check (id < 100 or id > 199))");
      // Refused by the commit.
      await database.sql("create table lines (id integer references orders deferrable initially deferred)");
      await database.sql(`create function refuse() returns trigger language plpgsql as $$
        begin insert into lines values (new.id + 1000); return new; end $$`);
      await database.sql(
        "create trigger refuse after insert on orders for each row when (new.id > 199) execute function refuse()",
      );
      const { connectionString } = database;
      client = await createClient({ connectionString, migrate: false, logger: silentLogger });
      open = await library.open(connectionString);
    });
    afterEach(async () => {
      await database.sql("truncate orders, lines, howdah._private_jobs, howdah._howdah_schedules");
    });
    afterAll(async () => {
      await open.close();
      await client.close();
      await database.drop();
    });

    const ordersAndJobs = async (): Promise<unknown> =>
      (
        await database.sql(
          "select (select coalesce(json_agg(id order by id), '[]') from orders) as orders, (select count(*)::int from howdah._private_jobs) as jobs",
        )
      )[0];

    const inside = <T>(
      work: (jobs: ReturnType<Client["inTransaction"]>, handle: LibraryHandle) => Promise<T>,
    ): Promise<T> => open.transaction((handle) => work(client.inTransaction(handle.given), handle));

    it("stores jobs with its own rows when it commits, and each value as it was given", async () => {
      const runAt = new Date("2030-01-02T03:04:05.678Z");
      const spec = { queueName: "a queue", jobKey: "key", priority: -3, maxAttempts: 4, flags: ["a", "b,c"], runAt };
      const told = await inside(async (jobs, handle) => {
        await handle.insert(1);
        return jobs.addJob("task", HOSTILE, spec);
      });
      expect(await ordersAndJobs()).toEqual({ orders: [1], jobs: 1 });
      expect(told).toMatchObject({ task: "task", payload: HOSTILE, ...spec, flags: ["a", "b,c"] });
      expect(await client.getJob(told.id)).toEqual(told);
    });

    it("stores nothing when it rolls back", async () => {
      const rolledBack = inside(async (jobs, handle) => {
        await handle.insert(1);
        await jobs.addJob("task", HOSTILE);
        await jobs.addJobs([
          { task: "task", payload: {} },
          { task: "task", payload: {}, spec: { jobKey: "k" } },
        ]);
        throw new Error("roll back");
      });
      await expect(rolledBack).rejects.toThrow("roll back");
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 0 });
    });

    it("keeps what was added before a savepoint that is rolled back to, and nothing of what came after it", async () => {
      await inside(async (jobs, handle) => {
        await jobs.addJob("kept", {});
        const undone = handle.savepoint(async (nested) => {
          await client.inTransaction(nested.given).addJob("undone", {});
          throw new Error("undo");
        });
        await expect(undone).rejects.toThrow("undo");
      });
      expect((await client.listJobs()).jobs.map(({ task }) => task)).toEqual(["kept"]);
    });

    it("stores bulk and keyed adds in their order, with what some of them leave out", async () => {
      const told = await inside(async (jobs) => [
        ...(await jobs.addJobs([
          { task: "a", payload: HOSTILE },
          { task: "b", payload: [1, null], spec: { queueName: "q", flags: ["f"], maxAttempts: 2 } },
          { task: "c", payload: {} },
        ])),
        ...(await jobs.addJobs([
          { task: "d", payload: { n: 1 }, spec: { jobKey: "one" } },
          { task: "e", payload: HOSTILE, spec: { jobKey: "two", jobKeyMode: "preserve_run_at" } },
        ])),
        await jobs.addJob("d", { n: 2 }, { jobKey: "one" }),
      ]);
      const found = (await client.listJobs()).jobs;
      expect(found.map(({ task }) => task)).toEqual(["a", "b", "c", "d", "e"]);
      expect(found[3]?.payload).toEqual({ n: 2 });
      expect(found.filter(({ task }) => task !== "d")).toEqual(told.filter(({ task }) => task !== "d"));
    });

    it("counts delays by the clock of the database", async () => {
      await inside(async (jobs) => {
        const job = await jobs.addJob("later", {}, { runIn: "1h" });
        const [one, two] = await jobs.addJobs([
          { task: "later", spec: { runIn: "2h" } },
          { task: "later", spec: { runIn: "3h", jobKey: "k" } },
        ]);
        const delays = [job, one, two].map((added) => Number(added?.runAt) - Number(added?.createdAt));
        expect(delays).toEqual([3_600_000, 7_200_000, 10_800_000]);
        expect(await jobs.rescheduleJobs([job.id], { runIn: 0 })).toMatchObject([{ id: job.id, runAt: job.createdAt }]);
      });
    });

    it("answers the ids of bulk adds, in their order", async () => {
      const given = { a: HOSTILE, b: [1, null], c: "three", d: { n: 4 } };
      const ids = await inside(async (jobs) => {
        const plain = [
          { task: "t", payload: given.a },
          { task: "t", payload: given.b },
        ];
        return [
          ...(await jobs.addJobs(plain, { returning: "ids" })),
          ...(await jobs.addJobs([{ task: "u", payload: given.c, spec: { queueName: "q", runIn: "1h" } }], {
            returning: "ids",
          })),
          ...(await jobs.addJobs([{ task: "u", payload: given.d, spec: { jobKey: "k" } }], { returning: "ids" })),
        ];
      });
      const payloads = await Promise.all(ids.map(async ({ id }) => (await client.getJob(id))?.payload));
      expect(payloads).toEqual(Object.values(given));
    });

    it("reads and changes jobs, queues, tasks and schedules with everything else in it", async () => {
      const { id } = await client.addJob("old", HOSTILE, { queueName: "q" });
      await inside(async (jobs) => {
        const [mine] = await jobs.addJobs([{ task: "new", payload: HOSTILE }]);
        expect((await jobs.listJobs()).jobs.map(({ task }) => task)).toEqual(["old", "new"]);
        expect(await jobs.getJob(mine?.id ?? "")).toEqual(mine);
        const until2030 = new Date("2030-01-01T00:00:00.123Z");
        await jobs.rescheduleJobs([id], { runAt: until2030, priority: 7 });
        expect(await jobs.getJob(id)).toMatchObject({ priority: 7, runAt: until2030, payload: HOSTILE });
        for (const state of [undefined, "ready", "scheduled", "running", "failed"] as const) {
          const filter = { state, payload: {}, error: "$1?", since: "2000-01-01T00:00:00Z", priority: 7 };
          expect((await jobs.listJobs(filter)).jobs).toEqual([]);
          await jobs.listJobs({ state, queueName: "q", limit: 1 });
        }
        const { next: after } = await jobs.listJobs({ limit: 1 });
        expect((await jobs.listJobs({ after, payload: HOSTILE })).jobs).toMatchObject([{ task: "new" }]);
        expect(await jobs.stats()).toMatchObject({ ready: { value: 1, exact: true }, scheduled: { value: 1 } });
        expect((await jobs.stats({ by: "task" })).groups).toHaveLength(2);
        expect((await jobs.listQueues({ search: "q", hasJobs: true })).queues).toMatchObject([{ name: "q" }]);
        expect((await jobs.listErrors({ task: "old" })).errors).toEqual([]);
        await jobs.pauseQueue("q");
        await jobs.pauseTask("old");
        await jobs.schedules.upsert({ id: "nightly", task: "new", schedule: "0 3 * * *", payload: HOSTILE });
        expect((await jobs.schedules.list()).map((schedule) => schedule.id)).toEqual(["nightly"]);
        await jobs.schedules.remove("nightly");
        await jobs.resumeQueue("q");
        await jobs.resumeTask("old");
        await jobs.cancelJobs([id]);
        expect((await jobs.listJobs()).jobs.map(({ task }) => task)).toEqual(["new"]);
      });
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 1 });
    });

    it("goes on after an add that is refused before anything is sent", async () => {
      await inside(async (jobs, handle) => {
        await expect(jobs.addJob("task", {}, { maxAttempts: 0 })).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
        await expect(jobs.addJob("task", { big: 1n })).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
        await handle.insert(1);
        await jobs.addJob("task", {});
      });
      expect(await ordersAndJobs()).toEqual({ orders: [1], jobs: 1 });
    });

    it("stores nothing once it has ended, and says so", async () => {
      const kept: { jobs?: ReturnType<Client["inTransaction"]> } = {};
      await inside(async (jobs) => {
        kept.jobs = jobs;
        await jobs.addJob("task", {});
      });
      const late = await fault(kept.jobs?.addJob("late", {}) ?? Promise.resolve());
      expect(late).toBe("HOWDAH_TRANSACTION_ENDED");
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 1 });
    });

    it("either stores a call that is not awaited before the commit, or refuses it", async () => {
      let call: Promise<unknown> = Promise.resolve();
      await inside(async (jobs) => {
        call = fault(jobs.addJob("task", {}));
      });
      const outcome = await call;
      // Where nothing tells that it was a transaction, that it has ended is not known either.
      const refused = expect.stringMatching(/^HOWDAH_(?:TRANSACTION_ENDED|OPTION_INVALID)$/) as unknown;
      expect(outcome).toEqual(library.unawaited === "stored" ? "done" : refused);
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: outcome === "done" ? 1 : 0 });
    });

    it("is not mistaken for what is none", async () => {
      for (const given of open.noTransactions) {
        const call = (async () => client.inTransaction(given as never).addJob("task", {}))();
        expect(await fault(call)).toBe("HOWDAH_OPTION_INVALID");
      }
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 0 });
    });

    it.skipIf(library.diesOfLostConnection)(
      "stores nothing when its connection is lost before the commit",
      async () => {
        const lost = inside(async (jobs, handle) => {
          await handle.insert(1);
          await jobs.addJob("task", {});
          const pid = await handle.pid();
          await database.sql("select pg_terminate_backend($1)", [pid]);
          await until(
            async () => (await database.sql("select from pg_stat_activity where pid = $1", [pid])).length === 0,
          );
          await jobs.addJob("task", {});
        });
        await expect(lost).rejects.toThrow(/terminat|connection|closed|ended|failed query|ECONNRESET/i);
        expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 0 });
      },
    );

    it("stores nothing after a commit that has failed", async () => {
      const kept: { jobs?: ReturnType<Client["inTransaction"]>; handle?: LibraryHandle } = {};
      const failed = inside(async (jobs, handle) => {
        Object.assign(kept, { jobs, handle });
        await jobs.addJob("task", {});
        await handle.insert(200);
      });
      await expect(failed).rejects.toThrow(/foreign ?key|failed query: commit/i);
      expect(await fault(kept.jobs?.addJob("late", {}) ?? Promise.resolve())).not.toBe("done");
      const again = (async () => client.inTransaction(kept.handle?.given as never).addJob("late", {}))();
      expect(await fault(again)).not.toBe("done");
      expect(await ordersAndJobs()).toEqual({ orders: [], jobs: 0 });
    });

    it.skipIf(library.isReusedUnseen)("does no harm, late, to the next transaction on its connection", async () => {
      const kept: { jobs?: ReturnType<Client["inTransaction"]> } = {};
      await inside(async (jobs) => {
        kept.jobs = jobs;
        await jobs.addJob("task", {});
      });
      await open.transaction(async (next) => {
        await next.insert(1);
        expect(await fault(kept.jobs?.addJob("late", {}) ?? Promise.resolve())).toBe("HOWDAH_TRANSACTION_ENDED");
      });
      expect(await ordersAndJobs()).toEqual({ orders: [1], jobs: 1 });
    });

    it.skipIf(library.rejectsCaughtErrors)(
      "goes on in the transaction after a savepoint in which everything failed",
      async () => {
        await inside(async (jobs, handle) => {
          const undone = handle.savepoint(async (nested) => {
            await nested.insert(100).then(undefined, () => undefined);
            await jobs.addJob("undone", {}).catch(() => undefined);
            throw new Error("undo");
          });
          await expect(undone).rejects.toThrow("undo");
          await jobs.addJob("kept", {});
        });
        expect((await client.listJobs()).jobs.map(({ task }) => task)).toEqual(["kept"]);
      },
    );

    it("passes on what the server says, and no payload", async () => {
      await database.sql(`create function fail() returns trigger language plpgsql as $$
        begin raise exception 'told by a trigger' using errcode = '40001'; end $$;
        create trigger fail before insert on howdah._private_jobs for each row execute function fail()`);
      const failed = inside(async (jobs) => jobs.addJob("task", { secret: "S3CRET" }));
      const error: unknown = await failed.catch((caught: unknown) => caught);
      await database.sql("drop function fail cascade");
      expect(isHowdahError(error) && error.message).toMatch(/told by a trigger.*40001|40001.*told by a trigger/s);
      expect(isHowdahError(error) && error.message).not.toContain("S3CRET");
    });

    it("uses a schema whatever it is called", async () => {
      const schema = 'a "schema" \\ with ?, :howdah_1 and $1';
      const { connectionString } = database;
      await using other = await createClient({ connectionString, schema, logger: silentLogger });
      const stored = await open.transaction((handle) => other.inTransaction(handle.given).addJob("task", HOSTILE));
      expect(await other.getJob(stored.id)).toMatchObject({ task: "task", payload: HOSTILE });
    });

    it("asks schemas and interceptors that answer later, and stores what they made of the payload", async () => {
      const { connectionString } = database;
      const payload = z.object({ n: z.number() }).refine(async () => true);
      const task = defineTask({ identifier: "checked", payload, run() {} });
      const beforeJobSchedule = async ({ payload: given }: { readonly payload: unknown }) =>
        ({ action: "continue", payload: { ...(given as object), n: 2 } }) as const;
      const options = { connectionString, migrate: false, logger: silentLogger, hooks: { beforeJobSchedule } } as const;
      await using asking = await createClient(options);
      await open.transaction(async (handle) => {
        await asking.inTransaction(handle.given).addJob(task, { n: 1 });
        await expect(asking.inTransaction(handle.given).addJob(task, { n: "1" } as never)).rejects.toMatchObject({
          code: "HOWDAH_PAYLOAD_INVALID",
        });
      });
      expect((await client.listJobs()).jobs.map((job) => job.payload)).toEqual([{ n: 2 }]);
    });

    it("completes the job of a handler with its own rows, or not at all", async () => {
      let attempt = 0;
      const task = defineTask({
        identifier: "order",
        retry: { type: "fixed", delay: "1ms" },
        async run(_payload, { complete, client: jobs }) {
          attempt += 1;
          await open.transaction(async (handle) => {
            await handle.insert(attempt);
            await jobs.inTransaction(handle.given).addJob("follows", {});
            await complete(handle.given);
            if (attempt === 1) throw new Error("the first time");
          });
        },
      });
      await client.addJob(task, {});
      const worker = await createWorker({
        connectionString: database.connectionString,
        tasks: [task],
        logger: silentLogger,
      });
      const running = worker.run();
      await until(async () => (await client.listJobs()).jobs.every((job) => job.task === "follows") && attempt === 2);
      await worker.stop();
      await running;
      expect(await ordersAndJobs()).toEqual({ orders: [2], jobs: 1 });
    });
  });
}
