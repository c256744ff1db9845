import { systemClock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import { duration, integer, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { RunOnceResult, Worker } from "../worker/worker.ts";
import { passTime, passToNextJob } from "./passing-time.ts";
import type { ManualClock } from "./manual-clock.ts";
import type { RanJob } from "./ran-job.ts";
import { RunLog } from "./run-log.ts";

/**
 * Runs the jobs that are due, also those that these jobs add, and resolves with
 * what happened to each of them. With `within`, time passes as well: jobs that
 * are scheduled, snoozed or tried again run when they come due, in this order.
 *
 * A handler that fails does not make it reject; look at `failed` and `jobs`.
 * Rejects as `worker.runOnce()` does, and with `HOWDAH_OPTION_UNKNOWN` and
 * `HOWDAH_OPTION_INVALID` for the options.
 */
export async function drain(worker: Worker, options: DrainOptions = {}): Promise<Drained> {
  const { withinMs, maxJobs, deadlineMs, clock } = readOptions("drain", options, {
    within: duration({ default: 0 }),
    maxJobs: integer({ min: 1, default: 1_000 }),
    deadline: duration(),
    clock: object<ManualClock>(["advance"]),
  });
  const startedAt = systemClock.monotonic();
  const log = new RunLog(worker.hooks);
  let leftMs = withinMs;
  try {
    for (;;) {
      const ended = await runOnce(worker, maxJobs - log.size, deadlineMs && deadlineMs - passedSince(startedAt));
      if (ended !== "drained") return await resultOf(log, worker, ended);
      const passedMs = await passToNextJob(worker.client, leftMs);
      if (passedMs === undefined) break;
      await clock?.advance(passedMs);
      leftMs -= passedMs;
    }
    await passTime(worker.client, leftMs);
    await clock?.advance(leftMs);
    return await resultOf(log, worker, "drained");
  } finally {
    log.stop();
  }
}

/** How far {@link drain} goes. */
export interface DrainOptions {
  /**
   * Lets this time pass, as if nothing else happened meanwhile: whatever is due
   * later comes due this much earlier, and runs if that is now. Default 0: only
   * what is due already.
   */
  readonly within?: Duration | undefined;
  /** Starts at most this many jobs; a job that adds itself again would never end. Default 1000. */
  readonly maxJobs?: number | undefined;
  /** Starts nothing more after this time. Default: no limit. */
  readonly deadline?: Duration | undefined;
  /** A clock of the application that goes along when time passes. */
  readonly clock?: ManualClock | undefined;
}

/** What {@link drain} did. */
export interface Drained {
  /** Every attempt, in the order of their starts: a job that was tried again is there twice. */
  readonly jobs: readonly RanJob[];
  /** How many attempts completed their job. */
  readonly completed: number;
  /** How many attempts failed, and jobs that were cancelled. */
  readonly failed: number;
  readonly snoozed: number;
  /** There was nothing more to run, or what ended it before. */
  readonly ended: RunOnceResult["ended"];
}

async function runOnce(worker: Worker, maxJobs: number, deadline: number | undefined): Promise<RunOnceResult["ended"]> {
  if (maxJobs <= 0) return "maxJobs";
  if (deadline !== undefined && deadline <= 0) return "deadline";
  const { ended } = await worker.runOnce({ maxJobs, deadline });
  return ended;
}

function passedSince(startedAt: number): number {
  return systemClock.monotonic() - startedAt;
}

async function resultOf(log: RunLog, { client }: Worker, ended: RunOnceResult["ended"]): Promise<Drained> {
  const jobs = await log.read(client);
  const count = (...outcomes: readonly string[]): number =>
    jobs.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const tally = { completed: count("completed"), failed: count("failed", "cancelled"), snoozed: count("snoozed") };
  return { jobs, ...tally, ended };
}
