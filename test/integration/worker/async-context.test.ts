import { AsyncLocalStorage } from "node:async_hooks";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

const storage = new AsyncLocalStorage<string>();
/** Where the handler, or a hook of its job, found itself when it was called. */
const seen: string[] = [];
const enter = (where: string, who: string): void => {
  seen.push(`${where} in ${storage.getStore() ?? "nothing"}`);
  storage.enterWith(who);
};

const single = defineTask({
  identifier: "single",
  async run(name: string) {
    enter("handler", name);
    await new Promise((resolve) => setImmediate(resolve));
  },
});
const throwing = defineTask({
  identifier: "throwing",
  run(name: string) {
    enter("handler", name);
    throw new Error("at once");
  },
});
const batch = defineBatchTask({
  identifier: "batch",
  async runBatch(items: readonly string[]) {
    enter("handler", items.join(" "));
    await new Promise((resolve) => setImmediate(resolve));
    return undefined;
  },
});

const runs = (worker: Worker): Promise<unknown> => worker.run();
const runsOnce = (worker: Worker): Promise<unknown> => worker.runOnce();

const SOURCES: [string, Partial<WorkerOptions>, (worker: Worker) => Promise<unknown>][] = [
  ["in direct mode", {}, runs],
  ["in runOnce()", {}, runsOnce],
  ["with a local queue", { localQueue: true }, runs],
  ["with several local queues", { localQueue: { size: 2, queueCount: 2 }, concurrency: 2 }, runs],
];

describe.each(SOURCES)("a handler %s", (_, options, run) => {
  it.each([
    ["alone", {}],
    ["of one queue", { queueName: "q" }],
  ])("of jobs %s begins in the context of the run, whatever the ones before have entered", async (__, spec) => {
    seen.length = 0;
    const worker = await createTestWorker(database, {
      tasks: [single, throwing, batch],
      concurrency: 1,
      ...options,
      hooks: { jobComplete: ({ job }) => storage.enterWith(`the end of ${job.id}`) },
    });
    await worker.client.addJobs(
      ["ada", "bob", "eve", "joe"].flatMap((name) => [
        { identifier: "single", payload: name, spec },
        { identifier: "throwing", payload: name, spec: { ...spec, maxAttempts: 1 } },
        { identifier: "batch", payload: [name, name], spec },
      ]),
    );
    const running = storage.run("the run", () => run(worker));
    await until(async () => {
      const { ready, running: atWork } = await worker.client.stats();
      return ready.value + atWork.value === 0;
    });
    await worker.stop();
    await running;
    expect(seen).toEqual(Array.from({ length: 12 }, () => "handler in the run"));
  });

  it("and the interceptors and observers of its job begin there too", async () => {
    seen.length = 0;
    const worker = await createTestWorker(database, {
      tasks: [single],
      concurrency: 1,
      ...options,
      hooks: {
        beforeJobRun: ({ job }) => {
          enter("before", `before ${job.id}`);
        },
        afterJobRun: ({ job }) => {
          enter("after", `after ${job.id}`);
        },
      },
    });
    await worker.client.addJobs(["ada", "bob", "eve"].map((payload) => ({ identifier: "single", payload })));
    const running = storage.run("the run", () => run(worker));
    await until(() => seen.filter((where) => where.startsWith("after")).length === 3);
    await worker.stop();
    await running;
    expect(seen.filter((where) => where.startsWith("before"))).toEqual(
      Array.from({ length: 3 }, () => "before in the run"),
    );
  });
});
