import type { AttemptOutcome } from "../hooks/events.ts";
import type { Hooks } from "../hooks/hooks.ts";
import type { NameOf } from "./metric-set.ts";
import type { TaskLabels } from "./task-labels.ts";

/** Counts and measures what happens, through hooks: for the counters and histograms of a process. */
export class JobMeter {
  readonly #instruments: Instruments;
  readonly #tasks: TaskLabels;

  constructor(instruments: Instruments, tasks: TaskLabels) {
    this.#instruments = instruments;
    this.#tasks = tasks;
  }

  /** Follows a worker or a client. */
  follow(hooks: Hooks): void {
    const instruments = this.#instruments;
    hooks.on("jobAdd", ({ task }) => instruments.add("howdah_jobs_added_total", 1, [this.#tasks.of(task)]));
    hooks.on("jobStart", ({ job, waitedMs }) => {
      instruments.record("howdah_job_wait_seconds", waitedMs / 1_000, [this.#tasks.of(job.task)]);
    });
    hooks.on("jobSettle", ({ job, outcome, durationMs }) => this.#settled(job, outcome, durationMs));
    hooks.on("claimEnd", ({ jobCount, durationMs, error }) => {
      const result = error !== undefined ? "error" : jobCount > 0 ? "jobs" : "empty";
      instruments.add("howdah_claims_total", 1, [result]);
      instruments.record("howdah_claim_seconds", durationMs / 1_000);
    });
    hooks.on("workerRecovered", ({ jobCount }) => {
      instruments.add("howdah_workers_recovered_total", 1);
      instruments.add("howdah_jobs_recovered_total", jobCount);
    });
    hooks.on("workerError", () => instruments.add("howdah_worker_errors_total", 1));
  }

  #settled(job: SettledJob, outcome: AttemptOutcome, durationMs: number): void {
    const task = this.#tasks.of(job.task);
    const result = outcome === "completed" || outcome === "snoozed" ? "ok" : "error";
    this.#instruments.add("howdah_jobs_finished_total", 1, [task, outcome]);
    this.#instruments.record("howdah_job_run_seconds", durationMs / 1_000, [task, result]);
    if (LAST.has(outcome)) this.#instruments.record("howdah_job_attempts", job.attempts, [task]);
  }
}

/** Takes measurements. Values of labels are in the order of the table. Default: none. */
export interface Instruments {
  add(name: NameOf<"counter">, count: number, labels?: readonly string[]): void;
  record(name: NameOf<"histogram">, value: number, labels?: readonly string[]): void;
}

interface SettledJob {
  readonly task: string;
  readonly attempts: number;
}

/** After these there is no further attempt. */
const LAST: ReadonlySet<AttemptOutcome> = new Set(["completed", "failed", "cancelled"]);
