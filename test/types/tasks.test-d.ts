import { type } from "arktype";
import type pg from "pg";
import * as v from "valibot";
import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";
import type { Client, TransactionClient } from "../../src/client/client.ts";
import type { JobId } from "../../src/job/add/prepare-and-add.ts";
import type { JobContext } from "../../src/job/execute/context.ts";
import type { GatherContext, GatheredJob } from "../../src/job/execute/gather-context.ts";
import { snooze } from "../../src/job/directive.ts";
import type { AddedJob, AddOutcome, Job, JobSpec } from "../../src/job/job.ts";
import type { Executor } from "../../src/postgres/driver.ts";
import {
  type AnyTask,
  type BatchResult,
  type BatchTask,
  defineBatchTask,
  defineGatherTask,
  defineTask,
  type GatherTask,
  type Task,
} from "../../src/job/task.ts";

declare const client: Client;

const sendEmail = defineTask({ identifier: "send_email", run(_payload: { to: string }) {} });
const resize = defineBatchTask({ identifier: "resize", runBatch(_items: { id: number }[]) {} });
const tidy = defineTask({ identifier: "tidy", run() {} });
const dated = defineTask({
  identifier: "dated",
  payload: z.object({ at: z.string().transform((text) => new Date(text)) }),
  defaults: ({ at }) => ({ queueName: at }),
  run({ at }) {
    expectTypeOf(at).toEqualTypeOf<Date>();
  },
});

describe("a task", () => {
  it("has the payload of its handler when it has no schema", () => {
    expectTypeOf(sendEmail).toEqualTypeOf<Task<{ to: string }>>();
    expectTypeOf(resize).toEqualTypeOf<BatchTask<{ id: number }>>();
  });

  it("gives its handler the output of its schema, and is added with the input", () => {
    expectTypeOf(dated).toEqualTypeOf<Task<{ at: string }, { at: Date }>>();
  });

  it("takes the schemas of zod, valibot and arktype", () => {
    const valibot = defineTask({
      identifier: "v",
      payload: v.object({ n: v.number() }),
      run: ({ n }) => expectTypeOf(n).toEqualTypeOf<number>() && undefined,
    });
    const arktype = defineBatchTask({
      identifier: "a",
      item: type({ "s?": "string" }),
      runBatch: ([first]) => expectTypeOf(first?.s).toEqualTypeOf<string | undefined>() && undefined,
    });
    void client.addJob(valibot, { n: 1 });
    void client.addBatchJob(arktype, [{ s: "s" }, {}]);
    // @ts-expect-error -- n is a number
    void client.addJob(valibot, { n: "1" });
    // @ts-expect-error -- s is a string
    void client.addBatchJob(arktype, [{ s: 1 }]);
  });

  it("that gathers jobs has the payload of its jobs, and is added one by one", () => {
    const push = defineGatherTask({
      identifier: "push",
      gather: { size: 10 },
      runMany(jobs: GatheredJob<{ to: string }>[], { settle }: GatherContext<{ db: string }>) {
        for (const job of jobs) settle(job, snooze("1s"));
        return new Map(jobs.map((job) => [job, job.payload.to === "" ? new Error("empty") : undefined]));
      },
    });
    expectTypeOf(push).toEqualTypeOf<GatherTask<{ to: string }, { to: string }, { db: string }>>();
    expectTypeOf(push).toExtend<AnyTask<{ db: string }>>();
    expectTypeOf(push).not.toExtend<AnyTask<{ folder: string }>>();
    void client.addJob(push, { to: "ada" });
    // @ts-expect-error -- to is a string
    void client.addJob(push, { to: 1 });
    const dates = defineGatherTask({
      identifier: "dates",
      payload: z.object({ at: z.string().transform((text) => new Date(text)) }),
      gather: { size: 10, within: "1s" },
      runMany: (jobs) => jobs.map(({ payload: { at } }) => expectTypeOf(at).toEqualTypeOf<Date>() && undefined),
    });
    void client.addJob(dates, { at: "2030" });
    // @ts-expect-error -- the size is missing
    defineGatherTask({ identifier: "push", gather: {}, runMany() {} });
  });

  it("says which state of the worker it needs", () => {
    const stateful = defineTask({
      identifier: "stateful",
      run(_payload: { n: number }, context: JobContext<{ db: string }>) {
        expectTypeOf(context.state.db).toEqualTypeOf<string>();
      },
    });
    expectTypeOf(stateful).toEqualTypeOf<Task<{ n: number }, { n: number }, { db: string }>>();
  });

  it("can be one of a list of any tasks", () => {
    expectTypeOf([sendEmail, resize, tidy, dated]).toExtend<AnyTask[]>();
  });
});

describe("a result", () => {
  const sum = defineTask({ identifier: "sum", run: async ({ of }: { of: number[] }) => ({ sum: of.length }) });
  const maybe = defineTask({
    identifier: "maybe",
    run: (payload: { late: boolean }) => (payload.late ? snooze("1h") : "done"),
  });

  it("is what the handler returns, but for what says that the job is not done", () => {
    expectTypeOf(sum).toEqualTypeOf<Task<{ of: number[] }, { of: number[] }, unknown, { sum: number }>>();
    expectTypeOf(maybe).toEqualTypeOf<Task<{ late: boolean }, { late: boolean }, unknown, "done">>();
    expectTypeOf([sum, maybe, sendEmail]).toExtend<AnyTask[]>();
    expectTypeOf(sum).toExtend<Task<{ of: number[] }, { of: number[] }, unknown, unknown>>();
  });

  it("is known from the job that was added, and of an id only what the caller says", async () => {
    const added = await client.addJob(sum, { of: [1] }, { awaited: true });
    expectTypeOf(client.result(added)).toEqualTypeOf<Promise<{ sum: number }>>();
    const [one, other] = await client.addJobs([{ task: maybe, payload: { late: true } }, { identifier: "raw" }]);
    expectTypeOf(client.result(one, { timeout: "1m" })).toEqualTypeOf<Promise<"done">>();
    expectTypeOf(client.result(other)).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(client.result("17")).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(client.result<number>("17")).toEqualTypeOf<Promise<number>>();
    const [id] = await client.addJobs([{ task: sum, payload: { of: [] } }], { returning: "ids" });
    expectTypeOf(client.result(id)).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(added).toExtend<Job<{ of: number[] }>>();
    // @ts-expect-error -- neither a job nor an id
    void client.result(17);
  });

  it("is nothing to know of where the handler returns nothing", async () => {
    expectTypeOf(client.result(await client.addJob(sendEmail, { to: "ada" }))).toEqualTypeOf<Promise<unknown>>();
  });
});

describe("addJob", () => {
  it("takes the payload of its task and returns a job that has it", () => {
    expectTypeOf(client.addJob(sendEmail, { to: "ada" })).toEqualTypeOf<Promise<AddedJob<{ to: string }>>>();
    expectTypeOf(client.addJob(dated, { at: "2030" })).toEqualTypeOf<Promise<AddedJob<{ at: string }>>>();
    expectTypeOf(client.addJob(resize, [{ id: 1 }])).toEqualTypeOf<Promise<AddedJob<readonly { id: number }[]>>>();
  });

  it("refuses another payload", () => {
    expectTypeOf(client.addJob).parameter(0).not.toBeAny();
    // @ts-expect-error -- to is a string
    void client.addJob(sendEmail, { to: 1 });
    // @ts-expect-error -- to is missing
    void client.addJob(sendEmail, {});
    // @ts-expect-error -- there is no cc
    void client.addJob(sendEmail, { to: "ada", cc: "bob" });
    // @ts-expect-error -- the input of the schema is a text
    void client.addJob(dated, { at: new Date() });
    // @ts-expect-error -- a batch has items
    void client.addJob(resize, { id: 1 });
  });

  it("lets the payload be left out only where {} would do", () => {
    expectTypeOf(client.addJob(tidy)).toEqualTypeOf<Promise<AddedJob>>();
    const optional = defineTask({ identifier: "optional", run(_payload: { dry?: boolean }) {} });
    void client.addJob(optional);
    void client.addJob(optional, undefined, { priority: 1 });
    // @ts-expect-error -- to is needed
    void client.addJob(sendEmail);
  });

  it("takes any payload for an identifier", () => {
    expectTypeOf(client.addJob("anything", 42, { queueName: "q" })).toEqualTypeOf<Promise<AddedJob>>();
    void client.addJob("anything");
  });

  it("refuses a spec that is not one", () => {
    expectTypeOf<{ queue: string }>().not.toExtend<JobSpec>();
    // @ts-expect-error -- it is called queueName
    void client.addJob(sendEmail, { to: "ada" }, { queue: "q" });
    // @ts-expect-error -- there is no such mode
    void client.addJob("anything", {}, { jobKey: "k", jobKeyMode: "ignore" });
  });
});

describe("addJobs", () => {
  it("checks each payload against its task and returns the jobs in the same order", () => {
    const jobs = client.addJobs([
      { task: sendEmail, payload: { to: "ada" } },
      { task: dated, payload: { at: "2030" }, spec: { priority: 1 } },
      { identifier: "raw", payload: 1 },
      { task: tidy },
    ]);
    expectTypeOf<Awaited<typeof jobs>[0]>().toEqualTypeOf<AddedJob<{ to: string }>>();
    expectTypeOf<Awaited<typeof jobs>[1]>().toEqualTypeOf<AddedJob<{ at: string }>>();
  });

  it("takes a list that was computed", () => {
    const jobs = client.addJobs(["ada", "bob"].map((to) => ({ task: sendEmail, payload: { to } })));
    expectTypeOf(jobs).toEqualTypeOf<Promise<AddedJob<{ to: string }>[]>>();
    const raw = client.addJobs(["a", "b"].map((identifier) => ({ identifier })));
    expectTypeOf<Awaited<typeof raw>[number]>().toExtend<Job>();
  });

  it("returns ids and nothing else where it is told to", () => {
    const ids = client.addJobs([{ task: sendEmail, payload: { to: "ada" } }, { identifier: "raw" }], {
      returning: "ids",
    });
    expectTypeOf(ids).toEqualTypeOf<Promise<[JobId, JobId]>>();
    const computed = client.addJobs(
      ["ada"].map((to) => ({ task: sendEmail, payload: { to } })),
      { returning: "ids" },
    );
    expectTypeOf(computed).toEqualTypeOf<Promise<JobId[]>>();
    expectTypeOf<JobId>().toEqualTypeOf<{ readonly id: string; readonly outcome?: AddOutcome | undefined }>();
    const jobs = client.addJobs([{ task: sendEmail, payload: { to: "ada" } }], { returning: "jobs" });
    expectTypeOf(jobs).toEqualTypeOf<Promise<[AddedJob<{ to: string }>]>>();
    expectTypeOf(client.addJobs([{ identifier: "raw" }], {})).toEqualTypeOf<Promise<[AddedJob]>>();
    // @ts-expect-error -- to is a string
    void client.addJobs([{ task: sendEmail, payload: { to: 1 } }], { returning: "ids" });
    // @ts-expect-error -- no such form
    void client.addJobs([{ identifier: "raw" }], { returning: "rows" });
  });

  it("refuses another payload", () => {
    expectTypeOf<{ payload: number }>().not.toExtend<Parameters<Client["addJobs"]>[0][number]>();
    // @ts-expect-error -- to is a string
    void client.addJobs([{ task: sendEmail, payload: { to: 1 } }]);
    // @ts-expect-error -- the payload of another task
    void client.addJobs([{ task: tidy }, { task: sendEmail, payload: { at: "2030" } }]);
    // @ts-expect-error -- to is missing
    void client.addJobs([{ task: sendEmail }]);
    // @ts-expect-error -- neither a task nor an identifier
    void client.addJobs([{ payload: 1 }]);
    // @ts-expect-error -- both a task and an identifier
    void client.addJobs([{ task: tidy, identifier: "tidy" }]);
  });
});

describe("addBatchJob", () => {
  it("takes the items of its task", () => {
    expectTypeOf(client.addBatchJob(resize, [{ id: 1 }])).toEqualTypeOf<Promise<AddedJob<readonly { id: number }[]>>>();
    // @ts-expect-error -- id is a number
    void client.addBatchJob(resize, [{ id: "1" }]);
    // @ts-expect-error -- not a batch task
    void client.addBatchJob(sendEmail, [{ to: "ada" }]);
  });
});

describe("a client in a transaction", () => {
  it("adds and manages, and neither migrates nor closes", () => {
    expectTypeOf<Client>().toExtend<TransactionClient>();
    expectTypeOf<TransactionClient>().not.toHaveProperty("migrate");
    expectTypeOf<TransactionClient>().not.toHaveProperty("close");
  });

  it("takes a transaction of pg or an executor of ours", () => {
    type Taken = Parameters<Client["inTransaction"]>[0];
    expectTypeOf<pg.Client>().toExtend<Taken>();
    expectTypeOf<pg.PoolClient>().toExtend<Taken>();
    expectTypeOf<Executor>().toExtend<Taken>();
  });
});

describe("BatchResult", () => {
  it("is one answer an item: an error, a value, a promise of one, or what Promise.allSettled gives", () => {
    expectTypeOf<PromiseSettledResult<{ done: boolean }>[]>().toExtend<BatchResult>();
    expectTypeOf<(Error | undefined)[]>().toExtend<BatchResult>();
    expectTypeOf<(string | number | null | { id: number } | Date)[]>().toExtend<BatchResult>();
    expectTypeOf<Promise<{ id: number } | Error>[]>().toExtend<BatchResult>();
    expectTypeOf<void>().toExtend<BatchResult>();
    expectTypeOf(snooze).returns.toExtend<BatchResult>();
  });

  it("is neither a function nor a directive for an item, and nothing else than a list", () => {
    expectTypeOf<(() => void)[]>().not.toExtend<BatchResult>();
    expectTypeOf<ReturnType<typeof snooze>[]>().not.toExtend<BatchResult>();
    expectTypeOf<Promise<ReturnType<typeof snooze>>[]>().not.toExtend<BatchResult>();
    expectTypeOf<string>().not.toExtend<BatchResult>();
    expectTypeOf<{ done: boolean }>().not.toExtend<BatchResult>();
  });
});
