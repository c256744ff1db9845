import type { AddAnnouncer } from "../job/add/store-and-notify.ts";
import type { Executor } from "../postgres/driver.ts";
import { numberArray } from "../postgres/literal.ts";
import { compareIntegers } from "../postgres/position.ts";
import type { DueJobs } from "../postgres/queries/stored-jobs.ts";
import type { Schema } from "../postgres/schema.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock } from "../runtime/clock.ts";

/**
 * Tells workers about jobs after they were committed. Notifications inside of
 * the transactions would make all adds of the database queue for one lock; here
 * one statement at a time speaks for every add that was committed before it
 * was sent, so none goes untold while this process lives. An add that is alone
 * tells itself: there is no other to queue with, and it saves the round trip.
 *
 *   silent    jobs are added                  -> telling
 *   telling   told, and none were added since -> silent
 */
export class Announcer implements AddAnnouncer {
  readonly #options: AnnouncerOptions;
  #addsUnderWay = 0;
  #lastAddEndedAt = Number.NEGATIVE_INFINITY;
  #pending: DueJobs | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  begun(): boolean {
    const quietMs = this.#options.clock.monotonic() - this.#lastAddEndedAt;
    const isAlone = this.#addsUnderWay === 0 && !this.#telling && quietMs >= QUIET_MS;
    this.#addsUnderWay += 1;
    return isAlone;
  }

  ended(): void {
    this.#addsUnderWay -= 1;
    this.#lastAddEndedAt = this.#options.clock.monotonic();
  }

  added(jobs: DueJobs): void {
    if (jobs.count === 0) return;
    this.#pending = this.#pending ? merge(this.#pending, jobs) : jobs;
    this.#telling ??= this.#tellAll();
  }

  /** Resolves when everything that was added has been told, or could not be. */
  async flush(): Promise<void> {
    await this.#telling;
  }

  async #tellAll(): Promise<void> {
    for (let failures = 0; this.#pending && failures < MAX_FAILURES;) {
      const jobs = this.#pending;
      this.#pending = undefined;
      failures = (await this.#tell(jobs)) ? 0 : failures + 1;
      if (failures > 0) this.#pending = this.#pending ? merge(jobs, this.#pending) : jobs;
      if (this.#pending) await this.#options.clock.sleep(failures > 0 ? backoffMs(BACKOFF, failures) : APART_MS);
    }
    this.#pending = undefined;
    this.#telling = undefined;
  }

  /** Resolves to false when the statement failed; the jobs are safe, and polling finds them. */
  async #tell({ count, at, queueIds }: DueJobs): Promise<boolean> {
    const { executor, schema } = this.#options;
    // A notification that a crash of the server loses is one whose listeners are gone too.
    const text = `
      select pg_catalog.set_config('synchronous_commit', 'off', true),
        ${schema.of("_howdah_notify_v1")}($1, ${schema.of("_howdah_at")}($2), $3)`;
    const values = [String(count), at, numberArray(queueIds)];
    try {
      await executor.query({ name: "announce_jobs", text, values });
      return true;
    } catch {
      return false;
    }
  }
}

/** What an announcer needs. */
export interface AnnouncerOptions {
  readonly executor: Executor;
  readonly schema: Schema;
  readonly clock: Clock;
}

/** The shortest time between two notifications of a client. */
const APART_MS = 2;

/** An add that begins so long after the last one ended is alone. */
const QUIET_MS = 5;

const BACKOFF = { firstMs: 100, maxMs: 5_000 };

/** More named queues than a notification carries are not worth collecting. */
const MAX_QUEUES = 50;

/** After this number of failures in a row the workers have found the jobs by polling. */
const MAX_FAILURES = 5;

function merge(a: DueJobs, b: DueJobs): DueJobs {
  return {
    count: a.count + b.count,
    at: compareIntegers(a.at, b.at) <= 0 ? a.at : b.at,
    queueIds: [...new Set([...a.queueIds, ...b.queueIds])].slice(0, MAX_QUEUES),
  };
}
