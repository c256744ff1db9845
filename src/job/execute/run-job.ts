import { HowdahError } from "../../errors.ts";
import type { HookEmitter } from "../../hooks/hooks.ts";
import type { JobRunDecision } from "../../hooks/interceptors.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import type { RegisteredTask } from "../task-registry.ts";
import { executeJob, toAborted, toFailure } from "./execute-job.ts";
import type { Execution } from "./execution.ts";
import { runSuspect, type MarkSettings } from "./run-suspect.ts";

/** What running a job needs beside its task. */
export interface RunSettings extends MarkSettings {
  readonly hooks: Pick<HookEmitter, "has" | "decide">;
  readonly clock: Clock;
  /** When a job that was interrupted runs again. */
  readonly interruptedRetryMs: number;
  /** The handler is about to be called. */
  started(job: ClaimedJob): void;
}

/**
 * Executes a job between its interceptors. Never rejects: what an interceptor
 * throws fails the attempt. Without interceptors the handler is called at once,
 * unless workers have died with the job before.
 */
export function runJob(registered: RegisteredTask, execution: Execution, settings: RunSettings): Promise<Outcome> {
  if (!execution.job.isSuspect) return start(registered, execution, settings);
  return runSuspect(execution, settings, () => start(registered, execution, settings));
}

function start(registered: RegisteredTask, execution: Execution, settings: RunSettings): Promise<Outcome> {
  const { hooks, interruptedRetryMs, started } = settings;
  if (hooks.has("beforeJobRun") || hooks.has("afterJobRun")) return runIntercepted(registered, execution, settings);
  started(execution.job);
  return executeJob(registered, execution, interruptedRetryMs);
}

async function runIntercepted(
  registered: RegisteredTask,
  execution: Execution,
  settings: RunSettings,
): Promise<Outcome> {
  const { clock, interruptedRetryMs, started } = settings;
  const { job } = execution;
  try {
    const decision = await askBefore(execution, settings);
    // Whoever told the attempt to stop did so while its interceptors were thinking.
    if (execution.abortedWith) return toAborted(execution, registered, interruptedRetryMs);
    if (decision?.action === "skip") return { kind: "completed" };
    if (decision?.action === "fail") return toFailure(refusal(decision.message), registered, job);
    if (decision) execution.change(decision);
    started(job);
    const startedAt = clock.monotonic();
    const outcome = await executeJob(registered, execution, interruptedRetryMs);
    return await askAfter(outcome, { registered, execution, settings, durationMs: clock.monotonic() - startedAt });
  } catch (error) {
    if (execution.abortedWith) return toAborted(execution, registered, interruptedRetryMs);
    return toFailure(error, registered, job);
  }
}

function askBefore({ job }: Execution, { hooks }: RunSettings): Promise<JobRunDecision | undefined> {
  if (!hooks.has("beforeJobRun")) return Promise.resolve(undefined);
  return hooks.decide("beforeJobRun", { workerId: job.lockedBy, job, payload: job.payload });
}

interface Ran {
  readonly registered: RegisteredTask;
  readonly execution: Execution;
  readonly settings: RunSettings;
  readonly durationMs: number;
}

/** Nobody is asked about an attempt that was told to stop, or whose end is in the hands of a transaction. */
async function askAfter(outcome: Outcome, { registered, execution, settings, durationMs }: Ran): Promise<Outcome> {
  const { hooks } = settings;
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
