import { HowdahError } from "../../errors.ts";
import { type ApplicationTransaction, callerTransaction } from "../../postgres/caller-transaction.ts";
import type { Driver } from "../../postgres/driver.ts";
import { CLAIM_LOST_STATE, completeJob } from "../../postgres/queries/ending/complete-job.ts";
import { NO_TRANSACTION_STATE } from "../../postgres/queries/within-transaction.ts";
import type { Schema } from "../../postgres/schema.ts";
import { isUnknownOutcome, sqlStateOf } from "../../postgres/sqlstate.ts";
import type { ClaimedJob } from "../claimed-job.ts";

/** Completes one job in transactions of its handler. */
export class Completion {
  readonly #job: ClaimedJob;
  readonly #schema: Schema;
  readonly #driver: Driver | undefined;
  #isAsked = false;
  /** Calls that were not refused. */
  #counting = 0;
  /** The transaction that completed the job last; it may have been rolled back since. */
  #transactionId: string | undefined;

  /** `driver` knows what a transaction of its kind is. */
  constructor(job: ClaimedJob, schema: Schema, driver: Driver | undefined) {
    this.#job = job;
    this.#schema = schema;
    this.#driver = driver;
  }

  /** Whether the handler has wanted its job to be completed so, and in no other way. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  /**
   * Whether the job may be done: a call was carried out, or is under way, or
   * what became of it is not known.
   */
  get mayCount(): boolean {
    return this.#counting > 0;
  }

  /** The transaction that completed the job last. */
  get transactionId(): string | undefined {
    return this.#transactionId;
  }

  /** See `JobContext.complete`. Without `isHeld` the claim is being released, and the job counts as lost. */
  async complete(given: ApplicationTransaction, result: unknown, isHeld: boolean): Promise<void> {
    const transaction = callerTransaction(given, "complete()", this.#driver);
    const json = toJson(result);
    this.#isAsked ||= isHeld;
    if (isHeld) this.#counting += 1;
    const { id: jobId, lockedBy: workerId, claimTimes } = this.#job;
    try {
      this.#transactionId = await completeJob(transaction, this.#schema, {
        jobId,
        workerId,
        // Asked all the same when the job is lost, so that the transaction fails and not only this call.
        claimTimes: isHeld ? claimTimes : [],
        earlier: this.#transactionId,
        result: json,
      });
    } catch (error) {
      // Only what was refused for certain has changed nothing, whatever becomes of its transaction.
      if (isHeld && !isUnknownOutcome(error)) this.#counting -= 1;
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    const { id, task, lockedBy } = this.#job;
    switch (sqlStateOf(error)) {
      case CLAIM_LOST_STATE:
        return new HowdahError(
          "HOWDAH_ABORTED_LOST",
          `Job ${id} of task ${task} cannot be completed: it no longer belongs to worker ${lockedBy}, ` +
            "or another transaction has completed it.",
          error,
        );
      case NO_TRANSACTION_STATE:
        return new HowdahError(
          "HOWDAH_OPTION_INVALID",
          "complete() needs a transaction that has begun and not ended; a pool, or a client without BEGIN, would complete the job at once.",
          error,
        );
      default:
        return error;
    }
  }
}

/** Throws `HOWDAH_OPTION_INVALID` for what JSON cannot hold. */
function toJson(result: unknown): string | null {
  try {
    return JSON.stringify(result) ?? null;
  } catch (error) {
    throw new HowdahError("HOWDAH_OPTION_INVALID", "The result given to complete() cannot be JSON.", error);
  }
}
