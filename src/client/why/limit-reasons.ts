import { toDate } from "../../job/row.ts";
import { formatCount } from "../views/amounts.ts";
import type { JobFacts } from "./facts.ts";
import type { JobReason } from "./reason.ts";
import { formatSpan } from "./times.ts";

/** As many jobs of its queue run as its rules let run, or it waits to get other rules. */
export function queueFull({ job }: JobFacts): JobReason | undefined {
  const limits = job?.queueLimits;
  if (!job || !limits) return undefined;
  const { width, held, waits } = limits;
  if (waits) {
    return {
      code: "limit",
      message: `Its queue ${job.queueName} gets other rules once the jobs of it that run have ended.`,
      remedy: "Wait: it gets them within seconds of their end, from any worker that lives.",
    };
  }
  if (width === null || width === 0 || held < width) return undefined;
  return {
    code: "limit",
    message: `Its queue ${job.queueName} runs ${formatCount(held, "job")} at once, as many as its rules let run.`,
    remedy: "Wait for the end of one of them, or let more run with setQueueRules().",
  };
}

/** Its queue has no token now. */
export function queueRated({ now, job }: JobFacts): JobReason | undefined {
  return job?.queueLimits?.nextAt == null
    ? undefined
    : rated("rate", { now, what: `its queue ${job.queueName}`, at: job.queueLimits.nextAt });
}

/** The pool of its queue is full, or has no token now. */
export function poolFull({ now, job }: JobFacts): JobReason | undefined {
  const limits = job?.queueLimits;
  if (limits?.pool == null) return undefined;
  const { pool, poolWidth = null, poolHeld = 0, poolNextAt = null } = limits;
  if (poolNextAt !== null) return rated("pool", { now, what: `the pool ${pool} of its queue`, at: poolNextAt });
  if (poolWidth === null || poolWidth === 0 || poolHeld < poolWidth) return undefined;
  return {
    code: "pool",
    message: `The pool ${pool} of its queue runs ${formatCount(poolHeld, "job")} at once, as many as it may.`,
    remedy: "Wait for the end of one of them, or let more run with setQueuePool().",
  };
}

/** A handler has told its queue to wait. */
export function queueParked({ now, job }: JobFacts): JobReason | undefined {
  const parkedUntil = job?.queueLimits?.parkedUntil;
  if (!job || parkedUntil == null) return undefined;
  const until = toDate(parkedUntil);
  return {
    code: "parked",
    message: `A handler has told its queue ${job.queueName} to wait for ${formatSpan(until.getTime() - now.getTime())}, until ${until.toISOString()}.`,
    remedy: "Wait: it goes on by itself.",
    until,
  };
}

function rated(code: "rate" | "pool", { now, what, at }: Rated): JobReason {
  const until = toDate(at);
  return {
    code,
    message: `The rate of ${what} lets the next job start in ${formatSpan(until.getTime() - now.getTime())}.`,
    remedy: "Wait, or let more start with another rate.",
    until,
  };
}

interface Rated {
  readonly now: Date;
  readonly what: string;
  /** In microseconds. */
  readonly at: string;
}
