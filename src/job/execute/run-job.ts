import { HowdahError, isHowdahError } from "../../errors.ts";
import type { JobRunDecision } from "../../hooks/interceptors.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import type { RegisteredTask } from "../task-registry.ts";
import type { WorkerContext } from "../worker-context.ts";
import { executeJob, toAborted, toFailure } from "./execute-job.ts";
import type { Execution } from "./execution.ts";

/**
 * Executes a job between its interceptors. Never rejects: what an interceptor
 * throws fails the attempt. Without interceptors the handler is called at once,
 * unless workers have died with the job before.
 */
export function runJob(registered: RegisteredTask, execution: Execution, context: RunContext): Promise<Outcome> {
  if (!execution.job.isSuspect) return start(registered, execution, context);
  return runSuspect(registered, execution, context);
}

/** What running a job needs beside its task. */
export type RunContext = Pick<WorkerContext, "clock"> & {
  readonly hooks: Pick<WorkerContext["hooks"], "has" | "decide">;
  readonly reporter: Pick<WorkerContext["reporter"], "started">;
  readonly statements: { readonly locks: Pick<WorkerContext["statements"]["locks"], "mark"> };
  readonly settings: { readonly shutdown: Pick<WorkerContext["settings"]["shutdown"], "interruptedJobRetryDelayMs"> };
};

function start(registered: RegisteredTask, execution: Execution, context: RunContext): Promise<Outcome> {
  const { clock, hooks, reporter, settings } = context;
  if (hooks.has("beforeJobRun") || hooks.has("afterJobRun")) return runIntercepted(registered, execution, context);
  reporter.started(execution.job, clock);
  return executeJob(registered, execution, settings.shutdown.interruptedJobRetryDelayMs);
}

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/**
 * Runs a job with which workers keep dying, once its row says that it is being
 * run: if this worker dies, too, the attempt counts. The job is not run when it
 * turns out to belong to another worker, nor when it is told to stop before the
 * database has answered.
 */
async function runSuspect(registered: RegisteredTask, execution: Execution, context: RunContext): Promise<Outcome> {
  const { clock, statements } = context;
  const { job } = execution;
  for (let failures = 1; !execution.abortedWith; failures++) {
    try {
      if (await statements.locks.mark(job)) {
        return execution.abortedWith ? unstarted(execution) : await start(registered, execution, context);
      }
      execution.abort(new HowdahError("HOWDAH_ABORTED_LOST", `Job ${job.id} of task ${job.task} was taken away.`));
    } catch {
      // Claims and releases report the outage; this only waits for its end.
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

async function runIntercepted(registered: RegisteredTask, execution: Execution, context: RunContext): Promise<Outcome> {
  const { clock, reporter } = context;
  const { interruptedJobRetryDelayMs } = context.settings.shutdown;
  const { job } = execution;
  try {
    const decision = await askBefore(execution, context);
    // The attempt may have been told to stop while its interceptors were thinking.
    if (execution.abortedWith) return toAborted(execution, registered, interruptedJobRetryDelayMs);
    if (decision?.action === "skip") return { kind: "completed" };
    if (decision?.action === "fail") return toFailure(refusal(decision.message), registered, job);
    if (decision) execution.change(decision);
    reporter.started(job, clock);
    const startedAt = clock.monotonic();
    const outcome = await executeJob(registered, execution, interruptedJobRetryDelayMs);
    return await askAfter(outcome, { registered, execution, context, durationMs: clock.monotonic() - startedAt });
  } catch (error) {
    if (execution.abortedWith) return toAborted(execution, registered, interruptedJobRetryDelayMs);
    return toFailure(error, registered, job);
  }
}

function askBefore({ job }: Execution, { hooks }: RunContext): Promise<JobRunDecision | undefined> {
  if (!hooks.has("beforeJobRun")) return Promise.resolve(undefined);
  return hooks.decide("beforeJobRun", { workerId: job.lockedBy, job, payload: job.payload });
}

interface Ran {
  readonly registered: RegisteredTask;
  readonly execution: Execution;
  readonly context: RunContext;
  readonly durationMs: number;
}

/** Interceptors are not asked about an attempt that was told to stop, or that a transaction decides about. */
async function askAfter(outcome: Outcome, { registered, execution, context, durationMs }: Ran): Promise<Outcome> {
  const { hooks } = context;
  const { job } = execution;
  if (execution.abortedWith || !isDecidable(outcome) || !hooks.has("afterJobRun")) return outcome;
  const error = outcome.kind === "failed" ? outcome.error : undefined;
  const event = { workerId: job.lockedBy, job, outcome: outcome.kind, error, durationMs };
  try {
    const decision = await hooks.decide("afterJobRun", event);
    if (decision === undefined) return outcome;
    if (decision.action === "skip") return { kind: "completed" };
    return withError(outcome, refusal(decision.message, error), { registered, job });
  } catch (thrown) {
    return withError(outcome, thrown, { registered, job });
  }
}

type Decidable = Extract<Outcome, { readonly kind: "completed" | "failed" | "snoozed" | "cancelled" }>;

function isDecidable(outcome: Outcome): outcome is Decidable {
  const { kind } = outcome;
  return kind === "completed" || kind === "failed" || kind === "snoozed" || kind === "cancelled";
}

/** A failed attempt stays what it was, with another error: its delay, and what is left of a batch. */
function withError(
  outcome: Decidable,
  error: unknown,
  { registered, job }: { readonly registered: RegisteredTask; readonly job: ClaimedJob },
): Outcome {
  if (outcome.kind !== "failed") return toFailure(error, registered, job);
  return { ...outcome, error, message: errorMessage(error) };
}

function refusal(message: string, cause?: unknown): HowdahError {
  return new HowdahError("HOWDAH_JOB_REFUSED", message, cause);
}
