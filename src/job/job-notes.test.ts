import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { sqlError } from "../../test/harness/job-table.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { Driver, Query } from "../postgres/driver.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { JobNotes } from "./job-notes.ts";
import type { Outcome } from "./outcome.ts";
import { defineTask } from "./task.ts";
import { createTaskRegistry } from "./task-registry.ts";

/** Notes of a worker whose statements a test answers; its tasks are `t`, which keeps three lines, and `quiet`. */
function setUp() {
  const clock = createManualClock();
  const sent: { at: number; values: readonly (string | null)[] }[] = [];
  const failures: unknown[] = [];
  const errors: unknown[] = [];
  const driver = {
    async query({ values = [] }: Query) {
      sent.push({ at: clock.monotonic(), values });
      if (errors.length > 0) throw errors.shift();
      return { rows: [], count: 0 };
    },
  } as Partial<Driver> as Driver;
  const tasks = createTaskRegistry([
    defineTask({ identifier: "t", logs: { lines: 3 }, run() {} }),
    defineTask({ identifier: "quiet", run() {} }),
  ]);
  const context = workerContext({ clock, driver, tasks });
  context.hooks.on("workerError", ({ error }) => void failures.push(error));
  const notes = new JobNotes(context);
  const job = (id: string, taskId = "1") =>
    claimedJob(
      { id, taskId },
      {
        sentAt: 0,
        taskIdentifiers: new Map([
          [1, "t"],
          [2, "quiet"],
        ]),
      },
    );
  const end = (job: ReturnType<typeof claimedJob>, outcome: Outcome = { kind: "completed" }) => {
    notes.released({ job, outcome, durationMs: 1, endsChain: true });
  };
  /** The ids, values and messages of a statement. */
  const said = (index: number) => {
    const { values = [] } = sent[index] ?? {};
    return { jobs: values[0], progress: values[3], lines: values[8], full: values[10], done: values[12] };
  };
  return { clock, notes, job, end, sent, said, failures, errors };
}

describe("the notes of a worker", () => {
  it("are written together, the last of each job, once a second", async () => {
    const { clock, notes, job, sent, said } = setUp();
    const [first, second] = [job("1"), job("2")];
    notes.progress(first, 1);
    notes.progress(first, 2);
    notes.progress(second, { done: "a" });
    await clock.advance(0);
    expect(said(0)).toMatchObject({ jobs: "{1,2}", progress: String.raw`{"2","{\"done\":\"a\"}"}` });
    for (let n = 0; n < 1_000; n++) {
      notes.progress(first, n);
      await clock.advance(10);
    }
    expect(sent.map(({ at }) => at)).toEqual([
      0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000,
    ]);
    expect(said(1).jobs).toBe("{1}");
  });

  it("take neither a timer nor a statement while there are none", async () => {
    const { clock, notes, job, end, sent } = setUp();
    end(job("1"));
    notes.log(job("2", "2"), "its task keeps no lines");
    await notes.stop(1_000);
    expect([clock.pending, sent.length, notes.jobs.byJob.size > 0]).toEqual([0, 0, false]);
  });

  it("are not written when they say nothing new", async () => {
    const { clock, notes, job, sent } = setUp();
    const running = job("1");
    notes.progress(running, { done: 1 });
    await clock.advance(5_000);
    notes.progress(running, { done: 1 });
    await clock.advance(5_000);
    expect(sent).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("are given with each time at which a job may be locked", async () => {
    const { clock, notes, job, sent } = setUp();
    const renewed = job("7");
    renewed.renew("1767225600000009");
    notes.progress(renewed, 1);
    await clock.advance(0);
    expect(sent[0]?.values.slice(0, 4)).toEqual([
      "{7,7}",
      '{"w","w"}',
      "{1767225600000000,1767225600000009}",
      '{"1","1"}',
    ]);
  });

  it("go when their job is completed, a second later, and are forgotten here", async () => {
    const { clock, notes, job, end, said, sent } = setUp();
    const [completed, failed] = [job("1"), job("2")];
    notes.progress(completed, 1);
    notes.progress(failed, 1);
    await clock.advance(0);
    end(completed);
    end(failed, { kind: "failed", final: false, error: "no", message: "no", delayMs: 1 });
    expect(notes.jobs.byJob.size > 0).toBe(false);
    await clock.advance(1_000);
    expect(sent).toHaveLength(2);
    expect(said(1)).toMatchObject({ jobs: "{}", done: "{1}" });
    expect(clock.pending).toBe(0);
  });

  it("have the last lines of a job written soon after it was released", async () => {
    const { clock, notes, job, end, said, sent } = setUp();
    const running = job("1");
    notes.log(running, "one");
    await clock.advance(100);
    notes.log(running, "two");
    end(running);
    await clock.advance(0);
    expect(sent).toHaveLength(2);
    expect(said(1)).toMatchObject({ lines: '{"two"}', done: "{1}" });
    expect(notes.jobs.byJob.size > 0).toBe(false);
  });

  it("have the newest lines of a job that logs more than it keeps, and says that there may be more", async () => {
    const { clock, notes, job, said } = setUp();
    const running = job("1");
    for (let n = 1; n <= 7; n++) notes.log(running, `line ${n}`);
    await clock.advance(0);
    expect(said(0)).toMatchObject({ lines: '{"line 4","line 5","line 6","line 7"}', full: "{1}" });
    notes.log(running, "line 8");
    await clock.advance(1_000);
    expect(said(1)).toMatchObject({ lines: '{"line 8"}', full: "{}" });
    for (let n = 9; n <= 10; n++) notes.log(running, `line ${n}`);
    await clock.advance(1_000);
    expect(said(2)).toMatchObject({ lines: '{"line 9","line 10"}', full: "{1}" });
  });

  it("have the newest lines of a job that floods its log, and leave room for those of others", async () => {
    const { clock, notes, job, end, said } = setUp();
    const [flooding, other] = [job("1"), job("2")];
    for (let n = 1; n <= 20_000; n++) notes.log(flooding, `line ${n} ${"x".repeat(1_000)}`);
    notes.log(other, "beside it");
    notes.log(flooding, "the last");
    end(flooding);
    await clock.advance(0);
    const { lines } = said(0);
    expect(lines?.match(/line \d+|the last|beside it/g)).toEqual(["line 19999", "line 20000", "the last", "beside it"]);
  });

  it("wait while the database is away, newer ones in the place of older ones, and one failure is reported", async () => {
    const { clock, notes, job, end, sent, said, failures, errors } = setUp();
    const [running, other] = [job("1"), job("2")];
    errors.push(sqlError("08006"), sqlError("57P03"), sqlError("08006"));
    notes.progress(running, 1);
    notes.log(running, "one");
    notes.progress(other, 1);
    await clock.advance(0);
    notes.progress(running, 2);
    notes.log(running, "two");
    end(other);
    await clock.advance(60_000);
    expect(sent).toHaveLength(4);
    expect(said(3)).toMatchObject({ jobs: "{1}", progress: '{"2"}', lines: '{"one","two"}', done: "{2}" });
    expect(failures).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("are given up when the database refuses them, so that later ones are written", async () => {
    const { clock, notes, job, said, sent, errors } = setUp();
    errors.push(sqlError("22P02"));
    notes.progress(job("1"), 1);
    await clock.advance(0);
    notes.progress(job("2"), 1);
    await clock.advance(10_000);
    expect(sent).toHaveLength(2);
    expect(said(1).jobs).toBe("{2}");
  });

  it("are bounded in memory while nothing can be written", async () => {
    const { clock, notes, job, sent, errors } = setUp();
    errors.push(...Array.from({ length: 20 }, () => sqlError("08006")));
    for (let n = 0; n < 10_000; n++) notes.log(job(String(n)), "x".repeat(2_000));
    await clock.advance(0);
    const length = (sent[0]?.values[8] ?? "").length;
    expect(length).toBeGreaterThan(7_000_000);
    expect(length).toBeLessThan(9_000_000);
  });

  it("are written once more when the worker stops, which waits for them no longer than it says", async () => {
    const { clock, notes, job, said, sent } = setUp();
    const running = job("1");
    notes.progress(running, 1);
    await clock.advance(0);
    notes.progress(running, 2);
    await notes.stop(1_000);
    expect([sent.length, said(1).progress, clock.pending, notes.jobs.byJob.size > 0]).toEqual([2, '{"2"}', 0, false]);
  });
});
