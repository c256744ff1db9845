import { describe, expect, it } from "vitest";
import { type ClaimedCells, claimedJob } from "../../../test/harness/claimed-job.ts";
import { createGate } from "../../../test/harness/worker.ts";
import { HowdahError } from "../../errors.ts";
import type { JobRunDecision } from "../../hooks/interceptors.ts";
import { createHooks } from "../../hooks/hooks.ts";
import { createSchema } from "../../postgres/schema.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { Chain, toChains } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { cancel, snooze } from "../directive.ts";
import { HeldJobs } from "../held-jobs.ts";
import { defineGatherTask, defineTask, type GatherResult } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import type { GatherContext, GatheredJob } from "./gather-context.ts";
import type { SlotContext, SlotsEngine } from "./slot.ts";
import { Slots } from "./slots.ts";

/** Accepts what is not "hangs", and is never done with that; with "slow" after a turn of the event loop. */
const HANGING = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (value: unknown) =>
      new Promise<{ value: unknown }>((resolve) => {
        if (value === "slow") setImmediate(resolve, { value });
        else if (value !== "hangs") resolve({ value });
      }),
  },
};

interface Call {
  readonly ids: string[];
  readonly jobs: GatheredJob[];
  readonly context: GatherContext;
  end(result?: GatherResult): void;
  fail(error: unknown): void;
}

/** Slots for a task that gathers, whose calls end when the test says so, and for another one. */
function setUp(
  settings: {
    size?: number;
    within?: number;
    concurrency?: number;
    timeout?: number;
    hangs?: boolean;
    slow?: boolean;
  } = {},
) {
  const { size = 3, within = 0, concurrency = 2, timeout } = settings;
  const clock = createManualClock();
  const calls: Call[] = [];
  const gathered = defineGatherTask({
    identifier: "t",
    gather: { size, within },
    ...(timeout === undefined ? {} : { timeout }),
    ...(settings.hangs === true || settings.slow === true ? { payload: HANGING } : {}),
    runMany: (jobs: GatheredJob[], context) =>
      new Promise<GatherResult>((end, fail) => {
        calls.push({ ids: jobs.map(({ job }) => job.id), jobs, context, end, fail });
      }),
  });
  const gate = createGate();
  const other = defineTask({ identifier: "other", run: () => gate.opened });
  const waiting: Chain[] = [];
  const told: string[] = [];
  const left: string[] = [];
  const held = new HeldJobs();
  const hooks = createHooks({ logger: silentLogger, clock });
  const context = {
    held,
    clock,
    hooks,
    tasks: createTaskRegistry([gathered, other]),
    logger: silentLogger,
    schema: createSchema("howdah"),
    statements: { locks: { mark: async () => true } },
    reporter: {
      started: ({ id }) => void told.push(`start ${id}`),
      lost: ({ id }) => void told.push(`lost ${id}`),
      leftBehind: ({ id }) => void left.push(id),
    },
    settings: { concurrency, state: "state", shutdown: { abortPeriodMs: 100, interruptedJobRetryDelayMs: 500 } },
  } as Partial<SlotContext> as SlotContext;
  const engine: SlotsEngine = {
    startUntil: Number.POSITIVE_INFINITY,
    accepts: () => true,
    take(now, accepts) {
      const [next] = waiting;
      return next && accepts?.(next, now) !== false ? waiting.shift() : undefined;
    },
    ended: ({ job: { id }, outcome, endsChain }) => {
      const more = "message" in outcome ? ` (${outcome.message})` : "";
      told.push(`${outcome.kind} ${id}${more}${endsChain ? "" : ", chain goes on"}`);
    },
    settledLate: ({ id, queueId }, endsChain) =>
      void told.push(`late ${id}${queueId !== null && endsChain ? ", chain ends" : ""}`),
    idle: () => void told.push("idle"),
  };
  const slots = new Slots(context, engine);
  const take = (jobs: ClaimedJob[]): void => {
    held.claimed(jobs);
    waiting.push(...toChains(jobs));
  };
  /** As many chains as jobs, unless they are of a queue: then it is one, whose jobs may be of several tasks. */
  const add = (
    ids: readonly string[],
    cells: ClaimedCells = {},
    taskIds: readonly string[] = [],
    plain: readonly string[] = [],
  ): void => {
    const jobs = [
      ...ids.map((id, index) =>
        claimedJob({ id, ...cells, taskId: taskIds[index] ?? cells.taskId ?? "1" }, { taskIdentifiers: TASKS }),
      ),
      ...plain.map((id) => claimedJob({ id, ...cells, payload: "{}" }, { taskIdentifiers: TASKS })),
    ];
    held.claimed(jobs);
    const queued = "queueId" in cells;
    for (const chain of queued ? [new Chain(Number(cells.queueId), jobs)] : jobs.map((job) => new Chain(null, [job])))
      waiting.push(chain);
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const ended = async (): Promise<string[]> => {
    await turn();
    return told.filter((line) => !line.startsWith("start"));
  };
  return { slots, add, take, calls, clock, told, ended, left, hooks, gate, turn, held };
}

const OTHER = { taskId: "2" };

const IN_QUEUE = { queueId: "5" };

const TASKS = new Map([
  [1, "t"],
  [2, "other"],
]);

const jobs = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, n) => String(from + n));

describe("a call", () => {
  it("takes what is at hand, up to its size, in one slot", async () => {
    const { slots, add, calls, ended } = setUp({ concurrency: 4 });
    add(jobs(1, 7));
    slots.resume();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2", "3"], ["4", "5", "6"], ["7"]]);
    expect([slots.busy, slots.free]).toEqual([3, 1]);
    for (const call of calls) call.end();
    expect((await ended()).filter((line) => line !== "idle")).toEqual(jobs(1, 7).map((id) => `completed ${id}`));
    expect([slots.busy, slots.free]).toEqual([0, 4]);
  });

  it("takes what is at hand although no slot is free, of its own task alone", () => {
    const { slots, add, calls } = setUp({ concurrency: 1, within: 1000 });
    add(jobs(1, 2));
    add(["9"], OTHER);
    add(["3"]);
    slots.resume();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"]]);
    expect(slots.free).toBe(0);
  });

  it("waits for more while a slot is free, as long as it says", async () => {
    const { slots, add, calls, clock } = setUp({ within: 1000 });
    add(["1"]);
    slots.resume();
    await clock.advance(999);
    add(["2"]);
    slots.fill();
    expect(calls).toEqual([]);
    await clock.advance(1);
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"]]);
    // What comes later is another call.
    add(["3"]);
    slots.fill();
    await clock.advance(1000);
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"], ["3"]]);
  });

  it("begins when it is full, when no slot is free any more, and when the worker stops", () => {
    const full = setUp({ within: 1000 });
    full.add(jobs(1, 3));
    full.slots.resume();
    expect(full.calls).toHaveLength(1);

    const busy = setUp({ within: 1000 });
    busy.add(["1"]);
    busy.slots.resume();
    expect(busy.calls).toHaveLength(0);
    busy.add(["9"], OTHER);
    busy.slots.fill();
    expect(busy.calls).toHaveLength(1);

    const stopping = setUp({ within: 1000 });
    stopping.add(["1"]);
    stopping.slots.resume();
    stopping.slots.pause();
    expect(stopping.calls).toHaveLength(1);
  });
});

describe("jobs of a queue", () => {
  it("that were claimed together are done in one call, in their order, which ends their chain with the last", async () => {
    const { slots, add, calls, ended } = setUp({ size: 4, within: 1000 });
    add(jobs(1, 4), IN_QUEUE);
    add(["5"], { queueId: "6" });
    slots.resume();
    // They wait for no more, and not for those of another queue.
    expect(calls.map(({ ids }) => ids)).toEqual([jobs(1, 4), ["5"]]);
    expect([slots.busy, slots.free, slots.atWork().length]).toEqual([2, 0, 5]);
    calls[0]?.end([undefined, new Error("no"), snooze(1), undefined]);
    expect(await ended()).toEqual([
      "completed 1, chain goes on",
      "failed 2 (no), chain goes on",
      "snoozed 3, chain goes on",
      "completed 4",
    ]);
    expect([slots.busy, slots.free, slots.atWork().length]).toEqual([1, 1, 1]);
  });

  it("go on in a further call, of those of its task that come next, in the same slot", async () => {
    const { slots, add, calls, ended, gate } = setUp({ size: 2 });
    const kinds = ["1", "1", "1", "2", "1"];
    add(jobs(1, 5), IN_QUEUE, kinds);
    slots.resume();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"]]);
    calls[0]?.end();
    expect(await ended()).toEqual(["completed 1, chain goes on", "completed 2, chain goes on"]);
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"], ["3"]]);
    calls[1]?.end();
    await ended();
    expect([slots.busy, calls.length]).toEqual([1, 2]);
    gate.open();
    await ended();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"], ["3"], ["5"]]);
    calls[2]?.end();
    expect((await ended()).slice(2)).toEqual([
      "completed 3, chain goes on",
      "completed 4, chain goes on",
      "completed 5",
      "idle",
    ]);
    expect([slots.busy, slots.free]).toEqual([0, 2]);
  });

  it("that are settled early leave their slot, and their queue, to the others of the call", async () => {
    const { slots, add, calls, ended, held } = setUp();
    add(jobs(1, 3), IN_QUEUE);
    slots.resume();
    const [call] = calls as [Call];
    const [first, second, third] = call.jobs as [GatheredJob, GatheredJob, GatheredJob];
    call.context.settle(first);
    expect(await ended()).toEqual(["completed 1, chain goes on"]);
    call.context.settle(third);
    expect((await ended()).slice(1)).toEqual(["completed 3, chain goes on"]);
    expect([slots.busy, slots.free, held.jobs("running").map(({ id }) => id)]).toEqual([1, 1, ["2"]]);
    const [left] = held.jobs("running");
    slots.cancel(left as never, "not any more");
    expect(second.signal.aborted).toBe(true);
    call.fail(second.signal.reason);
    expect((await ended()).slice(2)).toEqual(["cancelled 2", "idle"]);
    expect([slots.busy, slots.free]).toEqual([0, 2]);
  });

  it("come in the order of the queue, however long a schema takes for each", async () => {
    const { slots, add, calls, turn } = setUp({ slow: true });
    add(["1"], { ...IN_QUEUE, payload: '"slow"' }, [], ["2", "3"]);
    slots.resume();
    expect(calls).toEqual([]);
    await turn();
    await turn();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2", "3"]]);
  });

  it("that lose their slots keep their queue until the handler has settled", async () => {
    const { slots, add, calls, clock, ended, left } = setUp({ size: 2, timeout: 500 });
    add(jobs(1, 3), IN_QUEUE);
    slots.resume();
    const [call] = calls as [Call];
    call.context.settle(call.jobs[0] as GatheredJob);
    await ended();
    await clock.advance(500);
    await clock.advance(100);
    expect([left, slots.free, slots.detachedCount]).toEqual([["2"], 2, 1]);
    // A later claim of the queue has to wait for it.
    add(["4"], IN_QUEUE);
    slots.fill();
    expect(calls).toHaveLength(1);
    call.end();
    expect((await ended()).filter((line) => line !== "idle")).toEqual([
      "completed 1, chain goes on",
      "failed 2 (Job 2 of task t ran longer than its timeout of 500 ms.), chain goes on",
      "returned 3, chain goes on",
      "late 2, chain ends",
    ]);
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2"], ["4"]]);
  });

  it("are all lost when the worker has claimed their queue again", async () => {
    const { slots, add, calls, told } = setUp();
    add(jobs(1, 3), IN_QUEUE);
    slots.resume();
    const [call] = calls as [Call];
    add(["4"], IN_QUEUE);
    slots.fill();
    expect(call.jobs.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    expect(told.filter((line) => line.startsWith("lost"))).toEqual(["lost 1", "lost 2", "lost 3"]);
    expect(calls).toHaveLength(1);
  });

  it("are told one by one when they must stop, and together at a shutdown", async () => {
    const { slots, add, calls, ended, held } = setUp();
    add(jobs(1, 3), IN_QUEUE);
    slots.resume();
    const [call] = calls as [Call];
    slots.cancel(held.jobs("running")[1] as never, "not any more");
    expect(call.jobs.map(({ signal }) => signal.aborted)).toEqual([false, true, false]);
    slots.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    expect(call.context.signal.aborted).toBe(true);
    call.fail(call.context.signal.reason);
    expect(await ended()).toEqual([
      "interrupted 1, chain goes on",
      "cancelled 2, chain goes on",
      "interrupted 3",
      "idle",
    ]);
  });

  it("of one start of a queue without lanes are done in one call, and others in theirs", async () => {
    const { slots, calls, ended, take } = setUp({ size: 3 });
    const lane = (start: number) => JSON.stringify({ lane: 0, start });
    take(
      jobs(1, 4).map((id) =>
        claimedJob({ id, ...IN_QUEUE, extras: lane(id === "4" ? 2 : 1) }, { taskIdentifiers: TASKS }),
      ),
    );
    slots.resume();
    expect(calls.map(({ ids }) => ids)).toEqual([["1", "2", "3"], ["4"]]);
    for (const call of calls) call.end();
    expect(await ended()).toEqual([
      "completed 1, chain goes on",
      "completed 2, chain goes on",
      "completed 3",
      "completed 4",
      "idle",
    ]);
  });
});

describe("what the handler says", () => {
  it.each<[string, (call: Call) => void, string[]]>([
    ["nothing", ({ end }) => end(), ["completed 1", "completed 2", "completed 3"]],
    ["an error", ({ fail }) => fail(new Error("no")), ["failed 1 (no)", "failed 2 (no)", "failed 3 (no)"]],
    ["snooze for all", ({ end }) => end(snooze("1m")), ["snoozed 1", "snoozed 2", "snoozed 3"]],
    [
      "an outcome for each",
      ({ end }) => end([undefined, new Error("no"), cancel("never")]),
      ["completed 1", "failed 2 (no)", "cancelled 3"],
    ],
    [
      "promises, and what Promise.allSettled gives",
      ({ end }) =>
        end([
          Promise.reject(new Error("late")),
          { status: "rejected", reason: "r" },
          { status: "fulfilled", value: 1 },
        ]),
      ["failed 1 (late)", "failed 2 (r)", "completed 3"],
    ],
    [
      "outcomes of some",
      ({ end, jobs: [first] }) =>
        end(
          new Map<GatheredJob | string, Error | ReturnType<typeof snooze>>([
            [first as GatheredJob, new Error("no")],
            ["3", snooze(1)],
          ]),
        ),
      ["failed 1 (no)", "completed 2", "snoozed 3"],
    ],
    [
      "too few outcomes",
      ({ end }) => end([undefined]),
      [1, 2, 3].map((id) => `failed ${id} (The handler \`runMany\` returned 1 results for 3 jobs.)`),
    ],
    [
      "the outcome of another job",
      ({ end }) => end(new Map([["4", undefined]])),
      [1, 2, 3].map((id) => `failed ${id} (The handler \`runMany\` named "4", which is none of its jobs.)`),
    ],
  ])("%s counts for each job by itself", async (_what, answer, outcomes) => {
    const { slots, add, calls, ended } = setUp();
    add(jobs(1, 3));
    slots.resume();
    answer(calls[0] as Call);
    await ended();
    expect((await ended()).filter((line) => line !== "idle").toSorted()).toEqual(outcomes.toSorted());
    expect(slots.free).toBe(2);
  });

  it("of single jobs counts at once, and for more than what comes later", async () => {
    const { slots, add, calls, ended } = setUp();
    add(jobs(1, 3));
    slots.resume();
    const [call] = calls as [Call];
    const [first, second, third] = call.jobs as [GatheredJob, GatheredJob, GatheredJob];
    call.context.settle(first);
    call.context.fail(second, new Error("no"));
    expect(await ended()).toEqual(["completed 1", "failed 2 (no)"]);
    // The call still has its slot.
    expect(slots.free).toBe(1);
    expect(() => call.context.settle({ ...third, job: { ...third.job, id: "7" } })).toThrow("none of its jobs");
    call.fail(new Error("later"));
    expect(await ended()).toEqual(["completed 1", "failed 2 (no)", "failed 3 (later)", "idle"]);
    expect(slots.free).toBe(2);
  });
});

describe("a job that has to stop", () => {
  it("leaves the call before it begins", async () => {
    const { slots, add, calls, clock, ended, held } = setUp({ within: 1000 });
    add(jobs(1, 2));
    slots.resume();
    const [first] = held.jobs("running");
    slots.cancel(first as never, "not any more");
    expect(await ended()).toEqual(["cancelled 1"]);
    await clock.advance(1000);
    expect(calls.map(({ ids }) => ids)).toEqual([["2"]]);
    expect(slots.free).toBe(1);
  });

  it("is told in a call that has begun, which goes on for the others; all of them, and the call is told", async () => {
    const { slots, add, calls, ended, held } = setUp();
    add(jobs(1, 3));
    slots.resume();
    const [call] = calls as [Call];
    const [first] = held.jobs("running");
    slots.cancel(first as never, "not any more");
    expect(call.jobs.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
    expect(call.context.signal.aborted).toBe(false);
    slots.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    expect(call.context.signal.reason).toMatchObject({ code: "HOWDAH_ABORTED_SHUTDOWN" });
    call.fail(call.context.signal.reason);
    expect(await ended()).toEqual(["cancelled 1", "interrupted 2", "interrupted 3", "idle"]);
  });

  it("has its timeout from the call on, and loses its slot when the handler does not obey", async () => {
    const { slots, add, calls, clock, ended, left, turn } = setUp({ within: 1000, timeout: 500 });
    add(jobs(1, 2));
    slots.resume();
    await clock.advance(1000);
    const [call] = calls as [Call];
    call.context.settle(call.jobs[0] as GatheredJob);
    await turn();
    await clock.advance(499);
    expect(call.context.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(call.context.signal.reason).toMatchObject({ code: "HOWDAH_ABORTED_TIMEOUT" });
    await clock.advance(100);
    expect(left).toEqual(["2"]);
    expect(slots.free).toBe(2);
    call.end();
    const timedOut = "failed 2 (Job 2 of task t ran longer than its timeout of 500 ms.), chain goes on";
    expect((await ended()).filter((line) => line !== "idle")).toEqual(["completed 1", timedOut, "late 2"]);
  });
});

describe("a schema that is never done", () => {
  it("keeps the call from beginning until the time of its job is over", async () => {
    const { slots, add, calls, clock, ended, turn } = setUp({ timeout: 500, hangs: true });
    add(["1"], { payload: '"hangs"' });
    add(["2"]);
    slots.resume();
    await turn();
    expect(calls).toEqual([]);
    await clock.advance(500);
    await clock.advance(100);
    await turn();
    expect(calls.map(({ ids }) => ids)).toEqual([["2"]]);
    calls[0]?.end();
    const timedOut = "failed 1 (Job 1 of task t ran longer than its timeout of 500 ms.), chain goes on";
    expect((await ended()).filter((line) => line !== "idle")).toEqual([timedOut, "completed 2"]);
  });
});

describe("interceptors", () => {
  it("decide about each job, and those that are not run leave the call", async () => {
    const { slots, add, calls, ended, hooks, turn } = setUp();
    hooks.on("beforeJobRun", ({ job }): JobRunDecision | undefined => {
      if (job.id === "1") return { action: "skip" };
      return job.id === "2" ? { action: "fail", message: "refused" } : { action: "continue", payload: "changed" };
    });
    add(jobs(1, 3));
    slots.resume();
    await turn();
    expect(calls.map(({ ids }) => ids)).toEqual([["3"]]);
    expect(calls[0]?.jobs[0]?.payload).toBe("changed");
    calls[0]?.end();
    expect((await ended()).filter((line) => line !== "idle")).toEqual([
      "completed 1",
      "failed 2 (refused)",
      "completed 3",
    ]);
  });

  it("that keep all jobs from being run leave no call", async () => {
    const { slots, add, calls, hooks, turn } = setUp();
    hooks.on("beforeJobRun", (): JobRunDecision => ({ action: "skip" }));
    add(jobs(1, 3));
    slots.resume();
    await turn();
    expect([calls.length, slots.free]).toEqual([0, 2]);
  });
});
