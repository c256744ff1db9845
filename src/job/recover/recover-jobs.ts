import { isHowdahError } from "../../errors.ts";
import {
  type JobVerdict,
  listHeldJobs,
  recoverDead,
  type RecoverAnswer,
  type RecoveredJob,
  type RefusedRow,
} from "../../postgres/queries/recover.ts";
import type { SweepTarget } from "../../postgres/queries/sweep.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import type { Job } from "../job.ts";
import { toJob } from "../row.ts";
import type { WorkerContext } from "../worker-context.ts";

/**
 * Returns the jobs of a holder to the queue. Interceptors are asked about each job and
 * hooks are told of each; without either, the jobs need not be read.
 */
export async function recoverJobs(
  context: RecoverJobsContext,
  holder: Holder,
  { recoveryDelayMs }: { readonly recoveryDelayMs: number },
): Promise<Recovered> {
  const { driver, hooks, schema } = context;
  const task: Task = { target: { executor: driver, schema }, holder, recoveryDelayMs };
  const isOneByOne = hooks.has("jobRecovery") || hooks.has("jobInterrupted");
  return isOneByOne ? recoverOneByOne(context, task) : recoverAll(task);
}

type RecoverJobsContext = Pick<WorkerContext, "driver" | "hooks" | "identity" | "reporter" | "schema">;

/** Who held the jobs. */
export interface Holder {
  readonly workerId: string;
  /** Only locks that are older, for holders that may live; `null` for the dead. */
  readonly olderMs: number | null;
}

/** What was returned. */
export interface Recovered {
  readonly jobs: readonly RecoveredJob[];
  /** What triggers and constraints keep from being returned. */
  readonly refused: readonly RefusedRow[];
  /** Nothing is left but that, and what interceptors wanted to be left. */
  readonly isDone: boolean;
}

interface Task {
  readonly target: SweepTarget;
  readonly holder: Holder;
  readonly recoveryDelayMs: number;
}

/** How many jobs one statement returns. */
const BATCH = 5_000;

/** SQLSTATE: a statement was cancelled, or took too long. */
const CANCELLED = "57014";

/** A statement that took too long is tried with this fraction of its jobs. */
const FEWER = 100;

/** How many jobs interceptors are asked about before these are returned. */
const PAGE = 100;

/**
 * Returns all of them, or those with verdicts. What is refused is left out of
 * what follows. When a statement takes too long, it may be for one of its jobs:
 * then fewer are tried at once, until it is found.
 */
async function recoverAll(
  { target, holder, recoveryDelayMs }: Task,
  verdicts?: readonly JobVerdict[],
): Promise<Recovered> {
  const { workerId, olderMs } = holder;
  const jobs: RecoveredJob[] = [];
  const refused: RefusedRow[] = [];
  const all = { dead: [workerId], delayMs: recoveryDelayMs, olderMs, ...(verdicts && { verdicts }) };
  let quantity = BATCH;
  for (;;) {
    const answer = await unlessCancelled(
      recoverDead(target, { ...all, quantity, skip: refused.map(({ id }) => id) }),
      quantity,
    );
    if (answer === undefined) {
      quantity = Math.ceil(quantity / FEWER);
      continue;
    }
    jobs.push(...answer.jobs);
    refused.push(...answer.refused);
    const hasGoneOn = answer.jobs.length + answer.refused.length > 0;
    if (answer.isDone || !hasGoneOn) return { jobs, refused, isDone: answer.isDone };
    if (answer.refused.length > 0) quantity = BATCH;
  }
}

/** The answer; `undefined` when the statement was cancelled and may be tried with fewer jobs. */
async function unlessCancelled(
  answering: Promise<RecoverAnswer>,
  quantity: number,
): Promise<RecoverAnswer | undefined> {
  try {
    return await answering;
  } catch (error) {
    if (quantity > 1 && sqlStateOf(error) === CANCELLED) return undefined;
    throw error;
  }
}

async function recoverOneByOne(context: RecoverJobsContext, task: Task): Promise<Recovered> {
  const { target, holder } = task;
  const recovered: RecoveredJob[] = [];
  const refused: RefusedRow[] = [];
  let isDone = true;
  let after = "0";
  for (;;) {
    const records = await listHeldJobs(target, [holder.workerId], { after, limit: PAGE });
    const held = records.map((record) => toJob(record));
    const verdicts = await decide(context, held);
    if (verdicts.length > 0) {
      const answer = await recoverAll(task, verdicts);
      recovered.push(...answer.jobs);
      refused.push(...answer.refused);
      isDone &&= answer.isDone;
      tell(context, held, answer.jobs);
    }
    after = held.at(-1)?.id ?? after;
    if (held.length < PAGE) return { jobs: recovered, refused, isDone };
  }
}

/** Asks about each job. One that must be left alone has no verdict. */
async function decide(context: RecoverJobsContext, held: readonly Job[]): Promise<readonly JobVerdict[]> {
  const verdicts: JobVerdict[] = [];
  for (const job of held) {
    const verdict = await verdictOn(context, job);
    if (verdict) verdicts.push(verdict);
  }
  return verdicts;
}

async function verdictOn({ hooks, identity, reporter }: RecoverJobsContext, job: Job): Promise<JobVerdict | undefined> {
  const usual: JobVerdict = { id: job.id, action: "default", runAt: null, attempts: null, message: null };
  try {
    const decision = await hooks.decide("jobRecovery", {
      workerId: identity.current,
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
    // A hook that is broken must not keep its job from being recovered.
    if (!isHowdahError(error)) throw error;
    reporter.failure("ask a hook about a job to recover", error);
    return usual;
  }
}

function tell({ hooks }: RecoverJobsContext, held: readonly Job[], recovered: readonly RecoveredJob[]): void {
  if (!hooks.has("jobInterrupted")) return;
  const ids = new Set(recovered.map(({ id }) => id));
  for (const job of held) {
    if (!ids.has(job.id)) continue;
    hooks.emit("jobInterrupted", { workerId: job.lockedBy ?? "", job, reason: "crashed" });
  }
}
