import { HowdahError, isHowdahError } from "../../errors.ts";
import { MAX_DURATION_MS, parseDuration } from "../../runtime/duration.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { isDirective, isRateLimited, type Directive, type RateLimited } from "../directive.ts";
import type { Completed, FailedForGood, Outcome, Retried, Undecided } from "../outcome.ts";
import type { RegisteredTask } from "../task-registry.ts";
import { isUnrecoverable } from "../unrecoverable.ts";
import { BatchFailure, runBatch } from "./execute-batch.ts";
import { enter, type Execution, type SharedCall } from "./execution.ts";
import { InvalidPayload, toInput } from "./invalid-payload.ts";

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
  let outcome: Decided;
  try {
    // The only wait of a plain job: each further one would cost every job as much again.
    const { within } = execution;
    const call = within
      ? enter(within, async () => callHandler(registered, execution))
      : callHandler(registered, execution);
    const result: unknown = await call;
    outcome = toDecided(result, execution, { registered, interruptedRetryMs });
  } catch (error) {
    outcome = thrownOutcome(error, execution, { registered, interruptedRetryMs });
  }
  execution.end();
  return execution.completion ? afterAsking(outcome, registered, execution) : outcome;
}

/** How an attempt ends that was told to stop, whether or not its handler has settled. */
export function toAborted(execution: Execution, registered: RegisteredTask, interruptedRetryMs: number): Outcome {
  const outcome = abortedOutcome(execution, registered, interruptedRetryMs);
  execution.end();
  return execution.completion ? afterAsking(outcome, registered, execution) : outcome;
}

/** How an attempt ends whose handler has thrown. */
function thrownOutcome(error: unknown, execution: Execution, ran: Ran): Decided {
  if (isRateLimited(error)) return toDecided(error, execution, ran);
  if (execution.abortedWith) return abortedOutcome(execution, ran.registered, ran.interruptedRetryMs);
  return toFailure(error, ran.registered, execution.job);
}

/** How a task is run. */
interface Ran {
  readonly registered: RegisteredTask;
  readonly interruptedRetryMs: number;
}

/** How an attempt ends whose handler has returned: done, with that as its result, unless it is a directive. */
function toDecided(result: unknown, execution: Execution, { registered, interruptedRetryMs }: Ran): Decided {
  const { abortedWith } = execution;
  if (abortedWith?.code === "HOWDAH_ABORTED_TIMEOUT") return toFailure(abortedWith, registered, execution.job);
  if (!isDirective(result)) return result === undefined ? COMPLETED : { kind: "completed", result };
  // Later is never, once the job was cancelled.
  const isCancelled = isHowdahError(abortedWith, "HOWDAH_ABORTED_CANCELLED");
  if (isCancelled && result.kind !== "cancel") return abortedOutcome(execution, registered, interruptedRetryMs);
  return fromDirective(result, execution);
}

function abortedOutcome(execution: Execution, registered: RegisteredTask, interruptedRetryMs: number): Decided {
  const { abortedWith } = execution;
  if (abortedWith?.code === "HOWDAH_ABORTED_TIMEOUT") return toFailure(abortedWith, registered, execution.job);
  if (isHowdahError(abortedWith, "HOWDAH_ABORTED_CANCELLED")) return { kind: "cancelled", reason: abortedWith.message };
  if (abortedWith && isUsedUp(execution.job))
    return toFailure(interruptedTooOften(abortedWith), registered, execution.job);
  const reason = isHowdahError(abortedWith, "HOWDAH_ABORTED_LOST") ? "lost" : "shutdown";
  return { kind: "interrupted", reason, delayMs: interruptedRetryMs };
}

/** Its row was marked when the handler was called, so that this attempt counts however it ends. */
function isUsedUp({ isSuspect, attempts, maxAttempts }: ClaimedJob): boolean {
  return isSuspect && attempts >= maxAttempts;
}

function interruptedTooOften({ code, message }: HowdahError): HowdahError {
  return new HowdahError(code, `The job was interrupted again and again, and this was its last attempt: ${message}`);
}

/**
 * The handler has asked to complete the job in a transaction: what it did
 * afterwards counts only if that was rolled back, or the job was not completed
 * in it.
 */
function afterAsking(outcome: Decided, registered: RegisteredTask, execution: Execution): Outcome {
  const { job, completion, undecided } = execution;
  if (completion?.isAsked !== true) return outcome;
  const otherwise = outcome.kind === "completed" ? toFailure(rolledBack(), registered, job) : outcome;
  return undecided ? { kind: "undecided", otherwise, within: () => undecided.transactionId } : otherwise;
}

function rolledBack(): HowdahError {
  return new HowdahError(
    "HOWDAH_COMPLETION_ROLLED_BACK",
    "The transaction in which the handler completed the job was rolled back, and the handler returned all the same.",
  );
}

/** Calls the handler: at once, unless there is a schema. Gives back what it returns, or a promise of that. */
function callHandler({ task, schema }: RegisteredTask, execution: Execution): unknown {
  if (task.kind === "batch") return runBatch(task, schema, execution);
  const given = execution.payload;
  const { gathering } = execution;
  if (gathering) return joinCall(gathering, execution, schema);
  if (!("run" in task)) throw new TypeError(`The jobs of task ${task.identifier} are gathered.`);
  if (!schema) return task.run(given, execution);
  return toInput(schema, given).then((payload) => task.run(payload, execution));
}

/** The handler is called with other jobs; what it says of this one is what is waited for. */
async function joinCall(
  gathering: SharedCall,
  execution: Execution,
  schema: RegisteredTask["schema"],
): Promise<unknown> {
  const given = execution.payload;
  return gathering.join(execution, schema ? await toInput(schema, given) : given);
}

function fromDirective(directive: Directive, execution: Execution): Decided {
  switch (directive.kind) {
    case "cancel":
      return { kind: "cancelled", reason: directive.reason };
    case "snooze":
      return { kind: "snoozed", delayMs: parseDuration(directive.delay, "the delay of snooze()") };
    case "rateLimited":
      return { kind: "snoozed", delayMs: restOf(directive, execution), parksQueue: true };
    default:
      return directive satisfies never;
  }
}

/** How long a limit still lasts; not at all when it ended in the past. */
function restOf({ until }: RateLimited, { clock }: Execution): number {
  if ("afterMs" in until) return until.afterMs;
  return Math.min(Math.max(0, until.at - clock.now()), MAX_DURATION_MS);
}

/** How an attempt ends that failed with `error`: another one follows if the task's policy has one left. */
export function toFailure(error: unknown, registered: RegisteredTask, job: ClaimedJob): Retried | FailedForGood {
  const payload = BatchFailure.restOf(error);
  const kept = payload === undefined ? {} : { payload };
  const failed = { kind: "failed", error, message: describe(error), ...kept } as const;
  if (isHopeless(error, registered) || job.attempts >= job.maxAttempts) return { ...failed, final: true };
  const delayMs = registered.retry({ attempts: job.attempts, error, job });
  return delayMs === false ? { ...failed, final: true } : { ...failed, final: false, delayMs };
}

function isHopeless(error: unknown, { invalidPayload }: RegisteredTask): boolean {
  return isUnrecoverable(error) || (invalidPayload === "fail" && InvalidPayload.is(error));
}

/** With the code where people look for one: no handler has seen the job. */
function describe(error: unknown): string {
  const message = errorMessage(error);
  return InvalidPayload.is(error) ? `${error.code}: ${message}` : message;
}

/** How an attempt ended as far as its handler goes. */
type Decided = Completed | Undecided["otherwise"];

const COMPLETED: Completed = { kind: "completed" };
