import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { HowdahError } from "../../errors.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { Outcome } from "../outcome.ts";
import { Execution, type Surroundings } from "./execution.ts";
import { runSuspect } from "./run-suspect.ts";

/** A job whose marking answers in turn; an error is thrown. */
function setUp(...answers: (boolean | Error)[]) {
  const clock = createManualClock();
  const execution = new Execution(claimedJob({ id: "5" }), {} as Surroundings);
  let calls = 0;
  const mark = async (): Promise<boolean> => {
    const answer = answers.shift() ?? new Error("The database is not there.");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const run = async (): Promise<Outcome> => {
    calls += 1;
    return { kind: "completed" };
  };
  return { clock, execution, ended: runSuspect(execution, { clock, mark }, run), calls: () => calls };
}

describe("runSuspect", () => {
  it("runs the job once it is marked", async () => {
    const { ended, calls } = setUp(true);
    expect([await ended, calls()]).toEqual([{ kind: "completed" }, 1]);
  });

  it("asks again until the database answers", async () => {
    const { clock, ended, calls } = setUp(new Error("down"), new Error("down"), true);
    await clock.advance(5_000);
    expect([await ended, calls()]).toEqual([{ kind: "completed" }, 1]);
  });

  it("does not run what is no longer held, and says that it is lost", async () => {
    const { execution, ended, calls } = setUp(false);
    expect([await ended, calls()]).toEqual([{ kind: "returned" }, 0]);
    expect(execution.abortedWith).toMatchObject({ code: "HOWDAH_ABORTED_LOST" });
  });

  it("does not run what is told to stop meanwhile, and keeps nobody waiting", async () => {
    const { clock, execution, ended, calls } = setUp(new Error("down"));
    await clock.advance(1);
    execution.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "stop"));
    expect([await ended, calls()]).toEqual([{ kind: "returned" }, 0]);
    expect(clock.pending).toBe(0);
  });

  it("ends a job that was cancelled before it was called", async () => {
    const { execution, ended, calls } = setUp(true);
    execution.abort(new HowdahError("HOWDAH_ABORTED_CANCELLED", "enough"));
    expect([await ended, calls()]).toEqual([{ kind: "cancelled", reason: "enough" }, 0]);
  });
});
