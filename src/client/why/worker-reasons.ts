import { suggestName } from "../../runtime/suggestion.ts";
import { formatCount } from "../views/amounts.ts";
import { forbiddenFlag, isAlive, type JobFacts, mayKnow, type WaitingJob, type WorkerFacts } from "./facts.ts";
import type { JobReason } from "./reason.ts";
import { formatSpan } from "./times.ts";

/** No worker lives, or those that do take no more jobs. */
export function noWorker({ workers, idleWorkers }: JobFacts): JobReason | undefined {
  if (livingOf(workers).length > 0) return undefined;
  const dead = workers.filter((worker) => !isAlive(worker)).length;
  const stopping = workers.filter((worker) => isAlive(worker) && worker.report?.isStopping === true).length;
  const none =
    stopping === 0
      ? "No worker lives that is registered."
      : `No worker takes jobs: ${formatCount(stopping, "worker")} shutting down.`;
  return {
    code: "no_worker",
    message: `${none}${dead === 0 ? "" : ` ${formatCount(dead, "worker")} registered and dead.`}${alsoIdle(idleWorkers)}`,
    remedy:
      idleWorkers > 0
        ? "Idle workers look around every `idlePollInterval`, and when they are notified of another job; or start a worker."
        : "Start a worker. One that has `recovery: false` is not registered and not seen here.",
  };
}

/** No worker that lives knows its task. */
export function taskUnknown({ job, workers, idleWorkers }: JobFacts): JobReason | undefined {
  const living = livingOf(workers);
  if (!job || living.length === 0 || knowingOf(job, living).length > 0) return undefined;
  const nearest = suggestName(job.task, new Set(living.flatMap(({ tasks }) => tasks ?? [])));
  const [who, they] =
    living.length === 1
      ? ["The worker that lives does not know", "it knows"]
      : [`None of the ${living.length} workers that live knows`, "they know"];
  const near = nearest === undefined ? "" : `; the nearest name of a task that ${they} is ${JSON.stringify(nearest)}`;
  return {
    code: "task_unknown",
    message: `${who} its task ${JSON.stringify(job.task)}${near}.${alsoIdle(idleWorkers)}`,
    remedy:
      nearest === undefined
        ? "Start a worker with this task."
        : "Start a worker with this task, or add the job again under the right name.",
  };
}

function alsoIdle(count: number): string {
  if (count === 0) return "";
  return ` ${formatCount(count, "worker")} ${count === 1 ? "is" : "are"} idle, of which it is not known what ${count === 1 ? "it runs" : "they run"}.`;
}

/** Each worker that knows its task forbids one of its flags. */
export function flagForbidden({ job, workers }: JobFacts): JobReason | undefined {
  if (!job) return undefined;
  const knowing = knowingOf(job, livingOf(workers));
  const flags = knowing.map((worker) => forbiddenFlag(worker, job.flags));
  if (knowing.length === 0 || flags.includes(undefined)) return undefined;
  return {
    code: "flag_forbidden",
    message: `Each worker that lives and knows its task forbids one of its flags: ${[...new Set(flags)].join(", ")}.`,
    remedy: "Start a worker that does not forbid it, or wait until they allow it.",
  };
}

/** Each worker that could take it is full. */
export function slotsBusy(facts: JobFacts): JobReason | undefined {
  const { job } = facts;
  const able = ableOf(facts);
  if (!job || able.length === 0 || !able.every(isFull)) return undefined;
  const slots = able.reduce((sum, { report }) => sum + (report?.slots ?? 0), 0);
  const { count, isExact, donePerSecond } = job.before;
  const first = isExact ? formatCount(count, "due job") : `at least ${formatCount(count, "due job")}`;
  const rate = donePerSecond
    ? `, done in ${isExact ? "about" : "more than"} ${formatSpan((count / donePerSecond) * 1_000)} at the present rate`
    : "";
  const before =
    job.queueName === null && count > 0 ? `, and ${first} ${count === 1 ? "comes" : "come"} before it${rate}` : "";
  return {
    code: "slots_busy",
    message: `All ${formatCount(slots, "slot")} of the ${formatCount(able.length, "worker")} that could take it ${slots === 1 ? "is" : "are"} at work${before}.`,
    remedy: "Wait, raise `concurrency`, or start more workers; a lower `priority` number runs first.",
    ...(job.queueName === null ? { jobsBefore: count } : {}),
  };
}

/** The claims of each that could take it and is not full fail. */
export function claimsFail(facts: JobFacts): JobReason | undefined {
  const free = ableOf(facts).filter((worker) => !isFull(worker));
  const [first] = free;
  if (!first || !free.every(({ report }) => report?.claims.failingSince)) return undefined;
  const { failingSince, lastError } = first.report?.claims ?? {};
  return {
    code: "claims_fail",
    message: `The claims of the workers that could take it fail, of ${first.id} since ${failingSince?.toISOString()}: ${lastError}`,
    remedy: "Mend what the error says: it is in the log of the worker, too.",
    workerId: first.id,
  };
}

/** It has been due for longer than a job takes to start of which workers were notified. */
export function unannounced(facts: JobFacts): JobReason | undefined {
  const { job } = facts;
  if (!job || -job.changedInMs < ANNOUNCED_MS) return undefined;
  const inMs = nextScanMs(job, ableOf(facts));
  const when = inMs === undefined ? "with the next full scan" : `with the next full scan, in about ${formatSpan(inMs)}`;
  return {
    code: "unannounced",
    message: `It has been due for ${formatSpan(-job.changedInMs)} and no worker seems to have been notified of it. It is found ${when}.`,
    remedy: "Wait. Jobs added with add_job or a client are announced; rows that are inserted by hand are not.",
  };
}

/** Nothing is in its way. */
export function startsSoon(facts: JobFacts): JobReason {
  const [worker] = ableOf(facts);
  return {
    code: "soon",
    message: "Nothing is in its way: it should start any moment.",
    remedy: "Ask again if it does not.",
    workerId: worker?.id,
  };
}

/** Those that take jobs. */
function livingOf(workers: readonly WorkerFacts[]): readonly WorkerFacts[] {
  const takes = ({ report }: WorkerFacts): boolean => report === null || !(report.isRetired || report.isStopping);
  return workers.filter((worker) => isAlive(worker) && takes(worker));
}

function knowingOf({ task }: WaitingJob, living: readonly WorkerFacts[]): readonly WorkerFacts[] {
  return living.filter((worker) => mayKnow(worker, task));
}

/** Those that could take the job if they had a free slot. */
function ableOf({ job, workers }: JobFacts): readonly WorkerFacts[] {
  if (!job) return [];
  return knowingOf(job, livingOf(workers)).filter((worker) => forbiddenFlag(worker, job.flags) === undefined);
}

/** One that does not say is not known to be full. */
function isFull({ report }: WorkerFacts): boolean {
  return report !== null && report.busy >= report.slots;
}

/** When the first of them scans everything, counted from its heartbeat. */
function nextScanMs({ queueName }: WaitingJob, able: readonly WorkerFacts[]): number | undefined {
  const times = able.flatMap(({ report, silentMs }) => {
    if (report === null) return [];
    const { nextFullScanMs, nextQueueScanMs } = report.claims;
    return [Math.max(0, (queueName === null ? nextFullScanMs : nextQueueScanMs) - silentMs)];
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

/** A notification takes less. */
const ANNOUNCED_MS = 1_000;
