import { describe, expect, it } from "vitest";
import { HowdahError } from "../../errors.ts";
import { snooze } from "../directive.ts";
import { defineBatchTask } from "../task.ts";
import { BatchFailure, runBatch } from "./execute-batch.ts";

function run(result: (items: unknown[]) => unknown, payload: unknown = [1, 2, 3]) {
  const task = defineBatchTask({ identifier: "b", runBatch: result as () => void });
  const job = { payload, payloadText: JSON.stringify(payload) };
  return runBatch(task, undefined, { job, payload } as Parameters<typeof runBatch>[2]);
}

async function failureOf(result: Promise<unknown>): Promise<HowdahError> {
  const error: unknown = await result.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HowdahError);
  return error as HowdahError;
}

describe("runBatch", () => {
  it("passes a directive on and takes nothing, or one entry per item, as done", async () => {
    const directive = snooze(1);
    expect(await run(() => directive)).toBe(directive);
    expect(await run(() => undefined)).toBeUndefined();
    expect(await run((items) => items)).toBeUndefined();
    expect(await run(() => [], [])).toBeUndefined();
  });

  it("gives the handler a list of its own: what it does to it does not change what is kept", async () => {
    const error = await failureOf(
      run((items) => {
        items.reverse();
        return [new Error("x"), undefined, undefined];
      }),
    );
    expect(BatchFailure.restOf(error)).toBe("[1]");
  });

  it("names at most ten failed items in its message, and keeps all of them", async () => {
    const items = Array.from({ length: 12 }, (_, n) => n);
    const error = await failureOf(run(() => items.map((n) => new Error(`no ${n}`)), items));
    expect(error.code).toBe("HOWDAH_BATCH_ITEMS_FAILED");
    expect(error.message).toMatch(/^12 batch item\(s\) failed: 0: no 0, .*9: no 9, and 2 more$/);
    expect(BatchFailure.restOf(error)).toBe(JSON.stringify(items));
  });

  it("takes errors of other realms as errors", async () => {
    const foreign = Object.create(Error.prototype, { message: { value: "foreign" } }) as Error;
    expect(BatchFailure.restOf(await failureOf(run(() => [1, foreign, 3])))).toBe("[2]");
  });

  it("takes what Promise.allSettled says of a promise as the promise itself", async () => {
    const settled = await Promise.allSettled([
      Promise.resolve(1),
      Promise.reject(new Error("broken")),
      Promise.resolve(new Error("given back")),
    ]);
    const error = await failureOf(run(() => settled));
    expect(error).toMatchObject({
      code: "HOWDAH_BATCH_ITEMS_FAILED",
      message: "2 batch item(s) failed: 1: broken, 2: given back",
    });
    expect(BatchFailure.restOf(error)).toBe("[2,3]");
    expect(await run((items) => Promise.allSettled(items.map(async (item) => item)))).toBeUndefined();
    expect(BatchFailure.restOf(await failureOf(run(() => [1, Promise.resolve(settled[1]), 1])))).toBe("[2]");
    const rejected = { status: "rejected", reason: undefined };
    expect(BatchFailure.restOf(await failureOf(run(() => [1, 2, rejected])))).toBe("[3]");
  });

  it("takes an answer of the application that has a status of its own as done", async () => {
    const answers = [{ status: "rejected" }, { status: "rejected", order: 7 }, { status: "fulfilled" }];
    expect(await run(() => answers)).toBeUndefined();
  });

  it.each([
    ["a directive", snooze(1), "snooze\\(\\) for item 1"],
    ["a settled directive", { status: "fulfilled", value: snooze(1) }, "snooze\\(\\) for item 1"],
    ["a function", () => undefined, "a function for item 1"],
    ["a symbol", Symbol("done"), "a symbol for item 1"],
  ])("refuses %s as the answer of an item", async (_, entry, said) => {
    const error = await failureOf(run(() => [undefined, entry, new Error("x")]));
    expect(error.code).toBe("HOWDAH_BATCH_RESULT_INVALID");
    expect(error.message).toMatch(new RegExp(said));
  });

  it("keeps the stored text of failed items as it is", async () => {
    const payloadText = '[{"id": 9007199254740993, "price": 1.10, "a": 1, "a": 2}, {"id": 2}, -0]';
    const payload: unknown = JSON.parse(payloadText);
    const task = defineBatchTask({ identifier: "b", runBatch: () => [new Error("no"), undefined, new Error("no")] });
    const context = { job: { payload, payloadText }, payload } as Parameters<typeof runBatch>[2];
    expect(BatchFailure.restOf(await failureOf(runBatch(task, undefined, context)))).toBe(
      '[{"id": 9007199254740993, "price": 1.10, "a": 1, "a": 2},-0]',
    );
  });

  it.each([null, "done", 3, {}, [1], [1, 2, 3, 4]])("refuses the result %j", async (result) => {
    expect((await failureOf(run(() => result))).code).toBe("HOWDAH_BATCH_RESULT_INVALID");
  });

  it.each([null, {}, "text", 1])("refuses the payload %j without calling the handler", async (payload) => {
    let calls = 0;
    expect((await failureOf(run(() => (calls += 1), payload))).code).toBe("HOWDAH_PAYLOAD_INVALID");
    expect(calls).toBe(0);
  });
});

describe("BatchFailure.restOf", () => {
  it("knows nothing of other things that were thrown, and never throws", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const thrown of [undefined, null, "text", new Error("x"), { rest: "[]" }, proxy]) {
      expect(BatchFailure.restOf(thrown)).toBeUndefined();
    }
  });
});
