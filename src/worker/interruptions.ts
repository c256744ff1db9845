import { HowdahError } from "../errors.ts";
import { toFailure } from "../job/execute/execute-job.ts";
import type { Ending, Interrupted, Outcome } from "../job/outcome.ts";
import type { Releaser } from "../job/release/releaser.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { MAX_DURATION_MS } from "../runtime/duration.ts";

/** Asks the interceptors of `jobRecovery` about jobs that a shutdown takes from their handlers. */
export class Interruptions {
  readonly #context: InterruptionsContext;
  readonly #engine: InterruptedEngine;
  readonly #asking = new Set<Promise<void>>();
  readonly #corrections: { readonly id: string; readonly runAt: Date; readonly attempts: number }[] = [];

  constructor(context: InterruptionsContext, engine: InterruptedEngine) {
    this.#context = context;
    this.#engine = engine;
  }

  /** Releases an ending, after the interceptors have had their say if it is their business. */
  add(ending: Ending): void {
    const { outcome } = ending;
    if (outcome.kind !== "interrupted" || outcome.reason !== "shutdown" || !this.#context.hooks.has("jobRecovery")) {
      this.#engine.releaser.add(ending);
      return;
    }
    const asking = this.#ask(ending, outcome).then(() => {
      this.#asking.delete(asking);
    });
    this.#asking.add(asking);
  }

  /** Resolves when all have answered; interceptors have a time limit of their own. */
  async answered(): Promise<void> {
    await Promise.all(this.#asking);
  }

  /** Sets the number of attempts where an interceptor named one; what was given back is not claimed before its time. */
  async correct(): Promise<void> {
    for (const { id, runAt, attempts } of this.#corrections.splice(0)) {
      await this.#context.client
        .rescheduleJobs([id], { runAt, attempts })
        .catch((error: unknown) => this.#failed(error));
    }
  }

  async #ask(ending: Ending, interrupted: Interrupted): Promise<void> {
    const { job } = ending;
    const event = { workerId: job.lockedBy, previousWorkerId: job.lockedBy, job, reason: "shutdown" } as const;
    try {
      const decision = await this.#context.hooks.decide("jobRecovery", event);
      // Locked as it is: recovery finds it under an id that is gone.
      if (decision?.action === "skip") return;
      if (decision?.action === "reschedule") {
        const { runAt, attempts } = decision;
        const leastMs = attempts === undefined ? 0 : CORRECTION_MS;
        const delayMs = Math.min(Math.max(leastMs, runAt.getTime() - this.#context.clock.now()), MAX_DURATION_MS);
        if (attempts !== undefined) this.#corrections.push({ id: job.id, runAt, attempts });
        return this.#engine.releaser.add({ ...ending, outcome: { ...interrupted, delayMs } });
      }
      const outcome = decision ? this.#failure(ending, decision.message) : interrupted;
      this.#engine.releaser.add({ ...ending, outcome });
    } catch (error) {
      this.#failed(error);
      this.#engine.releaser.add(ending);
    }
  }

  #failure({ job }: Ending, message = "The worker shut down before the handler had ended."): Outcome {
    const error = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", message);
    return toFailure(error, this.#context.tasks.get(job.task), job);
  }

  /** The job comes back as if no interceptor had been asked. */
  #failed(error: unknown): void {
    this.#context.reporter.failure("ask what becomes of an interrupted job", error);
  }
}

type InterruptionsContext = Pick<WorkerContext, "clock" | "tasks"> & {
  readonly hooks: Pick<WorkerContext["hooks"], "has" | "decide">;
  readonly client: Pick<WorkerContext["client"], "rescheduleJobs">;
  readonly reporter: Pick<WorkerContext["reporter"], "failure">;
};

/** The engine whose jobs are interrupted. */
interface InterruptedEngine {
  /** Writes what is decided. */
  readonly releaser: Pick<Releaser, "add">;
}

/** For this long no worker claims a job whose attempts are still to be corrected. */
const CORRECTION_MS = 5_000;
