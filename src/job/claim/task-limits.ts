import { type Chain, keyOf, type Removal, type RunKey } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { HeldJobs } from "../held-jobs.ts";

/**
 * Keeps a worker from having more jobs of a task at once than the option
 * `taskConcurrency` says: those that run, those whose handlers have lost their
 * slots and go on, and those that wait here. Jobs of one chain run one after
 * another and count once.
 *
 *   a task is   means                                   a claim                 leaves when
 *   free        less of it is held than may be, and     takes its jobs; what    a claim brings too
 *               its jobs are not many                   is too much is          many of them         -> crowded
 *                                                       returned                its limit is reached -> resting
 *   crowded     the same, and its jobs are many         in turns leaves it      a claim that takes
 *                                                       alone, or asks for no   its jobs comes back
 *                                                       more than may be        short                -> free
 *   resting     its limit is reached                    leaves its jobs alone   one of them ends     -> as before
 *
 * So a claim for many slots does not bring, again and again, what has to be
 * returned, and one for few jobs of a crowded task does not hold up the others.
 */
export class TaskLimits {
  readonly #limits: ReadonlyMap<string, number>;
  readonly #held: HeldJobs;
  readonly #crowded = new Set<string>();
  /** Tasks that a claim has left alone. */
  readonly #passedOver = new Set<string>();
  #takesCrowded = false;

  /** @param limits - the most jobs by the identifiers of tasks */
  constructor(limits: ReadonlyMap<string, number>, held: HeldJobs) {
    this.#limits = limits;
    this.#held = held;
  }

  /** What a claim of `quantity` jobs may ask for. Its answer is for {@link bound}. */
  plan(quantity: number, identifiersById: ReadonlyMap<number, string>): LimitedClaim {
    const left = this.#left();
    const tight = [...this.#crowded].filter((task) => isBetween(left.get(task), 0, quantity));
    this.#takesCrowded = tight.length > 0 && !this.#takesCrowded;
    const most = this.#takesCrowded ? Math.min(quantity, ...tight.map((task) => left.get(task) ?? quantity)) : quantity;
    const resting = new Set([...this.#limits.keys()].filter((task) => (left.get(task) ?? 0) <= 0));
    if (!this.#takesCrowded) for (const task of tight) resting.add(task);
    for (const task of resting) this.#passedOver.add(task);
    const restingTaskIds = [...identifiersById].flatMap(([id, task]) => (resting.has(task) ? [id] : []));
    return { quantity: most, restingTaskIds, resting, leavesMore: tight.length > 0 && !this.#takesCrowded };
  }

  /** Takes out of the chains that a claim has brought, and that are held already, what is too much. */
  bound({ quantity, resting }: LimitedClaim, chains: readonly Chain[]): readonly Removal[] {
    const left = this.#left(new Set(chains.flatMap(({ rest }) => rest)));
    const removals: Removal[] = [];
    let count = 0;
    for (const chain of chains) {
      count += chain.waiting;
      const jobs = cut(chain, (job) => this.#counts(job, chain, left));
      if (jobs.length > 0) removals.push({ jobs, endsChain: chain.waiting === 0 });
    }
    if (count < quantity && removals.length === 0) {
      for (const task of this.#crowded) if (!resting.has(task)) this.#crowded.delete(task);
    }
    return removals;
  }

  /** Whether jobs of this task, of which one has ended, were passed over. */
  isAwaited(task: string): boolean {
    return this.#passedOver.delete(task);
  }

  /** Whether a job may be held, too; then it counts. */
  #counts(job: ClaimedJob, chain: Chain, left: Left): boolean {
    const { task } = job;
    const free = left.get(task);
    if (free === undefined || left.chainOf(task) === chain) return true;
    if (free <= 0) {
      this.#crowded.add(task);
      return false;
    }
    left.take(task, chain);
    return true;
  }

  /** How many jobs of each task may still be held, as far as it goes by all others than these. */
  #left(except: ReadonlySet<ClaimedJob> = NONE): Left {
    const keys = new Map<string, Set<RunKey>>();
    for (const { job, phase } of this.#held) {
      if (phase === "ending" || !this.#limits.has(job.task) || except.has(job)) continue;
      const known = keys.get(job.task);
      if (known) known.add(keyOf(job));
      else keys.set(job.task, new Set([keyOf(job)]));
    }
    return new Left(Array.from(this.#limits, ([task, most]) => [task, most - (keys.get(task)?.size ?? 0)]));
  }
}

/** What a claim asks for because of limits. */
export interface LimitedClaim {
  /** The most jobs. */
  readonly quantity: number;
  readonly restingTaskIds: readonly number[];
  /** The identifiers of these tasks. */
  readonly resting: ReadonlySet<string>;
  /** It leaves a task alone of which jobs could run. */
  readonly leavesMore: boolean;
}

const NONE: ReadonlySet<ClaimedJob> = new Set();

/** How many jobs of each task may still be held, while chains are gone through. */
class Left {
  readonly #numbers: Map<string, number>;
  readonly #chains = new Map<string, Chain>();

  constructor(numbers: readonly (readonly [string, number])[]) {
    this.#numbers = new Map(numbers);
  }

  /** `undefined` without a limit. */
  get(task: string): number | undefined {
    return this.#numbers.get(task);
  }

  /** The chain whose job of the task was counted last. */
  chainOf(task: string): Chain | undefined {
    return this.#chains.get(task);
  }

  take(task: string, chain: Chain): void {
    this.#numbers.set(task, (this.#numbers.get(task) ?? 0) - 1);
    this.#chains.set(task, chain);
  }
}

/** Takes the first job that does not fit, and all after it, out of a chain. */
function cut(chain: Chain, fits: (job: ClaimedJob) => boolean): readonly ClaimedJob[] {
  let isCut = false;
  return chain.remove((job) => {
    isCut ||= !fits(job);
    return isCut;
  });
}

function isBetween(value: number | undefined, low: number, high: number): boolean {
  return value !== undefined && value > low && value < high;
}
