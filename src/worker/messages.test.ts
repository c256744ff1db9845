import pg from "pg";
import { describe, expect, it } from "vitest";
import type { Client } from "../client/client.ts";
import { clientOver, createClient } from "../client/create-client.ts";
import { cron } from "../cron/cron.ts";
import { parseCrontab } from "../cron/crontab.ts";
import { defineBatchTask, defineTask } from "../job/task.ts";
import { createSchema } from "../postgres/schema.ts";
import { silentLogger } from "../runtime/logger.ts";
import { createWorker } from "./create-worker.ts";

/** What people get wrong in their first hour, and what they are told. Nothing of it reaches a database. */
const driver = {
  query: () => Promise.reject(new Error("was asked")),
  transaction: () => Promise.reject(new Error("was asked")),
  listen: () => Promise.reject(new Error("was asked")),
  close: () => Promise.resolve(),
};
const task = defineTask({ identifier: "t", run() {} });

async function messageOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing";
}

const worker = (options: object) => messageOf(() => createWorker({ driver, tasks: [task], ...options }));
const client = (call: (client: Client) => unknown) =>
  messageOf(() => call(clientOver({ driver, schema: createSchema("howdah"), logger: silentLogger })));
const job = (spec: object) => client((adds) => adds.addJob("t", {}, spec));

describe("an option of a worker", () => {
  it.each([
    [
      { gracePeriod: "5s" },
      "Unknown worker option `gracePeriod`: it belongs in `shutdown`: `shutdown: { gracePeriod: ... }`.",
    ],
    [
      { osSignals: false },
      "Unknown worker option `osSignals`: it belongs in `shutdown`: `shutdown: { osSignals: ... }`.",
    ],
    [{ sweepThreshold: "1m" }, "Unknown worker option `sweepThreshold`: it belongs in `recovery`"],
    [{ teamSize: 5 }, "Unknown worker option `teamSize`: what pg-boss calls so is `concurrency`."],
    [{ taskList: {} }, "Unknown worker option `taskList`: what graphile-worker calls so is `tasks`, a list of"],
    [{ taskList: {} }, "`defineTask()` makes: `tasks: defineTasks(taskList)`."],
    [{ taskDirectory: "tasks" }, "the tasks of a folder are run by the command line: `howdah work tasks`."],
    [
      { concurrency: 5, concurrentJobs: 5 },
      "Options `concurrency` and `concurrentJobs` of the worker are the same. Specify only one of them.",
    ],
    [{ concurrentJobs: 0 }, "Worker option `concurrency` must be a whole number"],
    [{ noHandleSignals: true }, "what graphile-worker calls so is `shutdown: { osSignals: false }`."],
    [{ retries: 3 }, "the number of attempts is `defaults: { maxAttempts }` of a task"],
    [{ cron: "* * * * *" }, "crontab text is given as `crontab`"],
    [{ handler() {} }, "handlers are given as `tasks`, each made by `defineTask({ identifier, run })`."],
    [{ connection: {} }, "what BullMQ calls so is `connectionString`."],
    [{ conccurency: 5 }, "Unknown worker option `conccurency`, did you mean `concurrency`?"],
    [
      { tasks: { t() {} } },
      "Worker option `tasks` must be a list of tasks made by defineTask() or defineBatchTask(): `defineTasks()` makes one of an object with handlers, found",
    ],
    [
      { tasks: [{ identifier: "t", run() {} }] },
      'A task must be made by defineTask() or defineBatchTask(); "t" was not.',
    ],
    [{ tasks: ["t"] }, 'A task must be made by defineTask() or defineBatchTask(); found "t".'],
  ])("%o is answered with what to write", async (options, message) => {
    expect(await worker(options)).toContain(message);
  });
});

describe("an option of a job", () => {
  it.each([
    [{ startAfter: 5 }, '`t`: what pg-boss calls so is `runIn` for a delay such as "5m", `runAt` for a time.'],
    [{ delay: 5 }, "what BullMQ calls so is `runIn` for a delay"],
    [{ singletonKey: "k" }, "what pg-boss calls so is `jobKey`, or `unique: { by }`."],
    [{ throttle: "1m" }, "at most one job in a while is `unique: { for }`."],
    [{ job_key: "k" }, "did you mean `jobKey`?"],
    [{ jobId: "k" }, "what BullMQ calls so is `jobKey`."],
    [{ attempts: 3 }, "what BullMQ calls so is `maxAttempts`, which counts the first attempt too."],
    [{ retryLimit: 3 }, "what pg-boss calls so is `maxAttempts`, which counts the first attempt too."],
    [{ backoff: {} }, "what BullMQ calls so is the option `retry` of the task."],
    [{ expireIn: "5m" }, "what pg-boss calls so is `timeout`."],
    [{ repeat: {} }, "what BullMQ calls so is `cron()`, for the option `crons` of a worker, or `client.schedules`."],
    [{ runat: "x" }, "did you mean `runAt`?"],
  ])("%o is answered with what to write", async (spec, message) => {
    expect(await job(spec)).toContain(message);
    expect(await client((adds) => adds.addJobs([{ identifier: "t", spec: spec as object }]))).toContain(message);
  });

  it("is named with its entry", async () => {
    const add = (entry: object) => client((adds) => adds.addJobs([entry as never]));
    expect(await add({ name: "t", data: {} })).toContain("what BullMQ calls so is `identifier`, or a `task`.");
    expect(await add({ identifier: "t", runAt: new Date() })).toContain("`runAt` of jobs[0]: it belongs in `spec`.");
  });
});

describe("an option of a task", () => {
  it.each([
    [
      { handler() {} },
      'Unknown task "t" option `handler`: the handler is called `run`, or `runBatch` in a batch task.',
    ],
    [{ schema: {} }, "the schema is called `payload`, or `item` in a batch task."],
    [{ retries: 3 }, "the number of attempts is `defaults: { maxAttempts }`"],
    [{ queueName: "q" }, "it belongs in `defaults`."],
    [{ timeot: "5s" }, "did you mean `timeout`?"],
    [{ timeout: "soon" }, "must be a duration"],
    [{ retry: { type: "linear" } }, 'must be a function or an object of type "exponential" or "fixed"'],
    [{ payload: {} }, "must be a Standard Schema"],
    [{ run: "t" }, "must be a function"],
    [{ identifier: "" }, "must be a text of 1 to 128 characters"],
  ])("%o is answered where the task is defined", async (options, message) => {
    expect(await messageOf(() => defineTask({ identifier: "t", run() {}, ...options } as never))).toContain(message);
  });

  it("is answered for a batch task, too, and for what is no options at all", async () => {
    const batch = { identifier: "t", runBatch() {} };
    expect(await messageOf(() => defineBatchTask({ ...batch, payload: {} } as never))).toContain("Unknown task");
    expect(await messageOf(() => defineBatchTask({ ...batch, itm: {} } as never))).toContain("did you mean `item`?");
    expect(await messageOf(() => defineTask("t" as never))).toContain("`{ identifier, run }`");
    expect(await messageOf(() => defineTask(batch as never))).toContain("`runBatch`");
  });
});

describe("an option of a client", () => {
  it("that is a Client in place of a Pool is answered so", async () => {
    expect(await messageOf(() => createClient({ pool: new pg.Client() as never }))).toContain(
      "Client option `pool` must be a `Pool` of `pg`, not a `Client`: `new pg.Pool(...)`, found",
    );
    expect(await messageOf(() => createClient({ host: "h" } as never))).toContain("or give a `pool` of `pg`.");
  });
});

describe("an argument of a client's method", () => {
  it.each<[string, (client: Client) => unknown, string]>([
    [
      "cancelJobs with an id",
      (c) => c.cancelJobs("1" as never),
      'cancelJobs() takes a list of job ids, or a filter such as `{ task: "send_email" }`; found "1".',
    ],
    [
      "cleanup with a text",
      (c) => c.cleanup("all" as never),
      'cleanup() takes a list of what to remove, out of "permanentlyFailedJobs", "unusedTasks", "unusedQueues"; found "all".',
    ],
    [
      "rescheduleJobs with nothing",
      (c) => c.rescheduleJobs(["1"], {}),
      "rescheduleJobs() has nothing to change: give `runAt`, `runIn`, `priority`, `attempts` or `maxAttempts`.",
    ],
    [
      "schedules.upsert with a slip",
      (c) => c.schedules.upsert({ id: "s", task: "t", schedule: "@daily", mised: "all" } as never),
      "Unknown schedule option `mised`, did you mean `missed`?",
    ],
    [
      "schedules.upsert with a name that nothing is like",
      (c) => c.schedules.upsert({ id: "s", task: "t", schedule: "@daily", xxxxxxxxx: 1 } as never),
      "`missed`",
    ],
    [
      "schedules.upsert with another's name",
      (c) => c.schedules.upsert({ id: "s", task: "t", cron: "@daily" } as never),
      "Unknown schedule option `cron`: the expression is called `schedule`.",
    ],
    [
      "addJob with a bigint",
      (c) => c.addJob("t", { id: 5n }),
      "JSON cannot hold a bigint, found at payload.id of job `t`.",
    ],
    [
      "addJobs with a cycle",
      (c) => c.addJobs([{ identifier: "t", payload: { a: [{ b: 1n }] } }]),
      "found at payload.a[0].b of jobs[0] `t`.",
    ],
  ])("%s is answered with what is allowed", async (_name, call, message) => {
    expect(await client(call)).toContain(message);
  });
});

describe("a nickname of crontabs", () => {
  it.each([
    ["@yearly", "0 0 1 1 *"],
    ["@annually", "0 0 1 1 *"],
    ["@monthly", "0 0 1 * *"],
    ["@weekly", "0 0 * * 0"],
    ["@daily", "0 0 * * *"],
    ["@midnight", "0 0 * * *"],
    ["@hourly", "0 * * * *"],
    ["@Daily", "0 0 * * *"],
  ])("%s stands for %s, in crontabs and in cron()", (nickname, fields) => {
    expect(parseCrontab(`${nickname} t ?fill=1d {"a":1}`)).toEqual(parseCrontab(`${fields} t ?fill=1d {"a":1}`));
    expect(cron({ task: "t", schedule: nickname })).toMatchObject({ task: "t" });
  });

  it("that there is not is refused with those that there are", async () => {
    expect(await messageOf(() => parseCrontab("@daly t"))).toContain(
      "unknown nickname `@daly`, did you mean `@daily`?",
    );
    expect(await messageOf(() => cron({ task: "t", schedule: "@reboot" }))).toContain(
      "add a job when your program starts",
    );
    expect(await messageOf(() => cron({ task: "t", schedule: "@daily 5" }))).toContain(
      "expected nothing after a nickname",
    );
    expect(await messageOf(() => parseCrontab("@daily"))).toContain("expected 5 fields and a task, found no task");
  });
});
