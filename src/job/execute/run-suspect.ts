import { HowdahError, isHowdahError } from "../../errors.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import type { Execution } from "./execution.ts";

/** What marking needs. */
export interface MarkSettings {
  readonly clock: Clock;
  /** Marks the row of a job. Resolves to whether the job is still held. */
  mark(job: ClaimedJob): Promise<boolean>;
}

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/**
 * Runs a job with which workers keep dying, once its row says that it is being
 * run: if this worker dies, too, the attempt counts. The job is not run when it
 * turns out to be somebody else's, nor when it is told to stop before the
 * database has answered. Never rejects, as `run` does not.
 */
export async function runSuspect(
  execution: Execution,
  { clock, mark }: MarkSettings,
  run: () => Promise<Outcome>,
): Promise<Outcome> {
  const { job } = execution;
  for (let failures = 1; !execution.abortedWith; failures++) {
    try {
      if (await mark(job)) return execution.abortedWith ? unstarted(execution) : await run();
      execution.abort(new HowdahError("HOWDAH_ABORTED_LOST", `Job ${job.id} of task ${job.task} was taken away.`));
    } catch {
      // The outage is reported by those who claim and release; this only waits for its end.
      await clock.sleep(backoffMs(BACKOFF, failures), execution.signal);
    }
  }
  return unstarted(execution);
}

/** Only a cancelled job does not come back. */
function unstarted({ abortedWith }: Execution): Outcome {
  if (!isHowdahError(abortedWith, "HOWDAH_ABORTED_CANCELLED")) return { kind: "returned" };
  return { kind: "cancelled", reason: abortedWith.message };
}
