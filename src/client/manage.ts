import { HowdahError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { checkName, MAX_LENGTH } from "../job/add/job-spec.ts";
import { toJob } from "../job/row.ts";
import * as queries from "../postgres/queries/ending/change-jobs.ts";
import { delayCell } from "../postgres/queries/run-times.ts";
import type { Duration } from "../runtime/duration.ts";
import { custom, duration, integer, list, required, string } from "../runtime/option-kinds.ts";
import { invalidOption, type OptionPlace, type OptionsOf, readOptions } from "../runtime/options.ts";
import { checkJobIds, inOrderOf } from "./job-ids.ts";
import { readReason, readTime } from "./option-readers.ts";
import { changing, type Session } from "./session.ts";

/**
 * Changes stored jobs. Jobs that a worker runs are left alone, unless it has
 * held them for more than four hours. Every list that is returned has the
 * order of the ids given, without those that did not qualify.
 */
export interface JobManagement {
  /**
   * Removes the waiting job with this key and returns it. A running job loses
   * its key and its further attempts instead, and is returned as `running`.
   * `undefined` when no job has the key. A key that `unique.for` has kept can be
   * added again, also when its job has ended.
   */
  removeJob(jobKey: string): Promise<Job | undefined>;
  /** Deletes jobs as if they had run, failed ones too, and returns them. */
  completeJobs(ids: readonly string[]): Promise<Job[]>;
  /** Deletes jobs without running them, failed ones too, and returns them. */
  removeJobs(ids: readonly string[]): Promise<Job[]>;
  /** Lets jobs run again, at once and with all their attempts, those that failed for good too, and returns them. */
  retryJobs(ids: readonly string[], options?: RetryOptions): Promise<Job[]>;
  /** Marks jobs as failed for good and returns them. `reason` becomes their `lastError`. Default: "Manually marked as failed". */
  permanentlyFailJobs(ids: readonly string[], reason?: string): Promise<Job[]>;
  /** Changes when and how often jobs run, and returns them. */
  rescheduleJobs(ids: readonly string[], to: RescheduleOptions): Promise<Job[]>;
  /**
   * Unlocks all that these workers hold. Only for workers that are certainly
   * gone: what they still run would run twice.
   */
  forceUnlockWorkers(workerIds: readonly string[]): Promise<void>;
}

/** How jobs run again. */
export interface RetryOptions {
  /**
   * How many attempts they get, counted from the first: `"again"` (default), as
   * many as they had; or a number, 1 to 32767, which becomes their `maxAttempts`.
   */
  readonly attempts?: "again" | number | undefined;
  /**
   * Each job runs at a random time within this span from now, a year at most, so
   * that what they all need is not met by all of them at once. The order of jobs
   * in a queue is then random, too. Default: at once.
   */
  readonly spread?: Duration | undefined;
}

/** What {@link JobManagement.rescheduleJobs} changes. What is left out stays as it is. */
export interface RescheduleOptions {
  /** Not before this time. */
  readonly runAt?: Date | string | undefined;
  /** Not before this time has passed, by the database's clock. Not together with `runAt`. */
  readonly runIn?: Duration | undefined;
  /** -32768 to 32767. */
  readonly priority?: number | undefined;
  /** How often the job counts as started, 0 to 32767; below `maxAttempts` it revives a failed job. */
  readonly attempts?: number | undefined;
  /** 1 to 32767. */
  readonly maxAttempts?: number | undefined;
}

const LONGEST_SPREAD_MS = 365 * 86_400_000;

/** The management methods on one session. */
export function createManagement(session: Session): JobManagement {
  const target = { executor: changing(session), schema: session.schema };

  return {
    async removeJob(jobKey) {
      const key = checkName(jobKey, { name: "jobKey", subject: "the job to remove", max: MAX_LENGTH.jobKey });
      const removed = await queries.removeJob({ ...target, executor: changing(session, key) }, key);
      return removed && toJob(removed);
    },

    async completeJobs(ids) {
      const checked = checkJobIds(ids);
      if (checked.length === 0) return [];
      return inOrderOf(checked, await queries.completeJobs(target, checked));
    },

    async removeJobs(ids) {
      const checked = checkJobIds(ids);
      if (checked.length === 0) return [];
      return inOrderOf(checked, await queries.forgetJobs(target, checked));
    },

    async retryJobs(ids, options) {
      const checked = checkJobIds(ids);
      const again = toRetry(readOptions("retryJobs", options, RETRY_OPTIONS));
      if (checked.length === 0) return [];
      return inOrderOf(checked, await queries.retryJobs(target, checked, again));
    },

    async permanentlyFailJobs(ids, reason) {
      const checked = checkJobIds(ids);
      const text = checkReason(reason);
      if (checked.length === 0) return [];
      return inOrderOf(checked, await queries.permanentlyFailJobs(target, checked, text));
    },

    async rescheduleJobs(ids, to) {
      const checked = checkJobIds(ids);
      const change = readReschedule(to);
      if (checked.length === 0) return [];
      return inOrderOf(checked, await queries.rescheduleJobs(target, checked, change));
    },

    async forceUnlockWorkers(workerIds) {
      const { workerIds: checked } = readOptions("forceUnlockWorkers", { workerIds }, { workerIds: WORKER_IDS });
      if (checked.length > 0) await queries.forceUnlockWorkers(target, checked);
    },
  };
}

/** How {@link RetryOptions} are read. */
export const RETRY_OPTIONS = {
  attempts: custom(readAttempts),
  spread: duration({ max: LONGEST_SPREAD_MS }),
};

/** The options as statements take them. */
export function toRetry({ attempts, spreadMs }: OptionsOf<typeof RETRY_OPTIONS>): queries.RetryChange {
  return { attempts: attempts === "again" ? null : (attempts ?? null), spreadMs: spreadMs ?? 0 };
}

function readAttempts(given: unknown, place: OptionPlace): "again" | number {
  if (given === "again" || (Number.isInteger(given) && (given as number) >= 1 && (given as number) <= 32_767))
    return given as "again" | number;
  throw invalidOption(place, 'must be "again" or a whole number from 1 to 32767', given);
}

const WORKER_IDS = list(required(string()));

/** Reads what to change. Throws `HOWDAH_OPTION_INVALID` when that is nothing. */
export function readReschedule(to: unknown): queries.Reschedule {
  const { runAt, runInMs, priority, attempts, maxAttempts } = readOptions("rescheduleJobs", to, {
    runAt: custom(readTime),
    runIn: duration(),
    priority: integer({ min: -32_768, max: 32_767 }),
    attempts: integer({ min: 0, max: 32_767 }),
    maxAttempts: integer({ min: 1, max: 32_767 }),
  });
  if ([runAt, runInMs, priority, attempts, maxAttempts].every((change) => change === undefined))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "rescheduleJobs() has nothing to change: give `runAt`, `runIn`, `priority`, `attempts` or `maxAttempts`.",
    );
  if (runAt !== undefined && runInMs !== undefined)
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "rescheduleJobs() is given both `runAt` and `runIn`; one of them says when the jobs run.",
    );
  return {
    runAt: runInMs === undefined ? (runAt ?? null) : delayCell(runInMs),
    priority: priority ?? null,
    attempts: attempts ?? null,
    maxAttempts: maxAttempts ?? null,
  };
}

/** An empty reason is kept: only a missing one stands for the default. */
function checkReason(reason: unknown): string | null {
  const { reason: given } = readOptions(
    "permanentlyFailJobs",
    { reason },
    {
      reason: custom(readReason),
    },
  );
  return given ?? null;
}
