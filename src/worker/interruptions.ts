import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import type { HookEmitter } from "../hooks/emitter.ts";
import { toFailure } from "../job/execute/execute-job.ts";
import type { Ending, Interrupted, Outcome } from "../job/outcome.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { Clock } from "../runtime/clock.ts";
import { MAX_DURATION_MS } from "../runtime/duration.ts";

/** What the interruptions of a worker need, and whom they tell. */
export interface InterruptionsParts {
  readonly hooks: Pick<HookEmitter, "has" | "decide">;
  readonly tasks: TaskRegistry;
  readonly clock: Clock;
  readonly client: Pick<Client, "rescheduleJobs">;
  /** This is what shall be written. */
  release(ending: Ending): void;
  /** An interceptor or a statement failed; the job comes back as if nobody had been asked. */
  failed(error: unknown): void;
}

/** For so long nobody claims a job whose attempts are still to be corrected. */
const CORRECTION_MS = 5_000;

/** Asks the interceptors of `jobRecovery` about jobs that a shutdown takes from their handlers. */
export class Interruptions {
  readonly #parts: InterruptionsParts;
  readonly #asking = new Set<Promise<void>>();
  readonly #corrections: { readonly id: string; readonly runAt: Date; readonly attempts: number }[] = [];

  constructor(parts: InterruptionsParts) {
    this.#parts = parts;
  }

  /** Releases an ending, after the interceptors have had their say if it is their business. */
  add(ending: Ending): void {
    const { outcome } = ending;
    if (outcome.kind !== "interrupted" || outcome.reason !== "shutdown" || !this.#parts.hooks.has("jobRecovery")) {
      this.#parts.release(ending);
      return;
    }
    const asking = this.#ask(ending, outcome).then(() => {
      this.#asking.delete(asking);
    });
    this.#asking.add(asking);
  }

  /** Resolves when everybody has answered; interceptors have a time limit of their own. */
  async answered(): Promise<void> {
    await Promise.all(this.#asking);
  }

  /** Sets the number of attempts where an interceptor named one; what was given back is not claimed before its time. */
  async correct(): Promise<void> {
    for (const { id, runAt, attempts } of this.#corrections.splice(0)) {
      await this.#parts.client.rescheduleJobs([id], { runAt, attempts }).catch((error: unknown) => {
        this.#parts.failed(error);
      });
    }
  }

  async #ask(ending: Ending, interrupted: Interrupted): Promise<void> {
    const { job } = ending;
    const event = { workerId: job.lockedBy, previousWorkerId: job.lockedBy, job, reason: "shutdown" } as const;
    try {
      const decision = await this.#parts.hooks.decide("jobRecovery", event);
      // Locked as it is: whoever looks after the dead finds it under an id that is gone.
      if (decision?.action === "skip") return;
      if (decision?.action === "reschedule") {
        const { runAt, attempts } = decision;
        const leastMs = attempts === undefined ? 0 : CORRECTION_MS;
        const delayMs = Math.min(Math.max(leastMs, runAt.getTime() - this.#parts.clock.now()), MAX_DURATION_MS);
        if (attempts !== undefined) this.#corrections.push({ id: job.id, runAt, attempts });
        return this.#parts.release({ ...ending, outcome: { ...interrupted, delayMs } });
      }
      const outcome = decision ? this.#failure(ending, decision.message) : interrupted;
      this.#parts.release({ ...ending, outcome });
    } catch (error) {
      this.#parts.failed(error);
      this.#parts.release(ending);
    }
  }

  #failure({ job }: Ending, message = "The worker shut down before the handler had ended."): Outcome {
    const error = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", message);
    return toFailure(error, this.#parts.tasks.get(job.task), job);
  }
}
