import { describe, expect, it } from "vitest";
import type { Job } from "../job/job.ts";
import { defineTask } from "../job/task.ts";
import { addedJobs } from "./added-jobs.ts";
import { assertAdded, assertNotAdded } from "./assert-added.ts";
import { howdahMatchers, type HowdahMatchers } from "./matchers.ts";
import { runTask } from "./run-task.ts";

declare module "vitest" {
  // oxlint-disable-next-line typescript/no-explicit-any -- as vitest declares it
  interface Matchers<T = any> extends HowdahMatchers {}
}

expect.extend(howdahMatchers);

const email = defineTask({ identifier: "email", run(_payload: { to: string; cc?: string[]; on?: Date }) {} });
const other = defineTask({ identifier: "other", run() {} });

/** What a handler has added that adds a few jobs. */
async function someJobs(): Promise<readonly Job[]> {
  const adding = defineTask({
    identifier: "adding",
    async run(_payload, { client }) {
      await client.addJob(email, { to: "ada", cc: ["bob", "eve"] }, { queueName: "q", priority: 5 });
      await client.addJob(email, { to: "bob", on: new Date(0) }, { jobKey: "k", flags: ["a", "b"] });
      await client.addJob(other, {}, { runAt: "2099-01-01T08:00:00Z", maxAttempts: 1 });
    },
  });
  return (await runTask(adding, {})).added;
}

describe("added jobs", () => {
  it.each<[string, Parameters<typeof addedJobs>[1], string[]]>([
    ["all of them", {}, ["1", "2", "3"]],
    ["those of a task", { task: email }, ["1", "2"]],
    ["those of an identifier", { task: "other" }, ["3"]],
    ["those with a part of the payload", { payload: { to: "ada" } }, ["1"]],
    ["those with a list in it", { payload: { cc: ["bob", "eve"] } }, ["1"]],
    ["none with a part of a list", { payload: { cc: ["bob"] } }, []],
    ["those with a date, which is stored as a text", { payload: { on: new Date(0) } }, ["2"]],
    ["those that fit a pattern", { payload: { to: /^b/ } }, ["2"]],
    ["those that fit a pattern with a place of its own", { payload: { to: /^./g } }, ["1", "2"]],
    ["those that fit a matcher", { payload: { to: expect.any(String), cc: expect.arrayContaining(["eve"]) } }, ["1"]],
    ["those without a property", { payload: { to: expect.anything(), cc: undefined } }, ["2"]],
    ["those of a queue", { queueName: "q" }, ["1"]],
    ["the one with a key", { jobKey: "k" }, ["2"]],
    ["those of a priority", { priority: 5 }, ["1"]],
    ["those with flags, in any order", { flags: ["b", "a"] }, ["2"]],
    ["none with some of their flags", { flags: ["a"] }, []],
    ["those with a number of attempts", { maxAttempts: 1 }, ["3"]],
    ["those that are due at a time", { runAt: new Date("2099-01-01T08:00:00Z") }, ["3"]],
    ["those that are due from a time on", { runAt: { from: "2098-01-01T00:00:00Z" } }, ["3"]],
    ["none that is due before", { runAt: { to: "2020-01-01T00:00:00Z" } }, []],
    ["those in a state", { state: "scheduled" }, ["3"]],
  ])("are %s", async (_title, wanted, ids) => {
    expect((await addedJobs(await someJobs(), wanted)).map(({ id }) => id)).toEqual(ids);
  });

  it("have the payload of their task", async () => {
    const [job] = await addedJobs(await someJobs(), { task: email });
    expect(job?.payload.to.toUpperCase()).toBe("ADA");
  });

  it.each([{ tasks: email }, { task: 5 }, { runAt: "tomorrow" }, { state: "done" }, { queueName: "" }])(
    "refuse what cannot be: %o",
    async (wanted) => {
      await expect(addedJobs([], wanted as never)).rejects.toThrow(/addedJobs option/i);
    },
  );
});

describe("assertAdded", () => {
  it("resolves with the jobs", async () => {
    const jobs = await assertAdded(await someJobs(), email, { payload: { to: "ada" }, times: 1 });
    expect(jobs).toMatchObject([{ queueName: "q" }]);
    await assertNotAdded(await someJobs(), email, { payload: { to: "mallory" } });
  });

  it("rejects with what was added instead", async () => {
    const jobs = await someJobs();
    await expect(assertAdded(jobs, email, { payload: { to: "mallory" } })).rejects.toMatchObject({
      name: "AssertionError",
      message: [
        `Expected a job of task "email" like { payload: { to: 'mallory' } } to be added. Added of this task:`,
        `  email { payload: { to: 'ada', cc: [ 'bob', 'eve' ] }, queueName: 'q', priority: 5 }`,
        `  email { payload: { to: 'bob', on: '1970-01-01T00:00:00.000Z' }, jobKey: 'k', flags: [ 'a', 'b' ] }`,
      ].join("\n"),
    });
    await expect(assertAdded(jobs, email, { times: 3 })).rejects.toThrow(/^Expected exactly 3 jobs of task "email" to/);
    await expect(assertAdded(jobs, "third")).rejects.toThrow(/Added of other tasks:\n {2}email .*\n.*\n {2}other /);
    await expect(assertAdded([], email)).rejects.toThrow(/No job was added\.$/);
    await expect(assertNotAdded(jobs, other)).rejects.toThrow(/^Expected no job of task "other" to be added/);
  });
});

describe("toHaveAdded", () => {
  it("passes and fails as it should, and not with `not`", async () => {
    const jobs = await someJobs();
    await expect(jobs).toHaveAdded(email, { payload: { to: "ada" } });
    await expect({ added: jobs }).toHaveAdded("email", { times: 2 });
    await expect(jobs).not.toHaveAdded(email, { times: 1 });
    await expect(jobs).not.toHaveAdded("third");
    await expect(expect(jobs).toHaveAdded(email, { queueName: "x" })).rejects.toThrow(/like \{ queueName: 'x' \}/);
    await expect(expect(jobs).not.toHaveAdded(email)).rejects.toThrow(/^Expected no job of task "email" to be added/);
  });

  it("knows the payload of the task", () => {
    // @ts-expect-error -- to is a text
    void (() => expect([]).toHaveAdded(email, { payload: { to: 5 } }));
    // @ts-expect-error -- there is no bcc
    void (() => expect([]).toHaveAdded(email, { payload: { bcc: "eve" } }));
    expect(howdahMatchers.toHaveAdded).toBeTypeOf("function");
  });
});
