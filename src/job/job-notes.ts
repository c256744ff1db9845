import type { Executor } from "../postgres/driver.ts";
import { writeNotes } from "../postgres/queries/job-notes.ts";
import type { Schema } from "../postgres/schema.ts";
import { isRefused, isTransient } from "../postgres/sqlstate.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Timer } from "../runtime/clock.ts";
import type { LogFields } from "../runtime/logger.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import { encodeProgress, type NoteTaker, toKeptLine } from "./note-taker.ts";
import { type Batch, NotedJobs } from "./noted-jobs.ts";
import type { Ending } from "./outcome.ts";
import type { Reporter } from "./reporter.ts";
import type { TaskRegistry } from "./task-registry.ts";

/**
 * The notes of handlers on the jobs that they run: how far they are, and lines of
 * their logs. All that was noted since is written with one statement, once a second
 * at most, and soon when a job with lines was released. While no handler notes
 * anything there is neither a timer nor a statement, and nothing is made for a job.
 *
 *   note       is written             until then                     is given up when
 *   progress   if the row is still    the next one takes its place   the job is released
 *              locked by the claim
 *   line       if the job is there    the newest ones are kept       the statement is refused
 *   end of a   its notes are deleted                                 the run ends: a sweep
 *   job        if it is gone                                         finds them
 */
export class JobNotes implements NoteTaker {
  readonly #context: JobNotesContext;
  /** What is to be written. Empty while no handler notes anything: then the release of a job need not be told. */
  readonly jobs = new NotedJobs();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** When the last statement was sent, by the monotonic clock. */
  #writtenAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  #failures = 0;
  #lineNumber = 0;
  /** When the last line was logged, in microseconds by the database's clock. */
  #lineAt = 0;

  constructor(context: JobNotesContext) {
    this.#context = context;
  }

  progress(job: ClaimedJob, value: unknown): void {
    if (this.jobs.setProgress(job, encodeProgress(value))) this.#plan(PAUSE_MS);
  }

  log(job: ClaimedJob, message: string, fields?: LogFields): void {
    const { keptLines } = this.#context.tasks.get(job.task);
    if (keptLines === undefined || this.jobs.isFull) return;
    this.#lineNumber = (this.#lineNumber + 1) % MAX_NUMBER;
    const at = String(this.#timeOfLine(job));
    const line = { jobId: job.id, at, attempt: job.attempts, number: this.#lineNumber, ...toKeptLine(message, fields) };
    this.jobs.addLine(job, line, keptLines);
    this.#plan(PAUSE_MS);
  }

  /** The outcome of a job was written, or cannot be. Need not be said of a job that is not in {@link jobs}. */
  released({ job, outcome }: Ending): void {
    const isCompleted = outcome.kind === "completed";
    if (this.jobs.release(job, isCompleted)) this.#plan(this.jobs.byJob.has(job) ? SOON_MS : PAUSE_MS);
  }

  /** Writes what is left, within this time. Nothing is written afterwards until something is noted again. */
  async stop(withinMs: number): Promise<void> {
    if (!this.jobs.hasMore && !this.#writing) return this.#forget();
    const written = new AbortController();
    void this.#writeAll().finally(() => written.abort());
    await this.#context.clock.sleep(withinMs, written.signal);
    this.#forget();
  }

  /** Of one claim it is later than of another, by what the claims took; the order of lines must not depend on that. */
  #timeOfLine(job: ClaimedJob): number {
    const at = job.databaseTime(this.#context.clock.monotonic());
    // Unless the database's clock was set back.
    this.#lineAt = this.#lineAt - at < LATEST_US ? Math.max(at, this.#lineAt) : at;
    return this.#lineAt;
  }

  #forget(): void {
    this.jobs.clear();
    this.#cancel();
  }

  /** Sees to it that a statement is sent, when so much time has passed since the last one. */
  #plan(pauseMs: number): void {
    const { clock } = this.#context;
    const restMs = this.#failures === 0 ? pauseMs : Math.max(pauseMs, backoffMs(BACKOFF, this.#failures));
    const at = Math.max(clock.monotonic(), this.#writtenAt + restMs);
    if (at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = clock.setTimer(at - clock.monotonic(), () => {
      this.#cancel();
      void this.#write();
    });
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  async #writeAll(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  /** Never rejects. */
  #write(): Promise<void> {
    this.#writing ??= this.#send(this.jobs.take()).finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #send(batch: Batch): Promise<void> {
    const { clock, driver, reporter, schema } = this.#context;
    if (batch.progress.length + batch.lines.length + batch.done.length === 0) return;
    this.#writtenAt = clock.monotonic();
    try {
      await writeNotes({ executor: driver, schema }, batch, TIMEOUT_MS);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (this.#failures === 1) reporter.failure("write what handlers note of their jobs", error);
      // One note that cannot be stored must not keep all others from it.
      if (!isRefused(error) || isTransient(error)) this.jobs.putBack(batch);
    }
    if (this.jobs.hasMore) this.#plan(PAUSE_MS);
  }
}

/** What notes stand on. */
export interface JobNotesContext {
  readonly clock: Clock;
  readonly driver: Executor;
  readonly reporter: Pick<Reporter, "failure">;
  readonly schema: Schema;
  readonly tasks: TaskRegistry;
}

/** What the times of claims of one worker differ by at most, as they are reckoned here. */
const LATEST_US = 60_000_000;

/** Between two statements, as a rule. */
const PAUSE_MS = 1_000;

/** The same when a job was released whose last lines were not written. */
const SOON_MS = 50;

const BACKOFF = { firstMs: 1_000, maxMs: 30_000 };

/** Nothing waits for the answer. */
const TIMEOUT_MS = 5_000;

/** Numbers of lines are less than this, which an `integer` of PostgreSQL can hold. */
const MAX_NUMBER = 2_147_483_647;
