import { Chain } from "../job/chain.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import { Slots } from "../job/execute/slots.ts";
import type { SlotContext, SlotsEngine } from "../job/execute/slot.ts";
import type { Ending } from "../job/outcome.ts";

/** The engine of one attempt: it has one job, and its slots take it. */
export class LoneAttempt implements SlotsEngine {
  readonly startUntil = Number.POSITIVE_INFINITY;
  readonly #job: ClaimedJob;
  readonly #slots: Slots;
  #chain: Chain | undefined;
  #isAbandoned = false;
  #tell: (ending: Ending) => void = () => undefined;

  constructor(job: ClaimedJob, context: SlotContext) {
    this.#job = job;
    this.#chain = new Chain(null, [job]);
    this.#slots = new Slots(context, this);
    context.held.claimed([job]);
  }

  /** Runs the job. Resolves with how that ended; never rejects. */
  run(): Promise<Ending> {
    return new Promise((resolve) => {
      this.#tell = resolve;
      this.#slots.resume();
    });
  }

  /** As when an operator cancels the job. */
  cancel(reason: string): void {
    this.#slots.cancel(this.#job, reason);
  }

  /** As when the worker shuts down and its grace period is over. */
  abort(reason: Parameters<Slots["abort"]>[0]): void {
    this.#slots.abort(reason);
  }

  /** As when the abort period of the worker is over, too. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#slots.abandon();
  }

  /** Whether its handler still ran then. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  accepts(): boolean {
    return true;
  }

  take(): Chain | undefined {
    const chain = this.#chain;
    this.#chain = undefined;
    return chain;
  }

  ended(ending: Ending): void {
    this.#tell(ending);
  }

  settledLate(): void {}

  idle(): void {}
}
