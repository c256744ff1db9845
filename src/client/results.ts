import { HowdahError } from "../errors.ts";
import type { Results } from "../job/job.ts";
import type { EndedJob } from "../postgres/queries/await-jobs.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { duration, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import type { AwaitedJobs } from "./awaited-jobs.ts";
import { checkJobId } from "./job-ids.ts";

/** Waits for the ends of jobs. */
export interface JobResults {
  /**
   * Resolves with what the handler of a job has returned, as JSON holds it,
   * whichever process runs the job, and whether it ends before or after the call;
   * with `undefined` when the handler returned nothing. The result is kept for a
   * day at least when the job was added with `awaited: true`, or when this call
   * comes before its end; otherwise if its task keeps it. Within a transaction it
   * sees nothing of jobs that the transaction has added: call it after the commit.
   *
   * Rejects with `HOWDAH_RESULT_FAILED` when the job has failed for good,
   * `HOWDAH_RESULT_CANCELLED` when it was cancelled, `HOWDAH_RESULT_REMOVED` when
   * it was removed, `HOWDAH_RESULT_INVALID` when it is completed and its result
   * cannot be stored, `HOWDAH_RESULT_UNKNOWN` when there is no such job and
   * nothing is kept of it, `HOWDAH_RESULT_TIMEOUT`, `HOWDAH_RESULT_ABORTED`, and
   * `HOWDAH_CLIENT_CLOSED` when the client is closed meanwhile.
   */
  result<Result = unknown>(job: Results<Result> | string, options?: ResultOptions): Promise<Result>;
}

/** How long {@link JobResults.result} waits. */
export interface ResultOptions {
  /** Rejects after this time. The job goes on. Default: none. */
  readonly timeout?: Duration | undefined;
  /** Rejects when it is aborted. The job goes on. */
  readonly signal?: AbortSignal | undefined;
}

/** The method that waits, over the jobs that a client awaits. The end of the client does not wait for its calls. */
export function createResults(awaited: AwaitedJobs, clock: Clock): JobResults {
  const result = async (job: unknown, options?: unknown): Promise<unknown> => {
    const jobId = idOf(job);
    const { timeoutMs, signal } = readOptions("result", options, {
      timeout: duration(),
      signal: object<AbortSignal>(["addEventListener", "removeEventListener"]),
    });
    const waiting = new Waiting(jobId, { awaited, clock, timeoutMs, signal });
    try {
      return resultOf(await awaited.wait(jobId, waiting.signal));
    } finally {
      waiting.end();
    }
  };
  return { result } as JobResults;
}

/** For how long one call waits. */
class Waiting {
  readonly #controller = new AbortController();
  readonly #stops: (() => void)[] = [];

  constructor(jobId: string, { awaited, clock, timeoutMs, signal }: WaitingParts) {
    if (timeoutMs !== undefined) {
      const late = (): void => this.#controller.abort(lateError(jobId, { timeoutMs, failure: awaited.failure }));
      const timer = clock.setTimer(timeoutMs, late);
      this.#stops.push(() => timer.cancel());
    }
    if (!signal) return;
    const message = `Waiting for the end of job ${jobId} was aborted.`;
    const stop = (): void => this.#controller.abort(new HowdahError("HOWDAH_RESULT_ABORTED", message, signal.reason));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    this.#stops.push(() => signal.removeEventListener("abort", stop));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    for (const stop of this.#stops) stop();
  }
}

interface WaitingParts {
  readonly awaited: Pick<AwaitedJobs, "failure">;
  readonly clock: Clock;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

function lateError(
  jobId: string,
  { timeoutMs, failure }: { readonly timeoutMs: number; readonly failure: unknown },
): HowdahError {
  if (failure === undefined)
    return new HowdahError("HOWDAH_RESULT_TIMEOUT", `Job ${jobId} has not ended within ${timeoutMs} ms.`);
  const message = `Whether job ${jobId} has ended within ${timeoutMs} ms is not known: ${errorMessage(failure)}`;
  return new HowdahError("HOWDAH_RESULT_TIMEOUT", message, failure);
}

function idOf(job: unknown): string {
  const id: unknown = typeof job === "object" && job !== null ? (job as { readonly id?: unknown }).id : job;
  if (typeof id === "string") return checkJobId(id);
  throw new HowdahError("HOWDAH_OPTION_INVALID", `result() takes a job or its id; found ${describeValue(job)}.`);
}

function resultOf({ id, state, result, error, task }: EndedJob): unknown {
  const job = task === null ? `Job ${id}` : `Job ${id} of task ${task}`;
  switch (state) {
    case "completed":
      if (error !== null)
        throw new HowdahError("HOWDAH_RESULT_INVALID", `${job} is completed, and its result is missing: ${error}`);
      return result === null ? undefined : JSON.parse(result);
    case "failed":
      throw new HowdahError("HOWDAH_RESULT_FAILED", `${job} has failed for good: ${error ?? "no error was stored"}`);
    case "cancelled":
      throw new HowdahError("HOWDAH_RESULT_CANCELLED", `${job} was cancelled: ${error ?? "no reason was given"}`);
    case "removed":
      throw new HowdahError("HOWDAH_RESULT_REMOVED", `${job} was removed before it was completed.`);
    case "unknown":
      throw new HowdahError(
        "HOWDAH_RESULT_UNKNOWN",
        `There is no job ${id}, and nothing is kept of it. Unless it was erased, or ended by plain SQL or a worker of graphile-worker: add it with \`awaited: true\`, or let its task keep results.`,
      );
    default:
      return state satisfies never;
  }
}
