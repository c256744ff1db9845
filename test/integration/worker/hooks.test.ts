import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import type { EventName } from "../../../src/hooks/events.ts";
import { EVENT_NAMES } from "../../../src/hooks/events.ts";
import type { Hooks } from "../../../src/hooks/hooks.ts";
import type { Plugin } from "../../../src/hooks/plugin.ts";
import { snooze } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { WorkerMetrics } from "../../../src/job/worker-metrics.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createRecordingLogger, createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

/** A plugin that keeps the names of all events. */
function createWitness(): Plugin & { readonly names: EventName[] } {
  const names: EventName[] = [];
  const register = (hooks: Hooks): void => {
    for (const name of EVENT_NAMES) hooks.on(name, () => void names.push(name));
  };
  return { name: "witness", register, names };
}

const works = defineTask({ identifier: "works", run: () => undefined });
const fails = defineTask({
  identifier: "fails",
  run() {
    throw new Error("no");
  },
});
const snoozes = defineTask({ identifier: "snoozes", run: () => snooze("1h") });
const tasks = [works, fails, snoozes];

describe("the hooks of one job", () => {
  it.each([
    ["works", 25, ["jobComplete"]],
    ["fails", 25, ["jobFail"]],
    ["fails", 1, ["jobPermanentlyFail"]],
    ["snoozes", 1, []],
  ] as const)("one that %s (of %i attempts) is told of in order, once each", async (identifier, maxAttempts, end) => {
    const witness = createWitness();
    await using worker = await createTestWorker(database, { tasks, plugins: [witness] });
    expect(witness.names).toEqual(["workerInit"]);
    await worker.client.addJob(identifier, {}, { maxAttempts });
    await worker.runOnce();
    const { names } = witness;
    expect(names.indexOf("claimEnd")).toBe(names.indexOf("jobFetch") - 1);
    expect(names.filter((name) => name !== "claimEnd")).toEqual([
      "workerInit",
      "jobAdd",
      "workerStart",
      "jobFetch",
      "jobStart",
      ...end,
      "jobSettle",
      "workerShutdown",
    ]);
  });
});

describe("an observer", () => {
  it("is told of the worker, the job and how long it took", async () => {
    const seen: unknown[] = [];
    await using worker = await createTestWorker(database, {
      tasks,
      concurrency: 3,
      hooks: {
        workerInit: (event) => void seen.push(event),
        jobComplete: (event) => void seen.push(event),
        workerShutdown: (event) => void seen.push(event),
      },
    });
    const { id } = await worker.client.addJob(works, {});
    await worker.runOnce();
    const workerId = worker.id;
    expect(seen).toEqual([
      { workerId, schema: "howdah", concurrency: 3 },
      { workerId, job: expect.objectContaining({ id, task: "works" }), durationMs: expect.any(Number) },
      { workerId, reason: "stopped" },
    ]);
  });

  it("that throws or rejects changes nothing and is reported once", async () => {
    const logger = createRecordingLogger();
    let calls = 0;
    await using worker = await createTestWorker(database, {
      tasks,
      logger,
      hooks: {
        jobStart: () => {
          calls += 1;
          throw new Error("observer broken");
        },
        jobComplete: () => Promise.reject(new Error("observer broken later")),
      },
    });
    for (let n = 0; n < 3; n++) await worker.client.addJob(works, {});
    expect(await worker.runOnce()).toMatchObject({ completed: 3, failed: 0 });
    expect(calls).toBe(3);
    expect(logger.messages("error")).toHaveLength(2);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it("that is still busy is waited for before the worker has stopped", async () => {
    const told: string[] = [];
    await using worker = await createTestWorker(database, {
      tasks,
      hooks: {
        async jobComplete() {
          await database.sql("select pg_sleep(0.05)");
          told.push("jobComplete");
        },
      },
    });
    await worker.client.addJob(works, {});
    await worker.runOnce();
    expect(told).toEqual(["jobComplete"]);
  });

  it("can be removed again", async () => {
    let calls = 0;
    await using worker = await createTestWorker(database, { tasks });
    const remove = worker.hooks.on("jobComplete", () => {
      calls += 1;
      remove();
    });
    await worker.client.addJobs([{ task: works }, { task: works }]);
    await worker.runOnce();
    expect(calls).toBe(1);
  });

  it("of an unknown event is an error that says which was meant", async () => {
    await expect(
      createTestWorker(database, { tasks, hooks: { jobCompleted: () => undefined } as object }),
    ).rejects.toThrow(/Unknown hook `jobCompleted`.*`jobComplete`/);
  });
});

describe("a plugin", () => {
  it("reads the metrics of its worker and adds a job from an event", async () => {
    const running: number[] = [];
    const seconds: string[] = [];
    const second = defineTask({ identifier: "second", run: (_, { job }) => void seconds.push(job.id) });
    const plugin: Plugin = {
      name: "follows up",
      register(hooks) {
        hooks.on("jobStart", () => void running.push(hooks.metrics().running));
        hooks.on("jobComplete", async ({ job }) => {
          if (job.task === "works") await hooks.client.addJob("second", {});
        });
      },
    };
    await using worker = await createTestWorker(database, { tasks: [works, second], plugins: [plugin] });
    await worker.client.addJob(works, {});
    await worker.runOnce();
    await worker.runOnce();
    expect(running).toEqual([1, 1]);
    expect(seconds).toHaveLength(1);
  });

  it("is refused the client and the metrics while it registers, and has them in `workerInit`", async () => {
    const refused: unknown[] = [];
    let clientOfInit: Client | undefined;
    let metricsOfInit: WorkerMetrics | undefined;
    const plugin: Plugin = {
      name: "early",
      register(hooks) {
        for (const ask of [() => hooks.client, () => hooks.metrics()]) refused.push(codeOf(ask));
        hooks.on("workerInit", () => {
          clientOfInit = hooks.client;
          metricsOfInit = hooks.metrics();
        });
      },
    };
    await using worker = await createTestWorker(database, { tasks, plugins: [plugin] });
    expect(refused).toEqual(["HOWDAH_HOOKS_UNAVAILABLE", "HOWDAH_HOOKS_UNAVAILABLE"]);
    expect(clientOfInit).toBe(worker.client);
    expect(metricsOfInit).toEqual(worker.metrics());
  });

  it("adds jobs during `workerShutdown`, and is refused when the worker has stopped", async () => {
    const added: string[] = [];
    let kept: Hooks | undefined;
    const plugin: Plugin = {
      name: "late",
      register(hooks) {
        kept = hooks;
        hooks.on("workerShutdown", async () => void added.push((await hooks.client.addJob("works", {})).id));
      },
    };
    const worker = await createTestWorker(database, { tasks, plugins: [plugin] });
    await worker.runOnce();
    expect(added).toHaveLength(1);
    await worker.stop();
    expect(kept?.metrics()).toEqual(worker.metrics());
    expect(kept?.metrics()).toMatchObject({ running: 0, unwritten: 0, headScanAgeMs: null });
    await expect(kept?.client.addJob("works", {})).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });

  it("of a client has that client and no metrics", async () => {
    let kept: Hooks | undefined;
    const plugin: Plugin = { name: "shared", register: (hooks) => void (kept = hooks) };
    await using client = await createClient({ driver: database.driver, logger: silentLogger, plugins: [plugin] });
    expect(kept?.client).toBe(client);
    expect(codeOf(() => kept?.metrics())).toBe("HOWDAH_HOOKS_UNAVAILABLE");
  });
});

function codeOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    return isHowdahError(error) ? error.code : error;
  }
}
