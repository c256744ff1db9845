import type { AttemptOutcome, Events } from "../hooks/events.ts";
import type { Hooks } from "../hooks/hooks.ts";
import type { NameOf } from "./metric-set.ts";
import type { TaskLabels } from "./task-labels.ts";

/** Counts and measures what happens, through hooks: for the counters and histograms of a process. */
export class JobMeter {
  readonly #instruments: Instruments;
  readonly #tasks: TaskLabels;
  readonly #meters = new Map<string, TaskMeter>();

  constructor(instruments: Instruments, tasks: TaskLabels) {
    this.#instruments = instruments;
    this.#tasks = tasks;
  }

  /** Follows a worker or a client. */
  follow(hooks: Hooks): void {
    const instruments = this.#instruments;
    const claimSeconds = instruments.histogram("howdah_claim_seconds");
    const recoveredWorkers = instruments.counter("howdah_workers_recovered_total");
    const recoveredJobs = instruments.counter("howdah_jobs_recovered_total");
    const errors = instruments.counter("howdah_worker_errors_total");
    hooks.on("jobAdd", ({ task }) => this.#of(task).added());
    // One event for each attempt, with all there is to say of it: a second one costs as much as all that is measured.
    hooks.on("jobSettle", (event) => this.#of(event.job.task).settled(event));
    hooks.on("claimEnd", ({ jobCount, durationMs, error }) => {
      const result = error !== undefined ? "error" : jobCount > 0 ? "jobs" : "empty";
      instruments.counter("howdah_claims_total", result).add(1);
      claimSeconds.record(durationMs / 1_000);
    });
    hooks.on("workerRecovered", ({ jobCount }) => {
      recoveredWorkers.add(1);
      recoveredJobs.add(jobCount);
    });
    hooks.on("workerError", () => errors.add(1));
  }

  #of(task: string): TaskMeter {
    return this.#meters.get(task) ?? this.#meterOf(this.#tasks.of(task));
  }

  /** Tasks without a label of their own share a meter. */
  #meterOf(label: string): TaskMeter {
    const known = this.#meters.get(label);
    if (known) return known;
    const meter = new TaskMeter(this.#instruments, label);
    this.#meters.set(label, meter);
    return meter;
  }
}

/** Gives the instruments of metrics. Values of labels are in the order of the table; there are two at most. */
export interface Instruments {
  counter(name: NameOf<"counter">, first?: string, second?: string): CounterInstrument;
  histogram(name: NameOf<"histogram">, first?: string, second?: string): HistogramInstrument;
}

/** One value that is counted. */
export interface CounterInstrument {
  add(count: number): void;
}

/** One distribution of values. */
export interface HistogramInstrument {
  record(value: number): void;
}

/** The instruments of one task, each from when it is used first: a value that never was is not shown. */
class TaskMeter {
  readonly #instruments: Instruments;
  readonly #label: string;
  #adds: CounterInstrument | undefined;
  #waits: HistogramInstrument | undefined;
  #attempts: HistogramInstrument | undefined;
  readonly #ends = new Map<AttemptOutcome, EndInstruments>();

  constructor(instruments: Instruments, label: string) {
    this.#instruments = instruments;
    this.#label = label;
  }

  added(): void {
    this.#adds ??= this.#instruments.counter("howdah_jobs_added_total", this.#label);
    this.#adds.add(1);
  }

  settled({ job, outcome, durationMs, waitedMs }: Events["jobSettle"]): void {
    const { finished, ran, isLast } = this.#ends.get(outcome) ?? this.#endOf(outcome);
    finished.add(1);
    ran.record(durationMs / 1_000);
    if (waitedMs !== undefined) this.#waited(waitedMs);
    if (!isLast) return;
    this.#attempts ??= this.#instruments.histogram("howdah_job_attempts", this.#label);
    this.#attempts.record(job.attempts);
  }

  #waited(ms: number): void {
    this.#waits ??= this.#instruments.histogram("howdah_job_wait_seconds", this.#label);
    this.#waits.record(ms / 1_000);
  }

  #endOf(outcome: AttemptOutcome): EndInstruments {
    const result = outcome === "completed" || outcome === "snoozed" ? "ok" : "error";
    const end = {
      finished: this.#instruments.counter("howdah_jobs_finished_total", this.#label, outcome),
      ran: this.#instruments.histogram("howdah_job_run_seconds", this.#label, result),
      isLast: LAST.has(outcome),
    };
    this.#ends.set(outcome, end);
    return end;
  }
}

interface EndInstruments {
  readonly finished: CounterInstrument;
  readonly ran: HistogramInstrument;
  readonly isLast: boolean;
}

/** After these there is no further attempt. */
const LAST: ReadonlySet<AttemptOutcome> = new Set(["completed", "failed", "cancelled"]);
