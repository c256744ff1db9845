import type { ClaimedJob } from "../job/claimed-job.ts";
import type { JobLogLine } from "../job/job.ts";
import { encodeProgress, type NoteTaker, toKeptLine } from "../job/note-taker.ts";
import type { Clock } from "../runtime/clock.ts";
import type { LogFields } from "../runtime/logger.ts";

/** Keeps what a handler notes of its job instead of storing it: checked as ever, and in the order of the calls. */
export class RecordedNotes implements NoteTaker {
  /** Every progress, as `getJob` would give it. */
  readonly values: unknown[] = [];
  /** Every line, whether or not the task keeps its log. */
  readonly lines: JobLogLine[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  progress(_job: ClaimedJob, value: unknown): void {
    this.values.push(JSON.parse(encodeProgress(value)));
  }

  log({ attempts }: ClaimedJob, message: string, fields?: LogFields): void {
    const line = toKeptLine(message, fields);
    const kept = line.fields === null ? null : JSON.parse(line.fields);
    this.lines.push({ at: new Date(this.#clock.now()), attempt: attempts, message: line.message, fields: kept });
  }
}
