import type { Client } from "../client/client.ts";
import type { EventName, Events } from "../hooks/events.ts";
import type { Hooks } from "../hooks/hooks.ts";
import type { JobRanEvent } from "../hooks/interceptors.ts";
import type { Job } from "../job/job.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { copyOfJob, type RanJob } from "./ran-job.ts";

/** Follows the hooks of a worker, and keeps each attempt with its end. */
export class RunLog {
  /** By the job as a claim brought it, which is the same object in all events of an attempt. */
  readonly #attempts = new Map<Job, Attempt>();
  readonly #stops: readonly (() => void)[];

  constructor(hooks: Hooks) {
    const on = <Name extends EventName>(name: Name, handle: (event: Events[Name]) => void) => hooks.on(name, handle);
    this.#stops = [
      on("jobStart", ({ job }) => void this.#of(job)),
      // The only hook that tells of a job that is snoozed. It decides nothing.
      hooks.on("afterJobRun", (event) => this.#handlerEnded(event)),
      on("jobComplete", ({ job, durationMs }) =>
        this.#end(job, { outcome: "completed", next: "done", ...NO_ERROR, durationMs }),
      ),
      on("jobFail", ({ job, error, durationMs, retryAt }) => {
        const message = errorMessage(error);
        this.#end(job, { outcome: "failed", next: "again", error, message, durationMs, retryAt });
      }),
      on("jobPermanentlyFail", (event) => this.#failedForGood(event)),
      on("jobInterrupted", ({ job }) => this.#end(job, { ...INTERRUPTED, durationMs: 0 })),
      on("jobReleaseRefused", ({ job }) => this.#end(job, { ...LOST, durationMs: 0 })),
      on("jobOutcomeUnknown", ({ job }) => this.#end(job, { ...LOST, durationMs: 0 })),
    ];
  }

  /** How many attempts have begun. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Follows no longer. */
  stop(): void {
    for (const stop of this.#stops) stop();
  }

  /** All attempts in the order of their starts. When jobs run again that were snoozed or interrupted is asked of the client. */
  async read(client: Client): Promise<RanJob[]> {
    const jobs: RanJob[] = [];
    for (const [job, { end }] of this.#attempts) {
      const { task, payload } = job;
      const ended = end ?? { ...LOST, durationMs: 0 };
      const retryAt = ended.next === "again" ? (ended.retryAt ?? (await client.getJob(job.id))?.runAt) : undefined;
      jobs.push({ task, payload, job: copyOfJob(job), ...ended, retryAt });
    }
    return jobs;
  }

  #handlerEnded({ job, outcome, durationMs }: JobRanEvent): undefined {
    const attempt = this.#of(job);
    if (outcome === "snoozed") attempt.end = { ...SNOOZED, durationMs };
    attempt.isCancelled = outcome === "cancelled";
  }

  #failedForGood({ job, error, durationMs }: Events["jobPermanentlyFail"]): void {
    const { isCancelled } = this.#of(job);
    // Of a job that was cancelled while it ran no interceptor is told, and its error is the reason.
    if (isCancelled ?? typeof error === "string") {
      return this.#end(job, {
        outcome: "cancelled",
        next: "failed",
        error: undefined,
        message: String(error),
        durationMs,
      });
    }
    this.#end(job, { outcome: "failed", next: "failed", error, message: errorMessage(error), durationMs });
  }

  #end(job: Job, end: AttemptEnd): void {
    this.#of(job).end = end;
  }

  #of(job: Job): Attempt {
    const known = this.#attempts.get(job);
    if (known) return known;
    const attempt: Attempt = { end: undefined, isCancelled: undefined };
    this.#attempts.set(job, attempt);
    return attempt;
  }
}

interface Attempt {
  end: AttemptEnd | undefined;
  /** Whether the handler said so; `undefined` when no interceptor was asked. */
  isCancelled: boolean | undefined;
}

type AttemptEnd = Pick<RanJob, "outcome" | "next" | "error" | "message" | "durationMs"> & { readonly retryAt?: Date };

const NO_ERROR = { error: undefined, message: undefined };
const SNOOZED = { outcome: "snoozed", next: "again", ...NO_ERROR } as const;
const INTERRUPTED = { outcome: "interrupted", next: "again", ...NO_ERROR } as const;
const LOST = { outcome: "lost", next: "unknown", ...NO_ERROR } as const;
