import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { openProxy, type Proxy } from "../../harness/proxy.ts";
import { createShiftedClock, type ShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// What was decided about a job while the worker could not know of it, more than a second before it would start.
let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks, howdah._howdah_paused_tasks",
  );
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

interface Late {
  readonly worker: Worker;
  readonly held: ReturnType<typeof createHeldTask>;
  readonly proxy: Proxy;
  readonly clock: ShiftedClock;
}

/** A worker over a proxy, and the session that it listens on, over another one. */
async function withWorker(
  options: Partial<WorkerOptions>,
  work: (late: Late & { readonly session: Proxy }) => Promise<void>,
): Promise<void> {
  await using proxy = await openProxy(database.connectionString);
  await using session = await openProxy(database.connectionString);
  const held = createHeldTask("late");
  const clock = createShiftedClock();
  const worker = await createTestWorker(database, {
    tasks: [held.task],
    concurrency: 1,
    pollInterval: "50ms",
    connectionString: proxy.connectionString,
    listenConnectionString: session.connectionString,
    clock,
    ...options,
  });
  try {
    await work({ worker, held, proxy, clock, session });
  } finally {
    session.allow();
    held.openAll();
    await worker.stop();
  }
}

/** As `withWorker`, running; what it listens to says nothing any more. */
function unheard(options: Partial<WorkerOptions>, work: (late: Late) => Promise<void>): Promise<void> {
  return withWorker(options, async (late) => {
    const run = late.worker.run();
    // Asked as soon as it listens, or at once if it does not.
    await until(() => late.proxy.statements.some((text) => text.includes("_howdah_control")));
    late.session.hold("down");
    await work(late);
    late.session.allow();
    late.held.openAll();
    await late.worker.stop();
    await run;
  });
}

const SOURCES: [string, Partial<WorkerOptions>][] = [
  ["that hears nothing", {}],
  ["that hears nothing, with a local queue", { localQueue: { size: 10 } }],
  ["that polls only", { useNotificationDelivery: false }],
  ["that polls only, with a local queue", { useNotificationDelivery: false, localQueue: { size: 10 } }],
];

const queued = (...names: string[]) =>
  names.map((payload) => ({ identifier: "late", payload, spec: { queueName: "q" } }));
const rowOf = async (id: string) =>
  (await database.sql(`select attempts, locked_by, last_error from howdah._private_jobs where id = ${id}`))[0];
const queueIsFree = async (): Promise<boolean> =>
  (await database.sql("select from howdah._private_job_queues where locked_at is not null")).length === 0;

describe.each(SOURCES)("a worker %s, and whose claim is answered late", (_, options) => {
  /** Whatever the database answers is on its way for more than a second, the claim of these jobs too. */
  async function whileClaimIsAnswered(
    names: readonly string[],
    decide: (ids: readonly string[], late: Late) => Promise<unknown>,
    afterwards: (ids: readonly string[], late: Late) => Promise<void>,
  ): Promise<void> {
    await unheard(options, async (late) => {
      const claim = await late.proxy.next(/_howdah_(release_and_)?claim/, "before");
      const ids = (await client.addJobs(queued(...names))).map(({ id }) => id);
      late.proxy.hold("down");
      claim.pass();
      await until(async () => (await rowOf(ids[0] ?? ""))?.["locked_by"] === late.worker.id);
      await decide(ids, late);
      late.clock.skip(1_500);
      late.proxy.allow();
      await afterwards(ids, late);
    });
  }

  it("does not start what was cancelled meanwhile", async () => {
    await whileClaimIsAnswered(
      ["first"],
      (ids) => client.cancelJobs(ids, "enough"),
      async ([id = ""], { held }) => {
        await until(async () => (await rowOf(id))?.["locked_by"] === null && (await queueIsFree()));
        expect(await rowOf(id)).toMatchObject({ last_error: "enough" });
        expect(held.started).toEqual([]);
      },
    );
  });

  it.each([
    ["queue", () => client.pauseQueue("q"), () => client.resumeQueue("q")],
    ["task", () => client.pauseTask("late"), () => client.resumeTask("late")],
  ])(
    "does not start what belongs to a %s that was paused meanwhile, and gives it back as it was",
    async (__, pause, resume) => {
      await whileClaimIsAnswered(["first"], pause, async ([id = ""], { held }) => {
        await until(async () => (await rowOf(id))?.["locked_by"] === null && (await queueIsFree()));
        expect(await rowOf(id)).toMatchObject({ attempts: 0 });
        expect(held.started).toEqual([]);
        await resume();
        await until(() => held.started.length === 1);
      });
    },
  );

  it("does not start what was given to others meanwhile", async () => {
    await whileClaimIsAnswered(
      ["first"],
      async (_ids, { worker }) => {
        await client.forceUnlockWorkers([worker.id]);
        // Another worker runs it.
        await database.sql("update howdah._private_jobs set locked_by = 'other', locked_at = now()");
        await database.sql("update howdah._private_job_queues set locked_by = 'other', locked_at = now()");
      },
      async ([id = ""], { proxy, held }) => {
        await until(() => proxy.statements.some((text) => text.includes("_howdah_release")));
        expect(await rowOf(id)).toMatchObject({ locked_by: "other" });
        expect(held.started).toEqual([]);
      },
    );
  });

  it("starts what nothing was decided about", async () => {
    await whileClaimIsAnswered(
      ["first"],
      async () => undefined,
      async (_ids, { held }) => {
        await until(() => held.started.length === 1);
        expect(held.started).toEqual(["first"]);
      },
    );
  });
});

describe("runOnce(), whose claim is answered late", () => {
  it("does not start what was cancelled meanwhile, and ends", async () => {
    const [first, second] = await client.addJobs(queued("first", "second"));
    await withWorker({}, async ({ worker, held, proxy, clock }) => {
      held.openAll();
      const caught = proxy.next(/_howdah_claim/, "after");
      const run = worker.runOnce();
      const claim = await caught;
      await client.cancelJobs([first?.id ?? ""], "enough");
      clock.skip(1_500);
      claim.pass();
      expect(await run).toMatchObject({ completed: 1, failed: 1 });
      expect(held.started).toEqual(["second"]);
      expect(await client.getJob(second?.id ?? "")).toBeUndefined();
    });
  });
});

describe.each(SOURCES.filter(([, { localQueue }]) => localQueue))("a worker %s", (_, options) => {
  const jobs = {
    "a chain at work": queued("first", "second", "third"),
    "its memory": ["first", "second", "third"].map((payload) => ({ identifier: "late", payload })),
  };
  it.each(Object.entries(jobs))(
    "starts nothing of %s that was decided about while a handler ran",
    async (__, specs) => {
      await unheard(options, async ({ worker, held, proxy, clock }) => {
        const completed = record(worker.hooks, "jobComplete");
        const ids = (await client.addJobs(specs)).map(({ id }) => id);
        await until(() => held.running.has("first"));
        // From here on answers are so slow that the worker, asking by itself, learns of nothing before the handler ends.
        const question = proxy.next("_howdah_control", "before");
        await client.cancelJobs([ids[1] ?? ""], "enough");
        clock.skip(1_500);
        held.open("first");
        await completed.reach(1);
        void question.then((caught) => caught.pass());
        await until(async () => (await rowOf(ids[1] ?? ""))?.["locked_by"] === null);
        await until(() => held.running.has("third"));
        expect(held.started).toEqual(["first", "third"]);
        held.openAll();
        await completed.reach(2);
      });
    },
  );
});
