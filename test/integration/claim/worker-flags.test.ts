import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

const task = defineTask({ identifier: "job", run: () => undefined });

type ForbiddenFlags = NonNullable<WorkerOptions["forbiddenFlags"]>;

/** Adds a plain job and one with the flags c and d, runs what may be run, and returns what is left. */
async function leftWith(forbiddenFlags: ForbiddenFlags) {
  await using worker = await createTestWorker(database, { tasks: [task], forbiddenFlags });
  await worker.client.addJob(task, {}, { flags: ["a", "b"] });
  await worker.client.addJob(task, {}, { flags: ["c", "d"] });
  await worker.client.addJob(task, {}, { flags: ["c"], queueName: "q" });
  await worker.client.addJob(task, {}, { queueName: "q", priority: 1 });
  await worker.runOnce();
  return database.sql("select attempts, flags from howdah.jobs order by id");
}

describe("jobs with a forbidden flag", () => {
  const forms: [string, ForbiddenFlags][] = [
    ["a list", ["d", "c"]],
    ["a function", () => ["c"]],
    ["an asynchronous function", async () => ["c", "x"]],
  ];
  it.each(forms)(
    "are left alone, told by %s, and hold up no others (behaviours 109)",
    async (_form, forbiddenFlags) => {
      expect(await leftWith(forbiddenFlags)).toEqual([
        { attempts: 0, flags: { c: true, d: true } },
        { attempts: 0, flags: { c: true } },
      ]);
    },
  );

  it("do not stand for their queues: a claim that takes few jobs takes those of other queues", async () => {
    const seen: unknown[] = [];
    const note = defineTask({ identifier: "note", run: (payload: unknown) => void seen.push(payload) });
    await using worker = await createTestWorker(database, { tasks: [note], concurrency: 1, forbiddenFlags: ["c"] });
    for (const queueName of ["a", "b", "c"])
      await worker.client.addJob(note, "flagged", { queueName, flags: ["c"], priority: -1 });
    await worker.client.addJob(note, "behind", { queueName: "a", priority: 5 });
    await worker.client.addJob(note, "beside", { queueName: "d", priority: 1 });
    expect(await worker.runOnce()).toMatchObject({ completed: 2, ended: "drained" });
    expect(seen).toEqual(["beside", "behind"]);
  });

  const none: [string, ForbiddenFlags][] = [
    ["an unknown flag", ["z"]],
    ["an empty list", []],
    ["a function without flags", () => []],
    ["a function that says null", () => null],
    ["one that says so later", async () => null],
  ];
  it.each(none)("are run when there is %s (behaviours 110)", async (_form, forbiddenFlags) => {
    expect(await leftWith(forbiddenFlags)).toEqual([]);
  });

  it("are run as soon as the function allows it, without being announced again", async () => {
    let flags = ["busy"];
    await using worker = await createTestWorker(database, {
      tasks: [task],
      forbiddenFlags: () => flags,
      pollInterval: "50ms",
    });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(task, "held", { flags: ["busy"] });
    await worker.client.addJob(task, "free");
    const running = worker.run();
    await completed.reach();
    expect(completed.events.map(({ job }) => job.payload)).toEqual(["free"]);
    flags = [];
    await completed.reach(2);
    await worker.stop();
    await running;
  });
});

describe("a function that fails", () => {
  it("stops no worker: nothing is claimed until it works again, and that is said once", async () => {
    let broken = true;
    const logger = createRecordingLogger();
    await using worker = await createTestWorker(database, {
      tasks: [task],
      logger,
      pollInterval: "20ms",
      forbiddenFlags: () => {
        if (broken) throw new Error("flag service down");
        return [];
      },
    });
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJob(task);
    const running = worker.run();
    await errors.reach();
    broken = false;
    await completed.reach();
    await worker.stop();
    await running;
    expect(errors.events).toMatchObject([{ activity: "claim jobs", error: { message: "flag service down" } }]);
    expect(logger.messages("error")).toHaveLength(1);
  });
});

describe("a list that is none", () => {
  it.each([["flag"], [[1]], [[""]]])("%j is an error", async (forbiddenFlags) => {
    const options = { tasks: [task], forbiddenFlags: forbiddenFlags as unknown as readonly string[] };
    await expect(createTestWorker(database, options)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});
