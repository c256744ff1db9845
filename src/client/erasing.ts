import { HowdahError } from "../errors.ts";
import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { eraseKeys, type KeySource, listKeys } from "../postgres/queries/ending/erase-jobs.ts";
import { isLocked } from "../postgres/sqlstate.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock } from "../runtime/clock.ts";
import { readOptions } from "../runtime/options.ts";
import { storableName } from "./job-filter.ts";
import type { Session } from "./session.ts";

/** Erases what belongs to a person or a customer. */
export interface Erasing {
  /**
   * Erases all jobs with a key, or with keys that begin alike, and everything
   * that was kept of them: jobs that wait and that failed for good, with their
   * payloads; the history of those that ended; failed attempts, lines of logs
   * and progress; and what keeps such a key from being added again. Nothing of
   * that becomes history.
   *
   * Jobs that run are cancelled, and are in `running`: they are gone, with what
   * they leave behind, when the call is made again after they have ended.
   *
   * In batches, each a transaction of its own. A prefix is compared with every
   * key that there is. Jobs without a key are not found, nor is a job that was
   * replaced by its key while it ran.
   */
  eraseJobs(which: EraseFilter): Promise<EraseResult>;
}

/** Whose jobs to erase: exactly one of these. */
export interface EraseFilter {
  /** The key of a job. */
  readonly key?: string | undefined;
  /** What keys begin with, such as `"user:17:"`. */
  readonly keyPrefix?: string | undefined;
}

/** How much was erased. */
export interface EraseResult {
  /** Jobs that waited or had failed for good. */
  readonly jobs: number;
  /** Jobs that had ended, of the history. */
  readonly history: number;
  /** Failed attempts of both. */
  readonly attempts: number;
  /** Lines of their logs. */
  readonly logLines: number;
  /** The ids of jobs that run, and were told to stop: call again when they have ended. */
  readonly running: readonly string[];
}

/** The erasing method on one session. */
export function createErasing(session: Session, { clock }: { readonly clock: Clock }): Erasing {
  const target = { executor: session, schema: session.schema };

  async function erase(keys: readonly string[], total: Total): Promise<void> {
    for (let hasMore = keys.length > 0; hasMore;) {
      const answer = await patiently(clock, () => eraseKeys(target, keys, BATCH_SIZE));
      total.jobs += answer.jobs;
      total.history += answer.history;
      total.attempts += answer.attempts;
      total.logLines += answer.lines;
      for (const id of answer.running) total.running.add(id);
      hasMore = answer.hasMore;
    }
  }

  async function eraseAlike(prefix: string, total: Total): Promise<void> {
    for (const source of SOURCES) {
      for (let after: string | undefined = ""; after !== undefined;) {
        const page = await listKeys(target, source, { prefix, after });
        for (let first = 0; first < page.keys.length; first += KEYS_AT_ONCE)
          await erase(page.keys.slice(first, first + KEYS_AT_ONCE), total);
        after = page.next;
      }
    }
  }

  return {
    async eraseJobs(which) {
      const { key, keyPrefix } = readOptions("eraseJobs", which, {
        key: storableName(MAX_LENGTH.jobKey),
        keyPrefix: storableName(MAX_LENGTH.jobKey),
      });
      if ((key === undefined) === (keyPrefix === undefined))
        throw new HowdahError("HOWDAH_OPTION_INVALID", "eraseJobs() takes exactly one of `key` and `keyPrefix`.");
      const total: Total = { jobs: 0, history: 0, attempts: 0, logLines: 0, running: new Set() };
      if (key !== undefined) await erase([key], total);
      else await eraseAlike(keyPrefix ?? "", total);
      return { ...total, running: [...total.running] };
    },
  };
}

interface Total {
  jobs: number;
  history: number;
  attempts: number;
  logLines: number;
  readonly running: Set<string>;
}

/** What may have keys. */
const SOURCES: readonly KeySource[] = ["jobs", "history", "recent"];

/** Rows of the history that one statement deletes. */
const BATCH_SIZE = 1_000;

/** Keys whose adds wait while one statement erases them. */
const KEYS_AT_ONCE = 200;

/** How often to wait for transactions that hold one of the jobs. */
const ATTEMPTS = 5;

const RETRY = { firstMs: 100, maxMs: 1_000 };

async function patiently<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (attempt === ATTEMPTS)
        throw new HowdahError(
          "HOWDAH_QUERY_TIMEOUT",
          "An open transaction holds one of these jobs or keys. What was erased before stays erased; " +
            "erase the rest when that transaction has ended.",
          error,
        );
      await clock.sleep(backoffMs(RETRY, attempt));
    }
  }
}
