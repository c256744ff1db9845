import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { createRecordingLogger } from "../../test/harness/worker.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import { HeldJobs } from "../job/held-jobs.ts";
import { Interventions } from "../job/interventions.ts";
import { defineTask } from "../job/task.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import type { ControlAnswer } from "../postgres/queries/control.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { Control, type ControlledEngine } from "./control.ts";

const NOTHING: ControlAnswer = { queues: [], tasks: [], cancelled: [], locks: new Map(), readAt: "5" };

interface SetUp {
  readonly held?: string[];
  readonly answers?: (Partial<ControlAnswer> | Error)[];
  readonly asksFirst?: boolean;
}

/** Control over a database in memory: `answers` are given in turn, an error is thrown, and then nothing happens any more. */
function setUp({ held = [], answers = [], asksFirst = false }: SetUp = {}) {
  const clock = createManualClock();
  const logger = createRecordingLogger();
  const asked: (readonly string[])[] = [];
  const told: string[] = [];
  const register = new HeldJobs();
  /** Claims jobs, which wait in memory. */
  const cache = (...ids: string[]): ClaimedJob[] => {
    const jobs = ids.map((id) => claimedJob({ id }));
    register.claimed(jobs);
    return jobs;
  };
  for (const job of cache(...held)) register.started(job);
  const timing = { answersAfterMs: 0 };
  const interventions = new Interventions();
  const context = workerContext({
    clock,
    logger,
    held: register,
    tasks: createTaskRegistry(["t", "u"].map((identifier) => defineTask({ identifier, run() {} }))),
  });
  context.hooks.on("workerError", () => void told.push("failed"));
  const engine: ControlledEngine = {
    interventions,
    intervene: () => void told.push("intervene"),
    confirm: (waiting, _locks, askedAt) => void told.push(`confirmed ${idsOf(waiting)} at ${askedAt}`),
    giveBackCached: (waiting) => void told.push(`give back ${idsOf(waiting)}`),
    tasksChanged: () => void told.push("tasks"),
  };
  const control = new Control(context, engine, async (_target, jobIds) => {
    asked.push(jobIds);
    if (timing.answersAfterMs > 0) await clock.sleep(timing.answersAfterMs);
    const answer = answers.shift() ?? {};
    if (answer instanceof Error) throw answer;
    return { ...NOTHING, ...answer };
  });
  if (asksFirst) control.distrust();
  const cancelled = (worker: string, ...ids: string[]) =>
    control.notified(JSON.stringify({ schema: "howdah", worker, cancelled: ids }));
  return {
    clock,
    logger,
    workerId: context.identity.current,
    asked,
    told,
    cache,
    timing,
    interventions,
    control,
    cancelled,
  };
}

function idsOf(jobs: readonly ClaimedJob[]): string {
  return jobs.map(({ id }) => id).join(" ");
}

describe("a worker that listens", () => {
  it("asks about everything when it begins to listen, and then only when it is told", async () => {
    const { clock, asked, control, cancelled, workerId } = setUp({ held: ["1", "2"] });
    control.start();
    control.listening(true);
    await clock.advance(0);
    expect(asked).toEqual([["1", "2"]]);
    await clock.advance(100_000);
    expect(asked).toHaveLength(1);
    cancelled(workerId, "2", "3");
    await clock.advance(0);
    expect(asked.slice(1)).toEqual([["2", "3"]]);
    control.notified('{"schema":"howdah"}');
    await clock.advance(0);
    expect(asked.slice(2)).toEqual([["1", "2"]]);
    await control.stop();
  });

  it("does not ask when jobs of another worker were cancelled, unless it holds one of them", async () => {
    const { clock, asked, control, cancelled } = setUp({ held: ["1"] });
    control.start();
    control.listening(true);
    await clock.advance(0);
    cancelled("other", "2");
    control.notified("nonsense");
    await clock.advance(10_000);
    expect(asked).toHaveLength(1);
    cancelled("its id of before", "1");
    await clock.advance(0);
    expect(asked).toHaveLength(2);
    await control.stop();
  });

  it("asks again until it is answered, about the same jobs and all others", async () => {
    const { clock, asked, told, control, cancelled, workerId } = setUp({
      answers: [{}, new Error("down"), new Error("down")],
    });
    control.start();
    control.listening(true);
    await clock.advance(0);
    cancelled(workerId, "9");
    await clock.advance(60_000);
    expect(asked.slice(1)).toEqual([["9"], ["9"], ["9"]]);
    expect(told.filter((what) => what === "failed")).toEqual(["failed"]);
    await control.stop();
  });
});

describe("a worker that does not listen", () => {
  it("asks once a second while it holds jobs, and not otherwise", async () => {
    const { clock, asked, control, cache } = setUp({ asksFirst: true });
    control.start();
    await clock.advance(0);
    expect(asked).toEqual([[]]);
    await clock.advance(5_000);
    expect(asked).toHaveLength(1);
    cache("4");
    await clock.advance(3_000);
    expect(asked.slice(1)).toEqual([["4"], ["4"], ["4"]]);
    await control.stop();
  });
});

describe("jobs that are too old to start unasked", () => {
  /** Control that listens and holds one job in memory. */
  async function withWaiting() {
    const all = setUp();
    all.control.start();
    all.control.listening(true);
    await all.clock.advance(0);
    all.cache("4");
    all.told.length = 0;
    return all;
  }
  const heard = (told: readonly string[]): string[] => told.filter((what) => what !== "intervene");

  it("are asked about together, and confirmed as of when the question was sent", async () => {
    const { clock, asked, told, control, timing } = await withWaiting();
    timing.answersAfterMs = 300;
    control.askAgain();
    await clock.advance(300);
    expect(asked.slice(1)).toEqual([["4"]]);
    expect(heard(told)).toEqual(["confirmed 4 at 0"]);
    await control.stop();
  });

  it("are asked about anew when a question without them was under way", async () => {
    const { clock, asked, told, control, timing, cache } = await withWaiting();
    timing.answersAfterMs = 300;
    control.askAgain();
    await clock.advance(100);
    cache("5");
    control.askAgain();
    await clock.advance(500);
    expect(asked.slice(1)).toEqual([["4"], ["4", "5"]]);
    expect(heard(told)).toEqual(["confirmed 4 at 0", "confirmed 4 5 at 300"]);
    await control.stop();
  });

  it("go back when three answers in a row came too late, which is said once until one comes in time", async () => {
    const { clock, told, control, logger, timing } = await withWaiting();
    timing.answersAfterMs = 2_000;
    for (let round = 0; round < 6; round += 1) {
      control.askAgain();
      await clock.advance(2_000);
    }
    const confirmed = (...at: number[]): string[] => at.map((ms) => `confirmed 4 at ${ms}`);
    expect(heard(told)).toEqual([...confirmed(0, 2_000), "give back 4", ...confirmed(6_000, 8_000), "give back 4"]);
    const lines = (): number => logger.messages("warn").length;
    expect(lines()).toBe(1);
    timing.answersAfterMs = 0;
    control.askAgain();
    await clock.advance(0);
    timing.answersAfterMs = 2_000;
    for (let round = 0; round < 3; round += 1) {
      control.askAgain();
      await clock.advance(2_000);
    }
    expect(lines()).toBe(2);
    await control.stop();
  });
});

describe("an answer", () => {
  it("makes claims begin anew when other tasks of this worker are paused than before", async () => {
    const task = (name: string) => ({ name, until: "9" });
    const answers = [{ tasks: [task("foreign")] }, { tasks: [task("t")] }, { tasks: [task("t")] }, {}];
    const { clock, told, control } = setUp({ answers, asksFirst: true });
    control.start();
    await clock.advance(0);
    const changes = (): number => told.filter((what) => what === "tasks").length;
    expect(changes()).toBe(0);
    for (const [isTold, expected] of [
      [true, 1],
      [false, 1],
      [true, 2],
    ] as const) {
      if (isTold) control.notified('{"schema":"howdah"}');
      else control.distrust();
      await clock.advance(0);
      expect(changes()).toBe(expected);
    }
    expect(told.filter((what) => what === "intervene")).toHaveLength(4);
    await control.stop();
  });

  it("makes claims begin anew when more was paused or resumed than it shows", async () => {
    const task = (name: string) => ({ name, until: "9" });
    const answers = [{}, {}, { tasks: [task("foreign")] }, { tasks: [task("foreign")] }, {}];
    const { clock, told, control } = setUp({ answers, asksFirst: true });
    control.start();
    await clock.advance(0);
    const changes = (): number => told.filter((what) => what === "tasks").length;
    // Paused and resumed before the question; one pause that is seen; one told alone that is not; two of which one is.
    for (const [times, expected] of [
      [2, 1],
      [1, 1],
      [1, 2],
      [2, 3],
    ] as const) {
      for (let time = 0; time < times; time += 1) control.notified('{"schema":"howdah"}');
      await clock.advance(0);
      expect(changes()).toBe(expected);
    }
    await control.stop();
  });

  it("no longer burdens claims after a while, without asking again", async () => {
    const { clock, asked, interventions, control } = setUp({
      answers: [{ queues: [{ id: 1, name: "q", until: "9" }] }],
    });
    control.start();
    control.listening(true);
    await clock.advance(0);
    expect(interventions.isEmpty).toBe(false);
    await clock.advance(200_000);
    expect(interventions.isEmpty).toBe(true);
    expect(asked).toHaveLength(1);
    await control.stop();
  });

  it("is logged when it is another one, with a few names", async () => {
    const queues = Array.from({ length: 12 }, (_, index) => ({ id: index, name: `q${index}`, until: "9" }));
    const { clock, logger, control } = setUp({ answers: [{}, { queues }, { queues }, {}], asksFirst: true });
    control.start();
    for (let turn = 0; turn < 4; turn += 1) {
      await clock.advance(0);
      control.notified('{"schema":"howdah"}');
    }
    await clock.advance(0);
    expect(logger.messages("info")).toHaveLength(2);
    expect(logger.entries[0]?.fields["queues"]).toBe("q0, q1, q2, q3, q4, q5, q6, q7, q8, q9 and 2 more");
    await control.stop();
  });
});
