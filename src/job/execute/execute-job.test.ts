import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { HowdahError } from "../../errors.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { cancel, rateLimited, snooze } from "../directive.ts";
import type { RetryPolicy } from "../retry.ts";
import { defineTask } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import { unrecoverable } from "../unrecoverable.ts";
import type { Query } from "../../postgres/driver.ts";
import { createSchema } from "../../postgres/schema.ts";
import { executeJob, toAborted } from "./execute-job.ts";
import { Execution, type ExecutionContext } from "./execution.ts";

const shutdown = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "shutting down");
const timeout = new HowdahError("HOWDAH_ABORTED_TIMEOUT", "too long");

const clock = createManualClock();

/** Runs a handler as attempt 1 of 3, unless told otherwise, aborted beforehand with `reason`. */
function execute(
  run: (payload: unknown) => unknown,
  settings: { retry?: RetryPolicy; attempts?: string; reason?: HowdahError } = {},
) {
  const { retry = { type: "fixed", delay: 70 }, attempts = "1", reason } = settings;
  const registered = createTaskRegistry([defineTask({ identifier: "t", run: run as () => void, retry })]).get("t");
  const job = claimedJob({ payload: '{"a":1}', attempts, maxAttempts: "3" });
  const execution = new Execution(job, {
    logger: silentLogger,
    clock,
  } as Partial<ExecutionContext> as ExecutionContext);
  if (reason) execution.abort(reason);
  return executeJob(registered, execution, 500);
}

function fail(): never {
  throw new Error("no");
}

describe("an attempt", () => {
  it.each([undefined, null, 0, "text", { kind: "snooze", delay: 5 }])(
    "is completed when it returns %o, with that as its result",
    async (value) => {
      expect(await execute(() => value)).toEqual({ kind: "completed", result: value });
      expect(await execute(() => Promise.resolve(value))).toEqual({ kind: "completed", result: value });
    },
  );

  it("is snoozed or cancelled when its handler says so", async () => {
    expect(await execute(() => snooze("2s"))).toEqual({ kind: "snoozed", delayMs: 2_000 });
    expect(await execute(async () => cancel("enough"))).toEqual({ kind: "cancelled", reason: "enough" });
  });

  it("is snoozed with its queue when its handler came up against a limit, whether that is returned or thrown", async () => {
    const inAMinute = new Date(clock.now() + 60_000);
    const parked = (delayMs: number) => ({ kind: "snoozed", delayMs, parksQueue: true });
    expect(await execute(() => rateLimited({ after: "2s" }))).toEqual(parked(2_000));
    expect(await execute(async () => rateLimited({ until: inAMinute }))).toEqual(parked(60_000));
    const thrown = (): never => {
      throw rateLimited({ until: inAMinute });
    };
    expect(await execute(thrown, { attempts: "3" })).toEqual(parked(60_000));
    expect(await execute(thrown, { reason: timeout })).toMatchObject({ kind: "failed", error: timeout });
    expect(await execute(() => rateLimited({ until: new Date(0) }))).toEqual(parked(0));
  });

  it("fails when its handler throws, and asks the policy when to try again", async () => {
    expect(await execute(fail)).toMatchObject({ kind: "failed", final: false, delayMs: 70, message: "no" });
    expect(await execute(fail, { retry: () => "1m" })).toMatchObject({ final: false, delayMs: 60_000 });
  });

  it.each([
    ["the last one", fail, { attempts: "3" }],
    ["beyond the last one", fail, { attempts: "4" }],
    ["what the policy says", fail, { retry: () => false as const }],
    [
      "what the handler says",
      () => {
        throw unrecoverable(new Error("no"));
      },
      {},
    ],
  ])("fails for good when that is %s", async (_why, run, settings) => {
    expect(await execute(run, settings)).toMatchObject({ kind: "failed", final: true, message: "no" });
  });
});

describe("an attempt that was told to stop by a shutdown", () => {
  it("is interrupted when it throws, whatever it throws", async () => {
    const interrupted = { kind: "interrupted", reason: "shutdown", delayMs: 500 };
    expect(await execute(fail, { reason: shutdown })).toEqual(interrupted);
    expect(await execute(fail, { reason: shutdown, attempts: "3" })).toEqual(interrupted);
  });

  it("counts when it ends well all the same", async () => {
    expect(await execute(() => undefined, { reason: shutdown })).toEqual({ kind: "completed" });
    expect(await execute(() => snooze(1), { reason: shutdown })).toEqual({ kind: "snoozed", delayMs: 1 });
  });
});

describe("an attempt that ran into its timeout", () => {
  it.each([
    ["throws", fail],
    ["returns", () => undefined],
    ["snoozes", () => snooze(1)],
  ])("has failed with the timeout when it %s", async (_how, run) => {
    expect(await execute(run, { reason: timeout })).toMatchObject({ kind: "failed", final: false, error: timeout });
    expect(await execute(run, { reason: timeout, attempts: "3" })).toMatchObject({ final: true, error: timeout });
  });
});

describe("toAborted", () => {
  it.each([
    [shutdown, { kind: "interrupted", delayMs: 500 }],
    [timeout, { kind: "failed", error: timeout }],
  ])("ends an attempt without its handler: %s", (reason, expected) => {
    const registered = createTaskRegistry([defineTask({ identifier: "t", run: fail })]).get("t");
    const execution = new Execution(claimedJob(), { logger: silentLogger } as ExecutionContext);
    execution.abort(reason);
    expect(toAborted(execution, registered, 500)).toMatchObject(expected);
  });
});

describe("an attempt whose handler asked to complete the job in a transaction", () => {
  /** A transaction that answers, or fails with this SQLSTATE. */
  const transaction = (code?: string) => ({
    async query() {
      if (code !== undefined) throw Object.assign(new Error("refused"), { code });
      return { rows: [["7"]], count: 1 };
    },
  });

  function complete(then: () => unknown = () => undefined, code?: string) {
    const task = defineTask({
      identifier: "t",
      retry: { type: "fixed", delay: 70 },
      async run(_payload: unknown, context) {
        await context.complete(transaction(code));
        return then() as undefined;
      },
    });
    const context = { logger: silentLogger, schema: createSchema("howdah") } as ExecutionContext;
    const execution = new Execution(claimedJob({ maxAttempts: "3" }), context);
    return { execution, outcome: executeJob(createTaskRegistry([task]).get("t"), execution, 500) };
  }

  it("is undecided: a rollback makes a failure of what it returns, and leaves the rest as it is", async () => {
    expect(await complete().outcome).toMatchObject({
      kind: "undecided",
      otherwise: { kind: "failed", final: false, delayMs: 70, error: { code: "HOWDAH_COMPLETION_ROLLED_BACK" } },
    });
    const thrown = { kind: "undecided", otherwise: { kind: "failed", message: "no" } };
    expect(await complete(fail).outcome).toMatchObject(thrown);
    const snoozed = { kind: "undecided", otherwise: { kind: "snoozed", delayMs: 5 } };
    expect(await complete(() => snooze(5)).outcome).toMatchObject(snoozed);
    const outcome = await complete().outcome;
    expect(outcome.kind === "undecided" && outcome.within()).toBe("7");
  });

  it("fails when it is told that the job is lost, or that there is no transaction", async () => {
    const otherwise = (code: string) => ({ kind: "failed", error: { code } });
    expect(await complete(undefined, "HWLST").outcome).toMatchObject(otherwise("HOWDAH_ABORTED_LOST"));
    expect(await complete(undefined, "25P01").outcome).toMatchObject(otherwise("HOWDAH_OPTION_INVALID"));
    expect(await complete(undefined, "40001").outcome).toMatchObject(otherwise("40001"));
  });

  it("is undecided when it is unknown what became of the call, and failed when it was refused and the handler does not mind", async () => {
    expect(await complete(undefined, "57P01").outcome).toMatchObject({
      kind: "undecided",
      otherwise: { kind: "failed" },
    });
    const task = defineTask({
      identifier: "t",
      run: (_payload: unknown, context) => context.complete(transaction("HWLST")).catch(() => undefined),
    });
    const context = { logger: silentLogger, schema: createSchema("howdah") } as ExecutionContext;
    const execution = new Execution(claimedJob({ maxAttempts: "3" }), context);
    expect(await executeJob(createTaskRegistry([task]).get("t"), execution, 500)).toMatchObject({
      kind: "failed",
      error: { code: "HOWDAH_COMPLETION_ROLLED_BACK" },
    });
  });

  it("is undecided too when its handler has to be left behind", async () => {
    const { execution, outcome } = complete();
    await outcome;
    execution.abort(shutdown);
    const registered = createTaskRegistry([defineTask({ identifier: "t", run: fail })]).get("t");
    expect(toAborted(execution, registered, 500)).toMatchObject({
      kind: "undecided",
      otherwise: { kind: "interrupted", delayMs: 500 },
    });
  });

  it("can no longer complete the job when it has ended", async () => {
    const sent: (string | null)[] = [];
    const { execution, outcome } = complete();
    await outcome;
    await execution.complete({
      async query({ values = [] }: Query) {
        sent.push(...values);
        return { rows: [["8"]], count: 1 };
      },
    });
    // No claim is of no time, so PostgreSQL refuses it and the transaction with it.
    expect(sent).toEqual(["1", "w", "{}", "8", "7", null]);
  });
});
