import { isHowdahError } from "../../errors.ts";
import type { HookEmitter } from "../../hooks/hooks.ts";
import {
  type JobVerdict,
  listHeldJobs,
  recoverDead,
  type RecoveredJob,
  type SweepTarget,
} from "../../postgres/queries/sweep.ts";
import type { Job } from "../job.ts";
import { toJob } from "../row.ts";

/** What recovering jobs needs, and whom it tells. */
export interface RecoverJobsOptions {
  readonly target: SweepTarget;
  readonly hooks: HookEmitter;
  readonly recoveryDelayMs: number;
  /** The id of the worker that recovers. */
  workerId(): string;
  /** An interceptor failed; its job is recovered as usual. */
  failed(error: unknown): void;
}

/** Who held the jobs. */
export interface Deceased {
  readonly workerIds: readonly string[];
  /** Only locks that are older, for holders that may live; `null` for the dead. */
  readonly olderMs: number | null;
}

/** What was given back. */
export interface Recovered {
  readonly jobs: readonly RecoveredJob[];
  /** Nothing is left but what interceptors wanted to be left. */
  readonly isDone: boolean;
}

/** How many jobs are given back by one statement. */
const BATCH = 5_000;

/** How many jobs interceptors are asked about before these are given back. */
const PAGE = 100;

/**
 * Gives back what the dead hold. Who has a say is asked about each job, and
 * who watches is told of each; without either, the jobs need not be read.
 */
export async function recoverJobs(options: RecoverJobsOptions, deceased: Deceased): Promise<Recovered> {
  const { hooks } = options;
  if (hooks.has("jobRecovery") || hooks.has("jobInterrupted")) return recoverOneByOne(options, deceased);
  const jobs: RecoveredJob[] = [];
  for (;;) {
    const answer = await recover(options, deceased);
    jobs.push(...answer.jobs);
    if (answer.isDone || answer.jobs.length < BATCH) return { jobs, isDone: answer.isDone };
  }
}

function recover(
  { target, recoveryDelayMs }: RecoverJobsOptions,
  { workerIds, olderMs }: Deceased,
  verdicts?: readonly JobVerdict[],
): Promise<Recovered> {
  const request = { dead: workerIds, delayMs: recoveryDelayMs, olderMs, quantity: BATCH };
  return recoverDead(target, verdicts ? { ...request, verdicts } : request);
}

async function recoverOneByOne(options: RecoverJobsOptions, deceased: Deceased): Promise<Recovered> {
  const recovered: RecoveredJob[] = [];
  let isDone = true;
  let after = "0";
  for (;;) {
    const rows = await listHeldJobs(options.target, deceased.workerIds, { after, limit: PAGE });
    const held = rows.map((row) => toJob(row));
    const verdicts = await decide(options, held);
    if (verdicts.length > 0) {
      const answer = await recover(options, deceased, verdicts);
      recovered.push(...answer.jobs);
      isDone &&= answer.isDone;
      tell(options.hooks, held, answer.jobs);
    }
    after = held.at(-1)?.id ?? after;
    if (held.length < PAGE) return { jobs: recovered, isDone };
  }
}

/** Asks about each job. One that nothing shall happen to has no verdict. */
async function decide(options: RecoverJobsOptions, held: readonly Job[]): Promise<readonly JobVerdict[]> {
  const verdicts: JobVerdict[] = [];
  for (const job of held) {
    const verdict = await verdictOn(options, job);
    if (verdict) verdicts.push(verdict);
  }
  return verdicts;
}

async function verdictOn({ hooks, workerId, failed }: RecoverJobsOptions, job: Job): Promise<JobVerdict | undefined> {
  const usual: JobVerdict = { id: job.id, action: "default", runAt: null, attempts: null, message: null };
  try {
    const decision = await hooks.decide("jobRecovery", {
      workerId: workerId(),
      previousWorkerId: job.lockedBy ?? "",
      job,
      reason: "crashed",
    });
    switch (decision?.action) {
      case undefined:
        return usual;
      case "skip":
        return undefined;
      case "fail":
        return { ...usual, action: "fail", message: decision.message ?? null };
      case "reschedule": {
        const runAt = String(BigInt(decision.runAt.getTime()) * 1000n);
        return { ...usual, action: "reschedule", runAt, attempts: decision.attempts ?? null };
      }
    }
  } catch (error) {
    // A job is not lost because somebody's hook is broken.
    if (!isHowdahError(error)) throw error;
    failed(error);
    return usual;
  }
}

function tell(hooks: HookEmitter, held: readonly Job[], recovered: readonly RecoveredJob[]): void {
  if (!hooks.has("jobInterrupted")) return;
  const ids = new Set(recovered.map(({ id }) => id));
  for (const job of held) {
    if (!ids.has(job.id)) continue;
    hooks.emit("jobInterrupted", { workerId: job.lockedBy ?? "", job, reason: "crashed" });
  }
}
