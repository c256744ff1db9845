import { describe, expect, expectTypeOf, it } from "vitest";
import { silentLogger } from "../runtime/logger.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { createHooks } from "./hooks.ts";
import { INTERCEPTOR_NAMES, type JobRunEvent, type JobScheduleEvent } from "./interceptors.ts";

function setUp() {
  const clock = createManualClock();
  return { clock, hooks: createHooks({ logger: silentLogger, clock, interceptorTimeoutMs: 1_000 }) };
}

const run: JobRunEvent = { workerId: "w", job: {} as JobRunEvent["job"], payload: { n: 0 } };
const add = { task: "t", payload: {}, spec: {}, call: {} } as unknown as JobScheduleEvent;

describe("an interceptor", () => {
  it("without a handler changes nothing", async () => {
    const { hooks } = setUp();
    for (const name of INTERCEPTOR_NAMES) {
      expect(hooks.has(name)).toBe(false);
      expect(await hooks.decide(name, {} as never)).toBeUndefined();
    }
  });

  it("may answer nothing, at once or later", async () => {
    const { hooks } = setUp();
    const asked: unknown[] = [];
    hooks.on("beforeJobRun", (event) => {
      expectTypeOf(event).toEqualTypeOf<JobRunEvent>();
      asked.push(event);
    });
    hooks.on("beforeJobRun", async (event) => void asked.push(event));
    expect(await hooks.decide("beforeJobRun", run)).toBeUndefined();
    expect(asked).toEqual([run, run]);
  });

  it("sees what those before it have changed", async () => {
    const { hooks } = setUp();
    const seen: unknown[] = [];
    for (const n of [1, 2, 3]) {
      hooks.on("beforeJobRun", async ({ payload }) => {
        seen.push(payload);
        return { action: "continue", payload: { n } };
      });
    }
    hooks.on("beforeJobRun", ({ payload }) => void seen.push(payload));
    expect(await hooks.decide("beforeJobRun", run)).toEqual({ action: "continue", payload: { n: 3 } });
    expect(seen).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it("ends the asking when it decides", async () => {
    const { hooks } = setUp();
    hooks.on("beforeJobRun", () => ({ action: "continue", payload: 1 }));
    hooks.on("beforeJobRun", () => ({ action: "skip" }));
    hooks.on("beforeJobRun", () => expect.unreachable());
    expect(await hooks.decide("beforeJobRun", run)).toEqual({ action: "skip" });
  });

  it("changes only what it names", async () => {
    const { hooks } = setUp();
    hooks.on("beforeJobSchedule", () => ({ action: "continue", payload: 1, attach: { _a: 1, _b: 1 } }));
    hooks.on("beforeJobSchedule", () => ({ action: "continue", payload: undefined, spec: { priority: 5 } }));
    hooks.on("beforeJobSchedule", ({ spec }) => ({ action: "continue", spec: { ...spec, queueName: "q" } }));
    hooks.on("beforeJobSchedule", () => ({ action: "continue", attach: { _b: 2 } }));
    hooks.on("beforeJobSchedule", ({ payload, spec }) => {
      expect([payload, spec]).toEqual([1, { priority: 5, queueName: "q" }]);
    });
    expect(await hooks.decide("beforeJobSchedule", add)).toEqual({
      action: "continue",
      payload: 1,
      spec: { priority: 5, queueName: "q" },
      attach: { _a: 1, _b: 2 },
    });
  });

  it("wraps the handler, the first one outermost", async () => {
    const { hooks } = setUp();
    const calls: string[] = [];
    for (const name of ["outer", "inner"]) {
      hooks.on("beforeJobRun", () => ({
        action: "continue",
        within(handler) {
          calls.push(name);
          return handler();
        },
      }));
    }
    const decision = await hooks.decide("beforeJobRun", run);
    const within = decision?.action === "continue" ? decision.within : undefined;
    expect(within?.(() => calls.push("handler"))).toBe(3);
    expect(calls).toEqual(["outer", "inner", "handler"]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("no"))],
    [
      "throws at once",
      () => {
        throw new Error("no");
      },
    ],
  ])("that %s is an error with its cause", async (_, handler) => {
    const { hooks } = setUp();
    hooks.on("afterJobRun", handler);
    await expect(hooks.decide("afterJobRun", {} as never)).rejects.toMatchObject({
      code: "HOWDAH_HOOK_FAILED",
      message: "The interceptor `afterJobRun` failed: no",
      cause: new Error("no"),
    });
  });

  it("has its time to answer, and what it says later counts no more", async () => {
    const { hooks, clock } = setUp();
    let late = 0;
    hooks.on("beforeJobRun", async () => {
      await clock.sleep(1_500);
      late += 1;
      throw new Error("too late");
    });
    const decided = hooks.decide("beforeJobRun", run).catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(await decided).toMatchObject({
      code: "HOWDAH_HOOK_TIMEOUT",
      message: "The interceptor `beforeJobRun` did not answer within 1000 ms.",
    });
    await clock.advance(1_000);
    expect([late, clock.pending]).toEqual([1, 0]);
  });

  it("leaves no timer behind when it has answered", async () => {
    const { hooks, clock } = setUp();
    hooks.on("beforeJobRun", async () => ({ action: "skip" }));
    await hooks.decide("beforeJobRun", run);
    expect(clock.pending).toBe(0);
  });

  it("can be removed again", async () => {
    const { hooks } = setUp();
    const off = hooks.on("beforeJobRun", () => ({ action: "skip" }));
    off();
    expect(hooks.has("beforeJobRun")).toBe(false);
    expect(await hooks.decide("beforeJobRun", run)).toBeUndefined();
  });
});

describe("an answer", () => {
  it("is read once, and one that cannot be read is a failure of its interceptor", async () => {
    const { hooks } = setUp();
    let reads = 0;
    const off = hooks.on("beforeJobRun", () => ({
      action: "fail",
      get message() {
        reads += 1;
        return "a\0b";
      },
    }));
    expect(await hooks.decide("beforeJobRun", run)).toEqual({ action: "fail", message: "a?b" });
    expect(reads).toBe(1);
    off();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    hooks.on("beforeJobRun", () => proxy as never);
    await expect(hooks.decide("beforeJobRun", run)).rejects.toMatchObject({ code: "HOWDAH_HOOK_FAILED" });
  });

  it.each([
    ["beforeJobRun", null, "answered null; it has to answer nothing, or one of "],
    ["beforeJobRun", "skip", 'answered "skip"; it has to answer nothing, or one of { action: "continue" }, '],
    ["beforeJobRun", [], "answered a list of 0; "],
    ["beforeJobRun", {}, "answered with the action undefined. Known: continue, skip, fail."],
    ["beforeJobRun", { action: "Skip" }, 'answered with the action "Skip", did you mean `skip`?'],
    ["beforeJobRun", { action: "toString" }, 'answered with the action "toString". Known: '],
    ["beforeJobRun", { action: "fail" }, 'answered "fail" with `message` undefined; it has to be a string.'],
    ["beforeJobRun", { action: "fail", message: 5 }, "it has to be a string."],
    ["beforeJobRun", { action: "continue", paylod: 1 }, "unknown property `paylod`, did you mean `payload`?"],
    ["beforeJobRun", { action: "continue", within: {} }, "`within` an object; it has to be a function."],
    ["afterJobRun", { action: "continue" }, 'answered with the action "continue". Known: `skip`, `fail`.'],
    ["beforeJobSchedule", { action: "continue", spec: null }, "`spec` null; it has to be an object."],
    ["beforeJobSchedule", { action: "continue", attach: [] }, "`attach` a list of 0; it has to be an object."],
    ["jobRecovery", { action: "reschedule" }, "`runAt` undefined; it has to be a valid Date."],
    [
      "jobRecovery",
      { action: "reschedule", runAt: new Date(Number.NaN) },
      "an invalid date; it has to be a valid Date.",
    ],
    ["jobRecovery", { action: "reschedule", runAt: new Date(0), attempts: -1 }, "an integer from 0 to 32767."],
  ] as const)("of %s that is %o is refused", async (name, answer, message) => {
    const { hooks } = setUp();
    hooks.on(name as "beforeJobRun", () => answer as never);
    const decided = hooks.decide(name, {} as never);
    await expect(decided).rejects.toMatchObject({
      code: "HOWDAH_HOOK_ANSWER_INVALID",
      message: expect.stringContaining(message),
    });
    await expect(decided).rejects.toThrow(`The interceptor \`${name}\` `);
  });

  it.each([
    { action: "reschedule", runAt: new Date(0), attempts: 0 },
    { action: "fail" },
    { action: "fail", message: "lost" },
    { action: "skip" },
  ] as const)("of jobRecovery may be %o", async (answer) => {
    const { hooks } = setUp();
    hooks.on("jobRecovery", () => answer);
    expect(await hooks.decide("jobRecovery", {} as never)).toEqual(answer);
  });
});
