import type { QueueInfo } from "../../client/inspect.ts";
import type { PoolLoad } from "../../client/pool-load.ts";
import type { QueueLimits } from "../../client/queue-limits.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { formatSpan } from "../../client/why/times.ts";
import { parseDuration } from "../../runtime/duration.ts";
import type { LockAnswer, PoolView, QueueLimitsView } from "../contract/group-views.ts";
import { toTime } from "./job-view.ts";

/** What the rules of a queue leave to its jobs, as an answer has it. */
export function toLimitsView(limits: QueueLimits): QueueLimitsView {
  const { concurrency, rate, nextStartAt, parkedUntil, ...rest } = limits;
  return {
    ...rest,
    concurrency: toLimit(concurrency),
    rate: rate && { limit: rate.limit, perMs: parseDuration(rate.per, "per"), burst: rate.burst ?? 1 },
    nextStartAt: toTime(nextStartAt),
    parkedUntil: toTime(parkedUntil),
  };
}

/** A pool as an answer has it. */
export function toPoolView({ concurrency, nextStartAt, ...rest }: PoolLoad): PoolView {
  return { ...rest, concurrency: toLimit(concurrency), nextStartAt: toTime(nextStartAt) };
}

/** Whether the next job of a queue with rules can start, and if not, what is first in its way. */
export function stateOfLimits(limits: QueueLimits, { queue, pool, deadCount, nowMs }: LimitsGround): LimitsState {
  const dead = deadCount === 0 ? "" : ` ${formatCount(deadCount)} of them with workers that died: others return these.`;
  const runs = `${runningOf(limits, queue)}.${dead}`;
  const until = (at: Date): string => `for ${formatSpan(at.getTime() - nowMs)} more`;
  if (limits.isWaiting) {
    const rules = limits.rule === null ? "loses its rules" : `gets the rules of ${limits.rule}`;
    return {
      state: "waiting",
      sentence: `Waits for the end of what runs: then it ${rules}. Until then no job starts.`,
    };
  }
  if (queue.isPaused) return { state: "paused", sentence: `Paused: none of its jobs starts. ${runs}` };
  if (isLater(limits.parkedUntil, nowMs)) {
    return { state: "parked", sentence: `A handler has told it to wait, ${until(limits.parkedUntil)}. ${runs}` };
  }
  if (limits.concurrency !== "unlimited" && limits.running >= limits.concurrency) {
    return { state: "full", sentence: `Full: ${runs}` };
  }
  if (isLater(limits.nextStartAt, nowMs)) {
    const inTime = formatSpan(limits.nextStartAt.getTime() - nowMs);
    return { state: "rated", sentence: `Its rate lets the next job start in ${inTime}. ${runs}` };
  }
  const inPool = pool && obstacleOf(pool, nowMs);
  if (inPool) return { state: "pool_full", sentence: `${inPool} ${runs}` };
  return { state: "open", sentence: `Open: its next job can start. ${runs}` };
}

/** What is known of a queue beside its limits. */
export interface LimitsGround {
  readonly queue: Pick<QueueInfo, "isPaused" | "jobCount">;
  readonly pool: PoolLoad | undefined;
  /** How many of its running jobs are held by workers that died. */
  readonly deadCount: number;
  readonly nowMs: number;
}

/** One of the states of a queue with rules. */
export type LimitsState = Pick<LockAnswer, "state" | "sentence">;

/** Why no job of a pool can start; `undefined` when one can. */
function obstacleOf({ name, concurrency, running, nextStartAt }: PoolLoad, nowMs: number): string | undefined {
  if (concurrency !== "unlimited" && (running ?? 0) >= concurrency)
    return `Its pool ${name} is full: ${formatCount(concurrency, "job")} of its queues run.`;
  if (!isLater(nextStartAt, nowMs)) return undefined;
  return `The rate of its pool ${name} lets the next job start in ${formatSpan(nextStartAt.getTime() - nowMs)}.`;
}

function runningOf({ concurrency, running }: QueueLimits, { jobCount }: LimitsGround["queue"]): string {
  const verb = running === 1 ? "runs" : "run";
  if (concurrency !== "unlimited")
    return `${formatCount(running)} of at most ${formatCount(concurrency, "job")} ${verb}`;
  // Without a limit, what runs is counted among the first jobs.
  const least = jobCount.exact ? "" : "At least ";
  return `${least}${formatCount(running, "job")} ${verb}, without a limit`;
}

function isLater(at: Date | null, nowMs: number): at is Date {
  return at !== null && at.getTime() > nowMs;
}

function toLimit(concurrency: number | "unlimited"): number | null {
  return concurrency === "unlimited" ? null : concurrency;
}
