import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { snooze } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import { unrecoverable } from "../../../src/job/unrecoverable.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { empty } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { createGate, createTestWorker } from "../../harness/worker.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const proxy = await openProxy(database.connectionString);
afterAll(async () => {
  await proxy.close();
  await database.drop();
});
beforeEach(() => empty(database));

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

const TOLD = ["jobComplete", "jobFail", "jobPermanentlyFail", "jobReleaseRefused", "jobOutcomeUnknown"] as const;

/** A worker whose one handler stands still until it is let go, and what it tells of its job. */
async function startWorker(connectionString: string, how: () => unknown, forbiddenFlags: readonly string[] = []) {
  const started = createGate();
  const gate = createGate();
  const told: string[] = [];
  const worker = await createTestWorker(database, {
    connectionString,
    concurrency: 1,
    pollInterval: "100ms",
    forbiddenFlags,
    tasks: [
      defineTask({
        identifier: "t",
        retry: { type: "fixed", delay: 60_000 },
        async run() {
          started.open();
          await gate.opened;
          return how() as undefined;
        },
      }),
    ],
  });
  for (const name of TOLD) worker.hooks.on(name, () => void told.push(name));
  workers.push(worker);
  void worker.run();
  return { worker, told, started: started.opened, letGo: gate.open };
}

const endings: readonly [string, () => unknown, string | undefined][] = [
  ["returns", () => undefined, "jobComplete"],
  ["throws", () => fail(), "jobFail"],
  ["throws for good", () => fail(true), "jobPermanentlyFail"],
  ["snoozes", () => snooze("1m"), undefined],
];

function fail(forGood = false): never {
  const error = new Error("by the first");
  throw forGood ? unrecoverable(error) : error;
}

describe.each(endings)(
  "a job whose handler %s, and a connection that is cut while that is written",
  (_, how, event) => {
    it.each(["before", "after"] as const)("is told as it is written, cut %s the statement", async (at) => {
      const { worker, told, started, letGo } = await startWorker(proxy.connectionString, how);
      await worker.client.addJob("t");
      await started;
      const caught = proxy.next("_howdah_release", at);
      letGo();
      (await caught).cut();
      await until(
        async () => (await database.sql("select from howdah._private_jobs where locked_by is not null")).length === 0,
      );
      await until(() => worker.metrics().unwritten === 0);
      expect(told).toEqual(event === undefined ? [] : [event]);
    });

    it("is told as refused when it was lost before, and another worker runs it", async () => {
      const first = await startWorker(proxy.connectionString, how);
      await first.worker.client.addJob("t");
      await first.started;
      const second = await startWorker(database.connectionString, () => undefined);
      await database.sql("select howdah.force_unlock_workers(array[$1])", [first.worker.id]);
      await second.started;
      const caught = proxy.next("_howdah_release", "before");
      first.letGo();
      (await caught).cut();
      await until(() => first.told.length > 0);
      expect(first.told).toEqual(["jobReleaseRefused"]);
      second.letGo();
      await until(() => second.told.length > 0);
      expect(second.told).toEqual(["jobComplete"]);
    });

    it("is told as unknown when it was lost before, and another worker has completed it since", async () => {
      const first = await startWorker(proxy.connectionString, how);
      await first.worker.client.addJob("t");
      await first.started;
      const second = await startWorker(database.connectionString, () => undefined);
      await database.sql("select howdah.force_unlock_workers(array[$1])", [first.worker.id]);
      await second.started;
      const caught = proxy.next("_howdah_release", "before");
      first.letGo();
      const statement = await caught;
      second.letGo();
      await until(() => second.told.length > 0);
      statement.cut();
      await until(() => first.told.length > 0);
      expect(first.told).toEqual(["jobOutcomeUnknown"]);
      expect(second.told).toEqual(["jobComplete"]);
    });
  },
);

const FOR_THE_SECOND = `update howdah._private_jobs set run_at = now(), flags = '{"not for the first": true}'`;

describe("a job that another worker has failed again since", () => {
  it("is told as unknown, because the row tells of the last release only", async () => {
    const first = await startWorker(proxy.connectionString, () => fail(), ["not for the first"]);
    await first.worker.client.addJob("t");
    await first.started;
    const second = await startWorker(database.connectionString, () => fail());
    const caught = proxy.next("_howdah_release", "after");
    first.letGo();
    const statement = await caught;
    await database.sql(FOR_THE_SECOND);
    await second.started;
    second.letGo();
    await until(() => second.told.length > 0);
    statement.cut();
    await until(() => first.told.length > 0);
    expect([first.told, second.told]).toEqual([["jobOutcomeUnknown"], ["jobFail"]]);
  });

  it("is told as failed while the other only runs it", async () => {
    const first = await startWorker(proxy.connectionString, () => fail(), ["not for the first"]);
    await first.worker.client.addJob("t");
    await first.started;
    const second = await startWorker(database.connectionString, () => undefined);
    const caught = proxy.next("_howdah_release", "after");
    first.letGo();
    const statement = await caught;
    await database.sql(FOR_THE_SECOND);
    await second.started;
    statement.cut();
    await until(() => first.told.length > 0);
    expect(first.told).toEqual(["jobFail"]);
  });
});

describe("a handler that completes its job in a transaction", () => {
  async function startCompleting(catches: boolean) {
    const started = createGate();
    const gate = createGate();
    const told: string[] = [];
    const rejected: unknown[] = [];
    const worker = await createTestWorker(database, {
      concurrency: 1,
      tasks: [
        defineTask({
          identifier: "t",
          retry: { type: "fixed", delay: 60_000 },
          async run(_, context) {
            started.open();
            await gate.opened;
            try {
              await context.withTransaction((transaction) => context.complete(transaction));
            } catch (error) {
              rejected.push((error as { code?: unknown }).code);
              if (!catches) throw error;
            }
          },
        }),
      ],
    });
    for (const name of TOLD) worker.hooks.on(name, () => void told.push(name));
    workers.push(worker);
    void worker.run();
    const { id } = await worker.client.addJob("t");
    await started.opened;
    return { worker, told, rejected, id, letGo: gate.open };
  }

  it.each([false, true])(
    "and is refused because its row is gone, is told as refused, error caught: %s",
    async (catches) => {
      const { told, rejected, id, letGo } = await startCompleting(catches);
      await database.sql("delete from howdah._private_jobs where id = $1", [id]);
      letGo();
      await until(() => told.length > 0);
      expect([rejected, told]).toEqual([["HOWDAH_ABORTED_LOST"], ["jobReleaseRefused"]]);
    },
  );

  it("is told as completed when that has committed", async () => {
    const { told, letGo } = await startCompleting(false);
    letGo();
    await until(() => told.length > 0);
    expect(told).toEqual(["jobComplete"]);
  });

  it("is told as completed when the answer to its release is lost as well", async () => {
    const { told, worker, letGo } = await startCompleting(false);
    expect(worker.metrics().running).toBe(1);
    letGo();
    await until(() => told.length > 0);
    expect(told).toEqual(["jobComplete"]);
  });
});
