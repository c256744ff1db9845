import { describe, expect, it } from "vitest";
import { defineBatchTask, defineTask } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import { prepareJob, prepareNow } from "./prepare-job.ts";

const entry = { payload: undefined, spec: undefined };

describe("prepareJob", () => {
  it("leaves to the database what was not decided", async () => {
    expect(await prepareJob({ ...entry, task: "t" })).toEqual({
      identifier: "t",
      payload: "{}",
      queueName: null,
      runAt: null,
      maxAttempts: null,
      jobKey: null,
      jobKeyMode: "replace",
      priority: null,
      flags: null,
      timeoutMs: null,
    });
  });

  it("merges the defaults of a task under the spec, key by key, undefined counting as left out", async () => {
    const task = defineTask({ identifier: "t", defaults: { queueName: "q", priority: 1, flags: ["a"] }, run() {} });
    const spec = { priority: 0, flags: [], queueName: undefined as never };
    expect(await prepareJob({ ...entry, task, spec })).toMatchObject({ queueName: "q", priority: 0, flags: null });
  });

  it.each([
    [{ runIn: "5m" }, { runAt: "2030-01-01" }, "2030-01-01 00:00:00Z"],
    [{ runAt: "2030-01-01" }, { runIn: "5m" }, "+300000 milliseconds"],
    [{ runIn: "5m" }, {}, "+300000 milliseconds"],
    [{ runIn: "5m" }, { runIn: "1m" }, "+60000 milliseconds"],
  ] as const)("of the defaults %j and the spec %j runs at %s", async (defaults, spec, runAt) => {
    const task = defineTask({ identifier: "t", defaults, run() {} });
    expect(await prepareJob({ ...entry, task, spec })).toMatchObject({ runAt });
  });

  it("takes the schema and the defaults of a registered task for its identifier", async () => {
    const task = defineTask({ identifier: "t", defaults: ({ n }: { n: number }) => ({ priority: n }), run() {} });
    const registry = createTaskRegistry([task]);
    expect(await prepareJob({ ...entry, task: "t", payload: { n: 4 } }, { tasks: registry })).toMatchObject({
      priority: 4,
    });
  });

  it("refuses a batch whose payload is no list, and one without items", async () => {
    const task = defineBatchTask({ identifier: "b", runBatch() {} });
    await expect(prepareJob({ ...entry, task, payload: { length: 1 } })).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
    });
    await expect(prepareJob({ ...entry, task, payload: [] })).rejects.toMatchObject({ code: "HOWDAH_BATCH_EMPTY" });
  });

  it("never tells a payload in a message", async () => {
    const schema = {
      "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "no", path: ["card"] }] }) },
    } as const;
    const task = defineTask({ identifier: "t", payload: schema, run() {} });
    const refused = prepareJob({ ...entry, task, payload: { card: "4111" } });
    await expect(refused).rejects.toThrow(/card/);
    await expect(refused).rejects.not.toThrow(/4111/);
  });
});

describe("prepareNow", () => {
  const schema = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } } as const;

  it("makes a promise only when a schema has to be asked, and what it promises is the same", async () => {
    const plain = defineTask({ identifier: "t", defaults: { priority: 1 }, run() {} });
    const checked = defineTask({ identifier: "t", defaults: { priority: 1 }, payload: schema, run() {} });
    const prepared = prepareNow({ ...entry, task: plain }, {});
    expect(prepared).not.toBeInstanceOf(Promise);
    const promised = prepareNow({ ...entry, task: checked }, {});
    expect(promised).toBeInstanceOf(Promise);
    expect(await promised).toEqual(prepared);
  });

  it("throws what is wrong", () => {
    const spec = { priority: 1.5 };
    expect(() => prepareNow({ ...entry, task: "t", spec }, { place: "jobs[3]" })).toThrow(
      /`priority` of jobs\[3\] `t`/,
    );
  });
});
