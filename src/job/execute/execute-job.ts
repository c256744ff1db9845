import { isHowdahError } from "../../errors.ts";
import { parseDuration } from "../../runtime/duration.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { isDirective, type Directive } from "../directive.ts";
import type { Outcome } from "../outcome.ts";
import { validatePayload } from "../payload.ts";
import type { RegisteredTask } from "../task-registry.ts";
import { isUnrecoverable } from "../unrecoverable.ts";
import { BatchFailure, runBatch } from "./execute-batch.ts";
import type { Execution } from "./execution.ts";

const COMPLETED: Outcome = { kind: "completed" };

/**
 * Calls the handler of a job and says how that ended. Never rejects, whatever
 * the handler throws. A handler that was told to stop and then throws has not
 * failed: the job is interrupted, and comes back after `interruptedRetryMs`.
 */
export async function executeJob(
  registered: RegisteredTask,
  execution: Execution,
  interruptedRetryMs: number,
): Promise<Outcome> {
  try {
    const directive = await callHandler(registered, execution);
    if (isTimedOut(execution)) return toFailure(execution.abortedWith, registered, execution.job);
    return directive === undefined ? COMPLETED : fromDirective(directive);
  } catch (error) {
    return execution.abortedWith
      ? toAborted(execution, registered, interruptedRetryMs)
      : toFailure(error, registered, execution.job);
  }
}

/** How an attempt ends that was told to stop, whether or not its handler has settled. */
export function toAborted(execution: Execution, registered: RegisteredTask, interruptedRetryMs: number): Outcome {
  if (isTimedOut(execution)) return toFailure(execution.abortedWith, registered, execution.job);
  return { kind: "interrupted", reason: "shutdown", delayMs: interruptedRetryMs };
}

/** Runs the handler. What it returns matters only when it is a directive. */
async function callHandler(registered: RegisteredTask, execution: Execution): Promise<Directive | undefined> {
  const { task, schema } = registered;
  if (task.kind === "batch") return runBatch(task, schema, execution);
  const stored = execution.job.payload;
  const payload = schema ? await validatePayload(schema, stored) : stored;
  const result: unknown = await task.run(payload, execution);
  return isDirective(result) ? result : undefined;
}

function fromDirective(directive: Directive): Outcome {
  if (directive.kind === "cancel") return { kind: "cancelled", reason: directive.reason };
  return { kind: "snoozed", delayMs: parseDuration(directive.delay, "the delay of snooze()") };
}

function toFailure(error: unknown, registered: RegisteredTask, job: ClaimedJob): Outcome {
  const payload = BatchFailure.restOf(error);
  const kept = payload === undefined ? {} : { payload };
  const failed = { kind: "failed", error, message: errorMessage(error), ...kept } as const;
  if (isUnrecoverable(error) || job.attempts >= job.maxAttempts) return { ...failed, final: true };
  const delayMs = registered.retry({ attempts: job.attempts, error, job });
  return delayMs === false ? { ...failed, final: true } : { ...failed, final: false, delayMs };
}

function isTimedOut(execution: Execution): boolean {
  return isHowdahError(execution.abortedWith, "HOWDAH_ABORTED_TIMEOUT");
}
