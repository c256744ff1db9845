import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { createRecordingLogger } from "../../test/harness/worker.ts";
import { HowdahError } from "../errors.ts";
import { type AttemptOutcome, EVENT_NAMES } from "../hooks/events.ts";
import { createHooks } from "../hooks/hooks.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { HeldJobs } from "./held-jobs.ts";
import { Identity } from "./identity.ts";
import type { Ending, Outcome } from "./outcome.ts";
import { Reporter } from "./reporter.ts";

const RUN_AT = String(Date.UTC(2026, 0, 2) * 1000);

function setUp() {
  const logger = createRecordingLogger();
  const hooks = createHooks({ logger });
  const told: [string, unknown][] = [];
  for (const name of EVENT_NAMES) hooks.on(name, (event) => void told.push([name, event]));
  const identity = new Identity(createManualClock(), new HeldJobs());
  const reporter = new Reporter(hooks, logger, identity);
  const job = claimedJob({ id: "7", attempts: "2" });
  const release = (outcome: Outcome, runAt: string | undefined = RUN_AT) =>
    reporter.released({ job, outcome, durationMs: 5, endsChain: true }, runAt);
  return { logger, hooks, told, identity, reporter, job, release };
}

const error = new Error("no");
const INTERRUPTED: Outcome = { kind: "interrupted", reason: "lost", delayMs: 1 };

describe("a reporter", () => {
  it.each<[Outcome, string[], AttemptOutcome | undefined, object]>([
    [{ kind: "completed" }, ["jobComplete"], "completed", { completed: 1 }],
    [{ kind: "failed", final: false, error, message: "no", delayMs: 1 }, ["jobFail"], "retried", { failed: 1 }],
    [{ kind: "failed", final: true, error, message: "no" }, ["jobPermanentlyFail"], "failed", { failed: 1 }],
    [{ kind: "cancelled", reason: "no" }, ["jobPermanentlyFail"], "cancelled", { failed: 1 }],
    [{ kind: "snoozed", delayMs: 1 }, [], "snoozed", { snoozed: 1 }],
    [{ kind: "interrupted", reason: "shutdown", delayMs: 1 }, ["jobInterrupted"], "interrupted", {}],
    [{ kind: "returned" }, [], undefined, {}],
  ])("tells of %o once and counts it", (outcome, events, settled, counted) => {
    const { told, reporter, release, job } = setUp();
    release(outcome);
    expect(told.map(([name]) => name)).toEqual(settled ? [...events, "jobSettle"] : events);
    if (settled) expect(told.at(-1)?.[1]).toEqual({ workerId: "w", job, outcome: settled, durationMs: 5 });
    expect(reporter.tally).toEqual({ completed: 0, failed: 0, snoozed: 0, ...counted });
  });

  it("says how an attempt has ended whose transaction decided about it, as that did", () => {
    const { told, release } = setUp();
    release({ kind: "undecided", otherwise: { kind: "snoozed", delayMs: 1 }, within: () => "7" });
    expect(told).toMatchObject([["jobSettle", { outcome: "snoozed" }]]);
  });

  it.each<[string, (reporter: Reporter, ending: Ending) => void, Outcome, boolean, string[]]>([
    ["refused", (reporter, ending) => reporter.refused(ending), { kind: "completed" }, false, ["lost"]],
    ["refused, as lost", (reporter, ending) => reporter.refused(ending), INTERRUPTED, true, ["lost"]],
    ["refused, unstarted", (reporter, ending) => reporter.refused(ending), { kind: "returned" }, false, []],
    ["refused, unstarted and lost", (reporter, ending) => reporter.refused(ending), { kind: "returned" }, true, []],
    ["unknown", (reporter, ending) => reporter.unknown(ending), { kind: "completed" }, false, ["unknown"]],
    ["unknown, unstarted", (reporter, ending) => reporter.unknown(ending), { kind: "returned" }, false, []],
    ["stuck", (reporter, ending) => reporter.stuck(ending, error, false), { kind: "completed" }, false, []],
    ["given up", (reporter, ending) => reporter.stuck(ending, error, true), { kind: "completed" }, false, ["lost"]],
    ["given up, unstarted", (reporter, ending) => reporter.stuck(ending, error, true), { kind: "returned" }, false, []],
  ])("says of an outcome that is %s how the attempt has ended", (_, tell, outcome, lost, settled) => {
    const { hooks, reporter, job } = setUp();
    const outcomes: string[] = [];
    hooks.on("jobSettle", (event) => void outcomes.push(event.outcome));
    tell(reporter, { job, outcome, durationMs: 5, endsChain: true, lost });
    expect(outcomes).toEqual(settled);
  });

  it("says how long a job has waited that starts", () => {
    const { told, reporter } = setUp();
    const clock = createManualClock();
    const runAt = String(Number(claimedJob().claimedAt) - 2_000_000);
    const job = claimedJob({ runAt }, { sentAt: clock.monotonic() - 250 });
    reporter.started(job, clock);
    expect(told).toEqual([["jobStart", { workerId: "w", job, waitedMs: 2_250 }]]);
    const outcome = { kind: "completed" } as const;
    reporter.released({ job, outcome, durationMs: 5, startedAt: clock.monotonic(), endsChain: true }, undefined);
    expect(told.at(-1)).toEqual([
      "jobSettle",
      { workerId: "w", job, outcome: "completed", durationMs: 5, waitedMs: 2_250 },
    ]);
  });

  it("says when a failed job runs again, in the hook and in the log", () => {
    const { told, logger, release, job } = setUp();
    release({ kind: "failed", final: false, error, message: "no", delayMs: 1 });
    const retryAt = new Date("2026-01-02T00:00:00Z");
    expect(told[0]).toEqual(["jobFail", { workerId: "w", job, error, durationMs: 5, retryAt }]);
    expect(logger.entries).toMatchObject([
      { level: "warn", fields: { job: "7", attempt: 2, retryAt, error: "no", stack: error.stack } },
    ]);
  });

  it("counts what was taken from its handlers apart", () => {
    const { reporter, release, job } = setUp();
    const interrupted = { kind: "interrupted", reason: "shutdown", delayMs: 1 } as const;
    release(interrupted);
    reporter.refused({ job, outcome: interrupted, durationMs: 5, endsChain: true, lost: true });
    expect(reporter.interrupted).toBe(2);
  });

  it("reports a refused outcome and a failure of the background, in the hook and in the log", () => {
    const { told, logger, reporter, job, identity } = setUp();
    reporter.refused({ job, outcome: { kind: "completed" }, durationMs: 5, endsChain: true });
    reporter.failure("claim jobs", error);
    expect(told).toEqual([
      ["jobReleaseRefused", { workerId: "w", job }],
      ["jobSettle", { workerId: "w", job, outcome: "lost", durationMs: 5, waitedMs: undefined }],
      ["workerError", { workerId: identity.current, activity: "claim jobs", error }],
    ]);
    expect(logger.entries.map(({ level }) => level)).toEqual(["warn", "error"]);
    expect(logger.messages("error")).toEqual(["The worker could not claim jobs; it goes on"]);
    expect(reporter.tally).toEqual({ completed: 0, failed: 0, snoozed: 0 });
  });

  it.each([
    ["the session first", ["session", "statements", "statements", "session"], ["error", "error", "debug", "debug"]],
    [
      "statements first, whose message names both",
      ["statements", "session", "statements"],
      ["error", "debug", "debug"],
    ],
  ])("names each remedy for a transaction pooler once: %s", (_, failures, levels) => {
    const { logger, reporter } = setUp();
    const pooler = (cause?: Error) => new HowdahError("HOWDAH_TRANSACTION_POOLER", "a pooler", cause);
    for (const kind of failures) reporter.failure("claim jobs", kind === "session" ? pooler() : pooler(error));
    expect(logger.entries.map(({ level }) => level)).toEqual(levels);
  });
});
