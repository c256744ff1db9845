import { describe, expect, it } from "vitest";
import { z } from "zod";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { HowdahError } from "../../errors.ts";
import { createHooks } from "../../hooks/hooks.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { snooze } from "../directive.ts";
import { type AnyTask, defineBatchTask, defineTask } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import { unrecoverable } from "../unrecoverable.ts";
import { Execution, type ExecutionContext } from "./execution.ts";
import { runJob } from "./run-job.ts";

/** Runs a job with the payload {"n":1}, or a batch of three items, as attempt 1 of 3. */
function setUp(given: AnyTask | ((payload: never, context: never) => unknown)) {
  const clock = createManualClock();
  const hooks = createHooks({ logger: silentLogger, clock, interceptorTimeoutMs: 1_000 });
  const retry = { type: "fixed", delay: 70 } as const;
  const task = typeof given === "function" ? defineTask({ identifier: "t", run: given as () => void, retry }) : given;
  const registered = createTaskRegistry([task]).get("t");
  const payload = registered.task.kind === "batch" ? '[{"n":1},{"n":2},{"n":3}]' : '{"n":1}';
  const job = claimedJob({ payload, attempts: "1", maxAttempts: "3" });
  const execution = new Execution(job, { logger: silentLogger } as ExecutionContext);
  let started = 0;
  const run = () =>
    runJob(registered, execution, {
      hooks,
      clock,
      reporter: { started: () => void (started += 1) },
      statements: { locks: { mark: async () => true } },
      settings: { shutdown: { interruptedJobRetryDelayMs: 500 } },
    });
  return { clock, hooks, job, execution, run, started: () => started };
}

const works = (): void => undefined;
const fails = (): never => {
  throw new Error("handler broken");
};
const shutdown = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "shutting down");

describe("a job without interceptors", () => {
  it("has its handler called at once", () => {
    const calls: string[] = [];
    const { run } = setUp(() => void calls.push("handler"));
    void run();
    expect(calls).toEqual(["handler"]);
  });
});

describe("beforeJobRun", () => {
  it("is told of the worker, the job and its payload before the job starts", async () => {
    const { hooks, run, job, started } = setUp(works);
    let event: unknown;
    hooks.on("beforeJobRun", (given) => {
      event = { ...given, started: started() };
    });
    expect(await run()).toEqual({ kind: "completed" });
    expect(event).toEqual({ workerId: "w", job, payload: { n: 1 }, started: 0 });
    expect(started()).toBe(1);
  });

  it("skips: the job is completed and was never started", async () => {
    const { hooks, run, started } = setUp(() => expect.unreachable());
    hooks.on("beforeJobRun", () => ({ action: "skip" }));
    expect(await run()).toEqual({ kind: "completed" });
    expect(started()).toBe(0);
  });

  it("fails: the attempt has failed as if the handler had thrown, and was never started", async () => {
    const { hooks, run, started } = setUp(() => expect.unreachable());
    hooks.on("beforeJobRun", () => ({ action: "fail", message: "not now" }));
    expect(await run()).toMatchObject({
      kind: "failed",
      final: false,
      delayMs: 70,
      message: "not now",
      error: { code: "HOWDAH_JOB_REFUSED" },
    });
    expect(started()).toBe(0);
  });

  it("changes what the schema and the handler get, and nothing that is stored", async () => {
    const seen: unknown[] = [];
    const task = defineTask({
      identifier: "t",
      payload: z.strictObject({ n: z.number() }),
      run: (payload, context) => void seen.push(payload, context.job.payload),
    });
    const { hooks, run } = setUp(task);
    hooks.on("beforeJobRun", () => ({ action: "continue", payload: { n: 2 } }));
    expect(await run()).toEqual({ kind: "completed" });
    expect(seen).toEqual([{ n: 2 }, { n: 1 }]);
    hooks.on("beforeJobRun", () => ({ action: "continue", payload: { m: 2 } }));
    expect(await run()).toMatchObject({ kind: "failed", error: { code: "HOWDAH_PAYLOAD_INVALID" } });
  });

  it("changes the items of a batch one by one; those that fail are kept as they were stored", async () => {
    const task = defineBatchTask({
      identifier: "t",
      runBatch: (items: { n: number }[]) => items.map(({ n }) => (n === 20 ? new Error("no") : undefined)),
    });
    const { hooks, run } = setUp(task);
    const off = hooks.on("beforeJobRun", ({ payload }) => ({
      action: "continue",
      payload: (payload as { n: number }[]).map(({ n }) => ({ n: n * 10 })),
    }));
    expect(await run()).toMatchObject({ kind: "failed", payload: '[{"n":2}]' });
    off();
    hooks.on("beforeJobRun", () => ({ action: "continue", payload: [] }));
    expect(await run()).toMatchObject({
      kind: "failed",
      error: { code: "HOWDAH_HOOK_ANSWER_INVALID" },
      message: expect.stringContaining("made 0 items of the 3 of a batch"),
    });
  });

  it("runs the handler from inside of its function", async () => {
    const calls: string[] = [];
    const { hooks, run } = setUp(() => void calls.push("handler"));
    hooks.on("beforeJobRun", () => ({
      action: "continue",
      within(handler) {
        calls.push("in");
        const result = handler();
        calls.push("out");
        return result;
      },
    }));
    expect(await run()).toEqual({ kind: "completed" });
    expect(calls).toEqual(["in", "handler", "out"]);
  });

  it.each([
    ["does not call the handler", () => undefined, "HOWDAH_HOOK_ANSWER_INVALID", 0],
    ["throws", () => fails(), "HOWDAH_HOOK_FAILED", 0],
    [
      "throws afterwards",
      (handler: () => unknown) => {
        handler();
        fails();
      },
      "HOWDAH_HOOK_FAILED",
      1,
    ],
  ])("fails an attempt whose function %s", async (_, within, code, calls) => {
    let called = 0;
    const { hooks, run } = setUp(() => void (called += 1));
    hooks.on("beforeJobRun", () => ({ action: "continue", within: within as <T>(handler: () => T) => T }));
    expect(await run()).toMatchObject({ kind: "failed", error: { code } });
    expect(called).toBe(calls);
  });

  it("never has the handler called twice, and settles as the handler does", async () => {
    let called = 0;
    const { hooks, run } = setUp(() => {
      called += 1;
      return fails();
    });
    hooks.on("beforeJobRun", () => ({
      action: "continue",
      within<T>(handler: () => T) {
        handler();
        return (handler() as Promise<unknown>).then(works) as T;
      },
    }));
    expect(await run()).toMatchObject({ kind: "failed", message: "handler broken" });
    expect(called).toBe(1);
  });

  it("that throws or does not answer fails the attempt", async () => {
    const broken = setUp(() => expect.unreachable());
    broken.hooks.on("beforeJobRun", fails);
    expect(await broken.run()).toMatchObject({ kind: "failed", delayMs: 70, error: { code: "HOWDAH_HOOK_FAILED" } });
    const silent = setUp(() => expect.unreachable());
    silent.hooks.on("beforeJobRun", () => new Promise<undefined>(() => undefined));
    const outcome = silent.run();
    await silent.clock.advance(1_000);
    expect(await outcome).toMatchObject({ kind: "failed", error: { code: "HOWDAH_HOOK_TIMEOUT" } });
  });

  it("calls no handler when the worker is told to stop in the meantime", async () => {
    const { hooks, run, execution, started } = setUp(() => expect.unreachable());
    hooks.on("beforeJobRun", () => execution.abort(shutdown));
    expect(await run()).toEqual({ kind: "interrupted", reason: "shutdown", delayMs: 500 });
    expect(started()).toBe(0);
  });
});

describe("afterJobRun", () => {
  it.each([
    ["completed", works, undefined],
    ["failed", fails, new Error("handler broken")],
    ["snoozed", () => snooze("1h"), undefined],
  ] as const)("is told that the handler has %s, and how long it took", async (outcome, handler, error) => {
    const { hooks, run, clock, job } = setUp(async () => {
      await clock.sleep(40);
      return handler();
    });
    let event: unknown;
    hooks.on("afterJobRun", (given) => {
      event = given;
    });
    const running = run();
    await clock.advance(40);
    await running;
    expect(event).toEqual({ workerId: "w", job, outcome, error, durationMs: 40 });
  });

  it("skips: the job is completed, whatever the handler did", async () => {
    for (const handler of [works, fails, () => snooze("1h")]) {
      const { hooks, run } = setUp(handler);
      hooks.on("afterJobRun", () => ({ action: "skip" }));
      expect(await run()).toEqual({ kind: "completed" });
    }
  });

  it("fails: the attempt has failed, whatever the handler did", async () => {
    for (const handler of [works, () => snooze("1h")]) {
      const { hooks, run } = setUp(handler);
      hooks.on("afterJobRun", () => ({ action: "fail", message: "not good enough" }));
      expect(await run()).toMatchObject({ kind: "failed", delayMs: 70, message: "not good enough" });
    }
  });

  it("keeps what a failure means when it gives it another message", async () => {
    const { hooks, run } = setUp(() => {
      throw unrecoverable(new Error("no such user"));
    });
    hooks.on("afterJobRun", () => ({ action: "fail", message: "given up" }));
    expect(await run()).toMatchObject({
      kind: "failed",
      final: true,
      message: "given up <- caused by: no such user",
      error: { code: "HOWDAH_JOB_REFUSED" },
    });
  });

  it("that throws fails the attempt, and what is left of a batch stays", async () => {
    const task = defineBatchTask({ identifier: "t", runBatch: () => [undefined, new Error("no"), undefined] });
    const { hooks, run } = setUp(task);
    hooks.on("afterJobRun", fails);
    expect(await run()).toMatchObject({
      kind: "failed",
      payload: '[{"n":2}]',
      error: { code: "HOWDAH_HOOK_FAILED" },
    });
  });

  it("is not asked about an attempt that was told to stop, or never began", async () => {
    const stopped = setUp((_payload: unknown, context: { job: unknown }) => {
      (context as Execution).abort(shutdown);
      fails();
    });
    stopped.hooks.on("afterJobRun", () => expect.unreachable());
    expect(await stopped.run()).toMatchObject({ kind: "interrupted" });
    const skipped = setUp(works);
    skipped.hooks.on("beforeJobRun", () => ({ action: "skip" }));
    skipped.hooks.on("afterJobRun", () => expect.unreachable());
    expect(await skipped.run()).toEqual({ kind: "completed" });
  });
});

/** Runs a job with which workers have died, whose marking answers in turn; an error is thrown. */
function setUpSuspect(...answers: (boolean | Error)[]) {
  const clock = createManualClock();
  let calls = 0;
  const registered = createTaskRegistry([defineTask({ identifier: "t", run: () => void (calls += 1) })]).get("t");
  const job = claimedJob({ id: "5", extras: '{"recoveries":2}' });
  const execution = new Execution(job, { logger: silentLogger } as ExecutionContext);
  const mark = async (): Promise<boolean> => {
    const answer = answers.shift() ?? new Error("The database is not there.");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const ended = runJob(registered, execution, {
    hooks: createHooks({ logger: silentLogger, clock }),
    clock,
    reporter: { started: () => undefined },
    statements: { locks: { mark } },
    settings: { shutdown: { interruptedJobRetryDelayMs: 500 } },
  });
  return { clock, execution, ended, calls: () => calls };
}

describe("a job with which workers keep dying", () => {
  it("runs once it is marked", async () => {
    const { ended, calls } = setUpSuspect(true);
    expect([await ended, calls()]).toEqual([{ kind: "completed" }, 1]);
  });

  it("is marked again until the database answers", async () => {
    const { clock, ended, calls } = setUpSuspect(new Error("down"), new Error("down"), true);
    await clock.advance(5_000);
    expect([await ended, calls()]).toEqual([{ kind: "completed" }, 1]);
  });

  it("does not run when it is no longer held, and is lost", async () => {
    const { execution, ended, calls } = setUpSuspect(false);
    expect([await ended, calls()]).toEqual([{ kind: "returned" }, 0]);
    expect(execution.abortedWith).toMatchObject({ code: "HOWDAH_ABORTED_LOST" });
  });

  it("does not run when it is told to stop meanwhile, and ends at once", async () => {
    const { clock, execution, ended, calls } = setUpSuspect(new Error("down"));
    await clock.advance(1);
    execution.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "stop"));
    expect([await ended, calls()]).toEqual([{ kind: "returned" }, 0]);
    expect(clock.pending).toBe(0);
  });

  it("ends as cancelled when it was cancelled before its handler was called", async () => {
    const { execution, ended, calls } = setUpSuspect(true);
    execution.abort(new HowdahError("HOWDAH_ABORTED_CANCELLED", "enough"));
    expect([await ended, calls()]).toEqual([{ kind: "cancelled", reason: "enough" }, 0]);
  });
});
