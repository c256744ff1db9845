import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { HowdahErrorCode } from "../../../src/errors.ts";
import type { JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;
let statements = 0;

beforeAll(async () => {
  database = await createDatabase();
  const driver = Object.create(database.driver, {
    share: { value: undefined },
    transaction: { value: database.driver.transaction.bind(database.driver) },
    query: {
      value: (query: Parameters<typeof database.driver.query>[0]) => {
        statements += 1;
        return database.driver.query(query);
      },
    },
  }) as typeof database.driver;
  client = clientOver({ driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
  statements = 0;
});

afterAll(async () => {
  await database.drop();
});

interface Bad {
  readonly identifier?: unknown;
  readonly payload?: unknown;
  readonly spec?: unknown;
}

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;

/** What is refused (DESIGN 8), with the code and a word of the message. */
const refused: Record<string, [Bad, HowdahErrorCode, RegExp]> = {
  "an empty identifier": [{ identifier: "" }, "HOWDAH_JOB_INVALID", /identifier.*empty/],
  "an identifier of 129 characters": [{ identifier: "x".repeat(129) }, "HOWDAH_JOB_INVALID", /129.*128/],
  "an identifier with a NUL": [{ identifier: "a\0b" }, "HOWDAH_JOB_INVALID", /NUL/],
  "an identifier with half a surrogate pair": [{ identifier: "a\ud800" }, "HOWDAH_JOB_INVALID", /surrogate/],
  "an identifier that is no text": [{ identifier: 5 }, "HOWDAH_JOB_INVALID", /identifier.*5/],
  "an empty queue name": [{ spec: { queueName: "" } }, "HOWDAH_JOB_INVALID", /queueName.*empty/],
  "a queue name of 129 characters": [{ spec: { queueName: "q".repeat(129) } }, "HOWDAH_JOB_INVALID", /129.*128/],
  "a queue name that is null": [{ spec: { queueName: null } }, "HOWDAH_JOB_INVALID", /queueName.*null/],
  "an empty key": [{ spec: { jobKey: "" } }, "HOWDAH_JOB_INVALID", /jobKey.*empty/],
  "a key of 513 characters": [{ spec: { jobKey: "k".repeat(513) } }, "HOWDAH_JOB_INVALID", /513.*512/],
  "a key with half a surrogate pair": [{ spec: { jobKey: "\udc00" } }, "HOWDAH_JOB_INVALID", /surrogate/],
  "a key mode without a key": [{ spec: { jobKeyMode: "replace" } }, "HOWDAH_JOB_INVALID", /without a `jobKey`/],
  "an unknown key mode": [{ spec: { jobKey: "k", jobKeyMode: "keep" } }, "HOWDAH_JOB_INVALID", /keep.*preserve_run_at/],
  "maxAttempts 0": [{ spec: { maxAttempts: 0 } }, "HOWDAH_JOB_INVALID", /maxAttempts.*0.*1 to 32767/],
  "maxAttempts outside smallint": [{ spec: { maxAttempts: 32_768 } }, "HOWDAH_JOB_INVALID", /32768/],
  "maxAttempts with a fraction": [{ spec: { maxAttempts: 2.5 } }, "HOWDAH_JOB_INVALID", /2\.5/],
  "maxAttempts that is NaN": [{ spec: { maxAttempts: Number.NaN } }, "HOWDAH_JOB_INVALID", /NaN/],
  "maxAttempts that is a text": [{ spec: { maxAttempts: "5" } }, "HOWDAH_JOB_INVALID", /"5"/],
  "a priority above smallint": [{ spec: { priority: 32_768 } }, "HOWDAH_JOB_INVALID", /32768/],
  "a priority below smallint": [{ spec: { priority: -32_769 } }, "HOWDAH_JOB_INVALID", /-32769/],
  "a priority that is infinite": [{ spec: { priority: Infinity } }, "HOWDAH_JOB_INVALID", /Infinity/],
  "an invalid Date": [{ spec: { runAt: new Date(Number.NaN) } }, "HOWDAH_JOB_INVALID", /runAt.*invalid date/],
  "a Date before the year 1": [{ spec: { runAt: new Date(-1e14) } }, "HOWDAH_JOB_INVALID", /runAt/],
  "a runAt that is no time": [{ spec: { runAt: "tomorrow" } }, "HOWDAH_JOB_INVALID", /tomorrow.*ISO 8601/],
  "a runAt of the 30th of February": [{ spec: { runAt: "2030-02-30" } }, "HOWDAH_JOB_INVALID", /2030-02-30/],
  "a runAt without an offset": [{ spec: { runAt: "2030-01-01T00:00:00" } }, "HOWDAH_JOB_INVALID", /offset/],
  "a runAt that only PostgreSQL knows": [{ spec: { runAt: "infinity" } }, "HOWDAH_JOB_INVALID", /infinity/],
  "a runAt that is a number": [{ spec: { runAt: 0 } }, "HOWDAH_JOB_INVALID", /runAt/],
  "flags that are no list": [{ spec: { flags: "a" } }, "HOWDAH_JOB_INVALID", /flags/],
  "an empty flag": [{ spec: { flags: ["a", ""] } }, "HOWDAH_JOB_INVALID", /flags\[1\].*empty/],
  "a flag that is null": [{ spec: { flags: [null] } }, "HOWDAH_JOB_INVALID", /flags\[0\].*null/],
  "a flag with a NUL": [{ spec: { flags: ["\0"] } }, "HOWDAH_JOB_INVALID", /NUL/],
  "a spec that is null": [{ spec: null }, "HOWDAH_JOB_INVALID", /spec.*null/],
  "a spec that is a list": [{ spec: [] }, "HOWDAH_JOB_INVALID", /spec.*list/],
  "a key that a spec does not have": [
    { spec: { queuName: "q" } },
    "HOWDAH_OPTION_UNKNOWN",
    /`queuName`.*did you mean `queueName`/,
  ],
  "a payload with a bigint": [{ payload: { deep: [1n] } }, "HOWDAH_PAYLOAD_INVALID", /bigint.*deep/],
  "a payload with a cycle": [{ payload: cycle }, "HOWDAH_PAYLOAD_INVALID", /self/],
  "a payload that is a function": [{ payload: () => 1 }, "HOWDAH_PAYLOAD_INVALID", /function/],
  "a payload that is a symbol": [{ payload: Symbol("s") }, "HOWDAH_PAYLOAD_INVALID", /symbol/],
  "a payload with a function inside": [{ payload: { run() {} } }, "HOWDAH_PAYLOAD_INVALID", /function.*run/],
};

const cases = Object.entries(refused).map(([what, [bad, code, message]]) => ({ what, bad, code, message }));

describe("a client refuses, before anything is written,", () => {
  it.each(cases)("$what, in a single add", async ({ bad, code, message }) => {
    const { identifier = "task", payload, spec } = bad;
    const adding = client.addJob(identifier as string, payload, spec as JobSpec);
    await expect(adding).rejects.toMatchObject({ code, message });
    expect(statements).toBe(0);
  });

  const bulk = BULK_ADDS.flatMap(([name, addAll]) => cases.map((bad) => ({ ...bad, name, addAll })));

  it.each(bulk)("$what, with $name, and says which job it is", async ({ addAll, bad, code, message }) => {
    const adding = addAll(client, [{ identifier: "fine" }, { identifier: "task", ...bad } as { identifier: string }]);
    await expect(adding).rejects.toMatchObject({ code, message });
    await expect(adding).rejects.toThrow(/jobs\[1\]/);
    expect(statements).toBe(0);
  });

  it.each(BULK_ADDS)("%s that is no list, and entries that are no jobs", async (_, addAll) => {
    const invalid = { code: "HOWDAH_JOB_INVALID" };
    await expect(addAll(client, null as never)).rejects.toMatchObject(invalid);
    await expect(addAll(client, {} as never)).rejects.toMatchObject(invalid);
    await expect(addAll(client, [null] as never)).rejects.toMatchObject({ ...invalid, message: /jobs\[0\]/ });
    await expect(addAll(client, [{ payload: 1 }] as never)).rejects.toMatchObject(invalid);
    // oxlint-disable-next-line no-sparse-arrays -- a hole is what is tested
    await expect(addAll(client, [, { identifier: "t" }] as never)).rejects.toMatchObject(invalid);
    const misspelt = addAll(client, [{ identifier: "t", paylod: 1 }] as never);
    await expect(misspelt).rejects.toMatchObject({ code: "HOWDAH_OPTION_UNKNOWN", message: /did you mean `payload`/ });
    expect(statements).toBe(0);
  });

  it("options of a bulk add that are not allowed", async () => {
    const jobs = [{ identifier: "t" }];
    const invalid = {
      code: "HOWDAH_OPTION_INVALID",
      message: /`returning` must be one of "jobs", "ids", found "rows"/,
    };
    await expect(client.addJobs(jobs, { returning: "rows" } as never)).rejects.toMatchObject(invalid);
    await expect(client.addJobs(jobs, "ids" as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.addJobs(jobs, { returns: "ids" } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: /did you mean `returning`/,
    });
    expect(statements).toBe(0);
  });

  it("tasks that are none", async () => {
    for (const task of [null, undefined, {}, 7]) {
      await expect(client.addJob(task as never, {} as never)).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    }
    expect(statements).toBe(0);
  });

  it("defaults of a task that are not allowed", async () => {
    const bad = { code: "HOWDAH_JOB_INVALID" };
    const numeric = defineTask({ identifier: "t", defaults: { priority: 1e9 }, run() {} });
    await expect(client.addJob(numeric)).rejects.toMatchObject(bad);
    const failing = defineTask({
      identifier: "t",
      defaults: () => {
        throw new Error("no defaults today");
      },
      run() {},
    });
    await expect(client.addJob(failing)).rejects.toMatchObject({ ...bad, cause: { message: "no defaults today" } });
    const nothing = defineTask({ identifier: "t", defaults: (() => null) as never, run() {} });
    await expect(client.addJob(nothing)).rejects.toMatchObject(bad);
    expect(statements).toBe(0);
  });

  it("ids, reasons and times of a change that are not allowed", async () => {
    const invalid = { code: "HOWDAH_OPTION_INVALID" };
    for (const id of ["", "abc", "1.5", "-1", "9223372036854775808", 42, null]) {
      await expect(client.getJob(id as string)).rejects.toMatchObject(invalid);
      await expect(client.completeJobs([id as string])).rejects.toMatchObject(invalid);
      await expect(client.permanentlyFailJobs([id as string])).rejects.toMatchObject(invalid);
      await expect(client.rescheduleJobs([id as string], {})).rejects.toMatchObject(invalid);
    }
    await expect(client.completeJobs("1" as never)).rejects.toMatchObject(invalid);
    await expect(client.permanentlyFailJobs(["1"], 5 as never)).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs(["1"], { runAt: "soon" })).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs(["1"], { maxAttempts: 0 })).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs(["1"], { attempts: -1 })).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs(["1"], { priority: 40_000 })).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs(["1"], { runat: 1 } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: /did you mean `runAt`/,
    });
    await expect(client.forceUnlockWorkers([""])).rejects.toMatchObject(invalid);
    await expect(client.removeJob("")).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(client.listJobs({ limit: 0 })).rejects.toMatchObject(invalid);
    await expect(client.listJobs({ limit: 1001 })).rejects.toMatchObject(invalid);
    await expect(client.listJobs({ after: "x" })).rejects.toMatchObject(invalid);
    await expect(client.listJobs({ state: "done" as never })).rejects.toMatchObject(invalid);
    await expect(client.cleanup(["everything" as never])).rejects.toMatchObject({
      ...invalid,
      message: /permanentlyFailedJobs.*unusedTasks.*unusedQueues/,
    });
    expect(statements).toBe(0);
  });
});

describe("a client accepts", () => {
  const identifier = "𝒯".repeat(128);
  const spec = {
    queueName: "q".repeat(127) + "𝒬",
    jobKey: "ключ".repeat(128),
    maxAttempts: 32_767,
    priority: -32_768,
    flags: ['"', "\\", "{a,b}", "null", " "],
  };

  it("names and numbers at their limits, counted in characters", async () => {
    const job = await client.addJob(identifier, {}, spec);
    expect(job).toMatchObject({ task: identifier, ...spec, flags: expect.arrayContaining(spec.flags) });
    const [again] = await client.addJobs([{ identifier, spec }]);
    expect(again).toMatchObject({ id: job.id, revision: 1, queueName: spec.queueName });
    expect(again?.flags.toSorted()).toEqual(job.flags.toSorted());
    expect(await client.addJobs([{ identifier, spec }], { returning: "ids" })).toEqual([{ id: job.id }]);
  });

  it.each(BULK_ADDS)("names that look like SQL and array syntax, with %s", async (_, addAll) => {
    const names = ["{}", "null", "NULL", '","', "\\", "'; drop table x; --", "a\nb\tc", "$1", "%s"];
    const jobs = await addAll(
      client,
      names.map((name) => ({ identifier: name, payload: name, spec: { queueName: name, jobKey: name } })),
    );
    expect(jobs.map((job) => [job.task, job.queueName, job.jobKey, job.payload])).toEqual(
      names.map((name) => [name, name, name, name]),
    );
    for (const job of jobs) expect(await client.getJob(job.id)).toEqual(job);
  });
});
