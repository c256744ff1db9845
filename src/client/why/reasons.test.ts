import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WorkerReport } from "../../job/worker-report.ts";
import type { JobFacts, WaitingJob, WorkerFacts } from "./facts.ts";
import { JOB_REASONS, type JobReasonCode } from "./reason.ts";
import { reasonsOf } from "./reasons.ts";

const NOW = new Date("2030-01-01T00:00:00Z");

const JOB: WaitingJob = {
  id: "42",
  task: "send_email",
  queueName: null,
  attempts: 0,
  maxAttempts: 25,
  lastError: null,
  flags: [],
  runAt: new Date(NOW.getTime() - 10),
  dueInMs: -10,
  changedInMs: -10,
  lockedBy: null,
  lockedForMs: null,
  cancelReason: null,
  taskPausedUntil: null,
  queuePausedUntil: null,
  queueLockedBy: null,
  queueLockedForMs: null,
  queueLimits: null,
  before: { count: 0, isExact: true, firstId: null, locked: 0, donePerSecond: null },
};

const REPORT: WorkerReport = {
  version: "1.2.3",
  host: "host",
  pid: 7,
  runsSince: NOW,
  slots: 4,
  busy: 1,
  cached: 0,
  localQueueSize: null,
  leftBehind: 0,
  unwritten: 0,
  locked: 1,
  tasks: ["send_email", "resize_image"],
  moreTasks: 0,
  forbiddenFlags: [],
  moreForbiddenFlags: 0,
  running: [],
  moreRunning: 0,
  claims: { fullScanAgeMs: 100, nextFullScanMs: 900, nextQueueScanMs: 1_900, failingSince: null, lastError: null },
  isRetired: false,
  isStopping: false,
};

function worker(report: Partial<WorkerReport> | null = {}, facts: Partial<WorkerFacts> = {}): WorkerFacts {
  const said = report && { ...REPORT, ...report };
  const tasks = said ? said.tasks : null;
  return { id: "howdah_w", silentMs: 400, lock: "held", isDeclaredDead: false, report: said, tasks, ...facts };
}

function reasons(job: Partial<WaitingJob> | null, ...workers: WorkerFacts[]) {
  return reasonsOf({ id: "42", now: NOW, job: job === null ? undefined : { ...JOB, ...job }, workers, idleWorkers: 0 });
}

const QUEUED = { queueName: "mail" };
const LIMITS = {
  width: 2,
  held: 1,
  share: null,
  pool: null,
  nextAt: null,
  parkedUntil: null,
  waits: false,
  rule: null,
};
const IN_5_S = String((NOW.getTime() + 5_000) * 1_000);
const BEFORE = { count: 12, isExact: true, firstId: "30", locked: 0, donePerSecond: null };
const full = worker({ busy: 4 });
const claims = { ...REPORT.claims, failingSince: NOW, lastError: "permission denied" };
const failing = worker({ claims });
const running = (id: string, queueName: string | null) => [{ id, task: "send_email", queueName, since: NOW }];

describe("the reasons of a job", () => {
  it("mention idle workers where no other is there, or none knows the task", () => {
    const found = (workers: WorkerFacts[], idleWorkers: number) =>
      reasonsOf({ id: "42", now: NOW, job: { ...JOB, task: "x" }, workers, idleWorkers })[0];
    expect(found([], 1)).toMatchObject({
      code: "no_worker",
      message: "No worker lives that is registered. 1 worker is idle, of which it is not known what it runs.",
      remedy: expect.stringContaining("idlePollInterval"),
    });
    expect(found([worker()], 2)).toMatchObject({
      code: "task_unknown",
      message: expect.stringMatching(/ 2 workers are idle, of which it is not known what they run\.$/),
    });
    expect(found([], 0)?.message).not.toContain("idle");
  });

  it.each<[string, Partial<WaitingJob> | null, readonly WorkerFacts[], readonly JobReasonCode[], RegExp]>([
    ["that is not there", null, [worker()], ["gone"], /no job 42/],
    [
      "that runs",
      { lockedBy: "howdah_w", lockedForMs: 3_000 },
      [worker({ running: running("42", null) })],
      ["running"],
      /process 7 on host\) runs it, claimed 3.0 s ago/,
    ],
    [
      "that runs and was cancelled",
      { lockedBy: "howdah_w", lockedForMs: 3_000, cancelReason: "no longer" },
      [worker({ running: running("42", null) })],
      ["running"],
      /told to stop: no longer/,
    ],
    [
      "that was claimed since the last heartbeat",
      { lockedBy: "howdah_w", lockedForMs: 300 },
      [worker({ cached: 3 })],
      ["running"],
      /holds it/,
    ],
    [
      "that waits in memory",
      { lockedBy: "howdah_w", lockedForMs: 3_000 },
      [worker({ cached: 3, busy: 4 })],
      ["in_memory"],
      /waits for a slot \(4 of 4/,
    ],
    [
      "whose outcome is not written",
      { lockedBy: "howdah_w", lockedForMs: 3_000 },
      [worker({ unwritten: 1 })],
      ["in_memory"],
      /not written yet \(1/,
    ],
    [
      "that a worker of 0.1.0 holds",
      { lockedBy: "howdah_w", lockedForMs: 3_000 },
      [worker(null)],
      ["running"],
      /holds it/,
    ],
    [
      "whose worker is dead",
      { lockedBy: "howdah_w", lockedForMs: 3_000 },
      [worker({}, { lock: "lost", silentMs: 8_000 })],
      ["holder_dead"],
      /is dead: its last heartbeat came 8.0 s ago/,
    ],
    [
      "whose worker is not registered any more",
      { lockedBy: "howdah_x", lockedForMs: 3_000 },
      [worker()],
      ["holder_dead"],
      /not registered\./,
    ],
    [
      "that another program holds",
      { lockedBy: "rs-1", lockedForMs: 3_000 },
      [worker()],
      ["running"],
      /whether that lives is not known/,
    ],
    [
      "that another program has held for a day",
      { lockedBy: "rs-1", lockedForMs: 86_400_000 },
      [worker()],
      ["holder_dead"],
      /for 24 h by rs-1/,
    ],
    ["that failed", { attempts: 25, lastError: "boom\nat x" }, [], ["failed"], /25 of 25\); the last error was: boom$/],
    ["that was cancelled", { attempts: 25, cancelReason: "no longer" }, [], ["cancelled"], /no longer/],
    [
      "that is not due",
      { dueInMs: 90_000, runAt: new Date("2030-01-01T00:01:30Z"), attempts: 2 },
      [worker()],
      ["scheduled"],
      /in 1 min 30 s, at 2030-01-01T00:01:30.000Z, for attempt 3 of 25/,
    ],
    ["that is never due", { dueInMs: 1e18, runAt: new Date(8.64e15) }, [worker()], ["scheduled"], /never due/],
    [
      "whose task is paused",
      { taskPausedUntil: new Date(8.64e15) },
      [worker()],
      ["task_paused"],
      /send_email is paused without an end/,
    ],
    [
      "whose queue is paused",
      { ...QUEUED, queuePausedUntil: NOW },
      [worker()],
      ["queue_paused"],
      /mail is paused until 2030/,
    ],
    ["without workers", {}, [], ["no_worker"], /No worker lives/],
    [
      "whose workers are dead",
      {},
      [worker({}, { isDeclaredDead: true }), worker({}, { lock: "none", silentMs: 31_000 })],
      ["no_worker"],
      /2 workers registered and dead/,
    ],
    [
      "whose workers are shutting down",
      {},
      [worker({ isStopping: true }), worker({}, { isDeclaredDead: true })],
      ["no_worker"],
      /No worker takes jobs: 1 worker shutting down\. 1 worker registered and dead\./,
    ],
    [
      "whose task is unknown",
      { task: "send_emial" },
      [worker(), worker()],
      ["task_unknown"],
      /None of the 2 .* nearest .* "send_email"/,
    ],
    [
      "whose task is unknown to one",
      { task: "x" },
      [worker()],
      ["task_unknown"],
      /^The worker that lives does not know its task "x"\.$/,
    ],
    ["whose task may be one that was cut", { task: "x" }, [worker({ moreTasks: 1 })], ["soon"], /any moment/],
    ["that a worker of another kind may take", { task: "x" }, [worker(), worker(null)], ["soon"], /any moment/],
    [
      "whose flag is forbidden",
      { flags: ["a", "gpu"] },
      [worker({ forbiddenFlags: ["gpu"] })],
      ["flag_forbidden"],
      /: gpu\./,
    ],
    [
      "whose flag one of two forbids",
      { flags: ["gpu"] },
      [worker({ forbiddenFlags: ["gpu"] }), worker()],
      ["soon"],
      /any moment/,
    ],
    [
      "whose queue is locked",
      { ...QUEUED, queueLockedBy: "howdah_w", queueLockedForMs: 60_000, before: { ...BEFORE, count: 0, locked: 3 } },
      [worker({ running: running("39", "mail") })],
      ["queue_locked"],
      /for 1 min 0 s by worker howdah_w, alive 400 ms ago, which runs job 39 of task send_email\. It holds 3 jobs/,
    ],
    [
      "whose queue runs as many jobs as it may",
      { ...QUEUED, queueLimits: { ...LIMITS, width: 3, held: 3 } },
      [worker()],
      ["limit"],
      /mail runs 3 jobs at once/,
    ],
    [
      "whose queue waits to get other rules",
      { ...QUEUED, queueLimits: { ...LIMITS, waits: true } },
      [worker()],
      ["limit"],
      /once the jobs of it that run have ended/,
    ],
    [
      "whose queue and its pool have no token, and that a handler has parked",
      { ...QUEUED, queueLimits: { ...LIMITS, nextAt: IN_5_S, pool: "api", poolNextAt: IN_5_S, parkedUntil: IN_5_S } },
      [worker()],
      ["parked", "rate", "pool"],
      /to wait for 5\.0 s, until/,
    ],
    [
      "whose pool is full",
      { ...QUEUED, queueLimits: { ...LIMITS, width: 0, pool: "api", poolWidth: 9, poolHeld: 9 } },
      [worker()],
      ["pool"],
      /pool api of its queue runs 9 jobs at once/,
    ],
    [
      "whose queue a dead worker has locked",
      { ...QUEUED, queueLockedBy: "howdah_w", queueLockedForMs: 60_000 },
      [worker({}, { lock: "lost", silentMs: 8_000 })],
      ["queue_locked", "no_worker"],
      /which is dead/,
    ],
    [
      "that is not the first of its queue",
      { ...QUEUED, before: BEFORE },
      [worker()],
      ["not_first"],
      /12 due jobs of its queue mail, the first is job 30/,
    ],
    [
      "that waits for a slot",
      { before: { ...BEFORE, count: 1_000, isExact: false } },
      [full, full],
      ["slots_busy"],
      /All 8 slots of the 2 workers .* at least 1,000 due jobs come before it/,
    ],
    [
      "that waits for a slot, with a known rate",
      { before: { ...BEFORE, donePerSecond: 0.1 } },
      [full],
      ["slots_busy"],
      /12 due jobs come before it, done in about 2 min 0 s at the present rate/,
    ],
    ["for which a worker that has just started has a slot", {}, [worker({}, { lock: "lost" })], ["soon"], /any moment/],
    ["for which one worker has a slot", {}, [full, worker()], ["soon"], /any moment/],
    ["for which a retired worker has slots", {}, [full, worker({ isRetired: true })], ["slots_busy"], /All 4 slots/],
    [
      "for which one that shuts down has slots",
      {},
      [full, worker({ isStopping: true })],
      ["slots_busy"],
      /All 4 slots/,
    ],
    ["whose claims fail", {}, [full, failing], ["claims_fail"], /since 2030-01-01T00:00:00.000Z: permission denied/],
    ["whose claims fail in one of two workers", {}, [worker(), failing], ["soon"], /any moment/],
    [
      "that was not announced",
      { changedInMs: -5_000 },
      [worker()],
      ["unannounced"],
      /due for 5.0 s .* in about 500 ms/,
    ],
    [
      "of a queue that was not announced",
      { ...QUEUED, changedInMs: -5_000 },
      [worker()],
      ["unannounced"],
      /in about 1.5 s/,
    ],
    [
      "of which nothing is known",
      { changedInMs: -5_000 },
      [worker(null)],
      ["unannounced"],
      /with the next full scan\.$/,
    ],
    ["that starts any moment", {}, [worker()], ["soon"], /any moment/],
    [
      "with several",
      { ...QUEUED, dueInMs: 5_000, taskPausedUntil: NOW, before: BEFORE },
      [full],
      ["scheduled", "task_paused", "not_first", "slots_busy"],
      /is due in/,
    ],
  ])("%s", (_, job, workers, codes, message) => {
    const found = reasons(job, ...workers);
    expect(found.map(({ code }) => code).sort()).toEqual([...codes].sort());
    expect(found.map((reason) => reason.message).join("\n")).toMatch(message);
  });

  it("are told in one order, at least one, each with what mends it, and some alone, whatever the facts", () => {
    const alone: readonly JobReasonCode[] = [
      "gone",
      "running",
      "in_memory",
      "holder_dead",
      "cancelled",
      "failed",
      "unannounced",
      "soon",
    ];
    fc.assert(
      fc.property(FACTS, (facts) => {
        const found = reasonsOf(facts);
        const places = found.map(({ code }) => JOB_REASONS.indexOf(code));
        expect(places.length).toBeGreaterThan(0);
        expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
        for (const { code, message, remedy } of found) {
          expect(message).toMatch(/^[ -~]+[.\w)]$/);
          expect(remedy).toMatch(/^[A-Z][ -~]+\.$/);
          if (alone.includes(code)) expect(found).toHaveLength(1);
        }
        // What is locked is told of as such, and what is not is not.
        const isHeld = facts.job !== undefined && facts.job.lockedForMs !== null;
        expect(["running", "in_memory", "holder_dead"].includes(found[0]?.code ?? "")).toBe(isHeld);
      }),
      { numRuns: 500 },
    );
  });
});

const id = fc.constantFrom("howdah_a", "howdah_b", "howdah-c", "rs-1");
const ms = fc.constantFrom(0, 400, 5_000, 86_400_000);
const orNull = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(some, { freq: 2 });
const names = fc.subarray(["send_email", "resize_image", "gpu"]);
const date = fc.constantFrom(NOW, new Date(8.64e15));
const FACTS: fc.Arbitrary<JobFacts> = fc.record({
  id: fc.constant("42"),
  now: fc.constant(NOW),
  idleWorkers: fc.constantFrom(0, 2),
  job: fc.option(
    fc
      .record({
        queueName: orNull(fc.constant("mail")),
        task: fc.constantFrom("send_email", "send_emial"),
        attempts: fc.constantFrom(0, 3, 25),
        lastError: orNull(fc.constant("boom")),
        flags: names,
        dueInMs: fc.constantFrom(-5_000, 0, 5_000, 1e18),
        changedInMs: fc.constantFrom(-5_000, -1),
        lockedBy: orNull(id),
        lockedForMs: orNull(ms),
        cancelReason: orNull(fc.constant("no longer")),
        taskPausedUntil: orNull(date),
        queuePausedUntil: orNull(date),
        queueLockedBy: orNull(id),
        queueLockedForMs: orNull(ms),
        before: fc.record({
          count: fc.constantFrom(0, 1, 1_000),
          isExact: fc.boolean(),
          firstId: fc.constant("7"),
          locked: fc.nat(3),
          donePerSecond: orNull(fc.constantFrom(0, 0.1)),
        }),
      })
      .map((job): WaitingJob => ({ ...JOB, ...job })),
    { nil: undefined },
  ),
  workers: fc.array(
    fc
      .record({
        id,
        silentMs: ms,
        lock: fc.constantFrom("held" as const, "lost", "none"),
        isDeclaredDead: fc.boolean(),
        report: orNull(
          fc.record({
            busy: fc.constantFrom(0, 4),
            cached: fc.nat(2),
            unwritten: fc.nat(2),
            forbiddenFlags: names,
            moreTasks: fc.nat(1),
            isRetired: fc.boolean(),
            isStopping: fc.boolean(),
            running: fc.constantFrom([], running("42", null), running("41", "mail")),
            claims: fc.constantFrom(REPORT.claims, claims),
          }),
        ),
        tasks: orNull(names),
      })
      .map(({ report, ...facts }): WorkerFacts => ({ ...worker(report), ...facts })),
    { maxLength: 4 },
  ),
});
