import { describe, expect, it } from "vitest";
import { defineBatchTask, defineTask } from "../task.ts";
import type { JobSpec } from "../job.ts";
import { prepareJob } from "./prepare-job.ts";

const prepare = (spec: JobSpec, payload: unknown = { b: 1, a: 2 }) => prepareJob({ task: "t", payload, spec });
const refused = (spec: object, error: object): Promise<void> =>
  expect(prepare(spec as JobSpec)).rejects.toMatchObject(error);

describe("the key of a unique job", () => {
  it("is the identifier and what `by` says: a text as it is, anything else as JSON", async () => {
    const keys = await Promise.all(
      [() => "k", () => 7, () => true, () => ["a", { z: 1, y: 2 }]].map((by) => prepare({ unique: { by } })),
    );
    expect(keys.map(({ jobKey }) => jobKey)).toEqual(["t:k", "t:7", "t:true", 't:["a",{"y":2,"z":1}]']);
  });

  it("is the hash of what a key cannot hold, and of the whole payload without `by`", async () => {
    for (const end of ["x".repeat(381), "a\0b", "\ud800"]) {
      expect((await prepare({ unique: { by: () => end } })).jobKey).toMatch(/^t:[0-9a-f]{64}$/);
    }
    const one = await prepare({ unique: {} }, { a: { c: 1, d: 2 }, b: [1] });
    const same = await prepare({ unique: {} }, { b: [1], a: { d: 2, c: 1 } });
    expect(one.jobKey).toBe(same.jobKey);
    expect(one.unique).toEqual({ while: "unfinished", otherwise: "keep", same: true });
  });

  it("is made of what an interceptor has put in place of the payload, and not of what is attached to it", async () => {
    const answer = (changes: object) => ({ ask: () => Promise.resolve(changes) }) as never;
    const entry = { task: "t", payload: { id: 1 }, spec: { unique: { by: (p: { id: number }) => p.id } } as JobSpec };
    const replaced = await prepareJob(entry, { call: answer({ action: "continue", payload: { id: 2 } }) });
    expect(replaced.jobKey).toBe("t:2");
    const attached = await prepareJob(
      { task: "t", payload: { id: 1 }, spec: { unique: {} } },
      { call: answer({ action: "continue", attach: { trace: "x" } }) },
    );
    expect(attached.jobKey).toBe((await prepareJob({ task: "t", payload: { id: 1 }, spec: { unique: {} } })).jobKey);
    expect(attached.payload).toContain("trace");
  });

  it("is a `jobKey` of the add", async () => {
    expect(await prepare({ jobKey: "own", unique: { otherwise: "reject" } })).toMatchObject({
      jobKey: "own",
      unique: { otherwise: "reject" },
    });
  });
});

const CONTRADICTIONS: readonly (readonly [spec: object, message: string])[] = [
  [{ unique: { by: () => "k" }, jobKey: "own" }, "`unique.by` and `jobKey`"],
  [{ unique: {}, jobKey: "own", jobKeyMode: "replace" }, "`jobKeyMode`"],
  [{ unique: {}, debounce: { wait: "1s" } }, "`debounce`"],
  [{ debounce: { wait: "1s" }, runAt: new Date() }, "`runAt`"],
  [{ debounce: { wait: "1s" }, runIn: "1s" }, "`runIn`"],
  [{ unique: { by: () => undefined } }, "returned undefined"],
  [{ unique: { by: () => "" } }, "it has to say what tells the job apart"],
  [
    {
      unique: {
        by: (): string => {
          throw new Error("no");
        },
      },
    },
    "`by` of job `t` failed",
  ],
];

describe("what contradicts it is refused", () => {
  it.each(CONTRADICTIONS)("%j", async (spec, message) => {
    await refused(spec, { code: "HOWDAH_JOB_INVALID", message: expect.stringContaining(message) });
  });

  it.each([
    [{ unique: { while: "running" } }, 'one of "waiting", "unfinished"'],
    [{ unique: { for: "soon" } }, "duration"],
    [{ debounce: {} }, "is required"],
    [{ debounce: { wait: "2s", maxWait: "1s" } }, "must not be shorter than `wait`"],
    [{ unique: true }, "must be an object"],
  ])("%j", async (spec, message) => {
    await refused(spec, { code: "HOWDAH_OPTION_INVALID", message: expect.stringContaining(message) });
  });

  it("with the name that was meant", async () => {
    await refused(
      { unique: { otherwhise: "keep" } },
      {
        code: "HOWDAH_OPTION_UNKNOWN",
        message: expect.stringContaining("otherwise"),
      },
    );
  });

  it("where a task is defined", () => {
    const define = (more: object) => () => defineTask({ identifier: "t", run() {}, ...more });
    expect(define({ unique: { while: "never" } })).toThrow("unique.while");
    expect(define({ unique: {}, debounce: { wait: 1 } })).toThrow("without `unique`");
  });
});

describe("the default of a task", () => {
  const task = defineTask({
    identifier: "t",
    defaults: { runIn: "1h" },
    debounce: { wait: "5s", maxWait: "1m" },
    run() {},
  });

  it("makes its jobs wait, and counts for more than a default time", async () => {
    const prepared = await prepareJob({ task, payload: {}, spec: undefined });
    expect(prepared).toMatchObject({
      runAt: "+5000 milliseconds",
      unique: { while: "waiting", otherwise: "replace", latestMs: 60_000 },
    });
  });

  it.each([
    [{ debounce: false }, "+3600000 milliseconds", undefined],
    [{ runIn: "2s" }, "+2000 milliseconds", undefined],
    [{ unique: { while: "waiting" } }, "+3600000 milliseconds", "keep"],
  ] as const)("is replaced by what an add says: %j", async (spec, runAt, otherwise) => {
    const prepared = await prepareJob({ task, payload: {}, spec });
    expect(prepared.runAt).toBe(runAt);
    expect(prepared.unique?.otherwise).toBe(otherwise);
  });

  it("is computed from the items of a batch", async () => {
    const batch = defineBatchTask({
      identifier: "b",
      unique: { by: (items) => items.length },
      runBatch(_items: number[]) {},
    });
    expect((await prepareJob({ task: batch, payload: [1, 2], spec: undefined })).jobKey).toBe("b:2");
  });
});
