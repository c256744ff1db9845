import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { createRecordingLogger } from "../../test/harness/worker.ts";
import { HowdahError } from "../errors.ts";
import { EVENT_NAMES } from "../hooks/events.ts";
import { createHooks } from "../hooks/hooks.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { HeldJobs } from "./held-jobs.ts";
import { Identity } from "./identity.ts";
import type { Outcome } from "./outcome.ts";
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

describe("a reporter", () => {
  it.each<[Outcome, string[], object]>([
    [{ kind: "completed" }, ["jobComplete"], { completed: 1 }],
    [{ kind: "failed", final: false, error, message: "no", delayMs: 1 }, ["jobFail"], { failed: 1 }],
    [{ kind: "failed", final: true, error, message: "no" }, ["jobPermanentlyFail"], { failed: 1 }],
    [{ kind: "cancelled", reason: "no" }, ["jobPermanentlyFail"], { failed: 1 }],
    [{ kind: "snoozed", delayMs: 1 }, [], { snoozed: 1 }],
    [{ kind: "interrupted", reason: "shutdown", delayMs: 1 }, ["jobInterrupted"], {}],
    [{ kind: "returned" }, [], {}],
  ])("tells of %o once and counts it", (outcome, events, counted) => {
    const { told, reporter, release } = setUp();
    release(outcome);
    expect(told.map(([name]) => name)).toEqual(events);
    expect(reporter.tally).toEqual({ completed: 0, failed: 0, snoozed: 0, ...counted });
  });

  it("says when a failed job runs again, in the hook and in the log", () => {
    const { told, logger, release, job } = setUp();
    release({ kind: "failed", final: false, error, message: "no", delayMs: 1 });
    const retryAt = new Date("2026-01-02T00:00:00Z");
    expect(told).toEqual([["jobFail", { workerId: "w", job, error, durationMs: 5, retryAt }]]);
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
