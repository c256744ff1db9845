import type { WorkerContext } from "../worker-context.ts";
import type { Ending } from "../outcome.ts";
import type { Failure, Part } from "./part.ts";
import {
  countOf,
  hasFailedAlone,
  judge,
  leftOf,
  partOf,
  plainToTry,
  QuarantineEntries,
  type Entry,
  type Fault,
} from "./quarantine-entries.ts";

/**
 * Where endings wait that could not be written. Every second it tries the next of
 * its parts, and after a success all of them together that may be innocent. A part
 * that fails is halved, turn by turn; an ending that fails alone while others
 * succeed is at fault, and reported once. When one is written that had failed
 * alone, what was in the way may be mended: those at fault are tried too. What
 * follows from what is in `quarantine-entries.ts`.
 */
export class Quarantine {
  readonly #context: Pick<WorkerContext, "clock">;
  readonly #parts: QuarantineParts;
  /** What waits here. */
  readonly entries = new QuarantineEntries();
  readonly #waiting = new Set<() => void>();
  #isRunning = false;
  /** How many statements the last turn has sent. */
  #sent = 0;

  constructor(context: Pick<WorkerContext, "clock">, parts: QuarantineParts) {
    this.#context = context;
    this.#parts = parts;
    parts.giveUp.addEventListener("abort", this.#wake, { once: true });
  }

  /** Takes endings that were not sent: nothing can be written at the moment. */
  arrive(part: Part): void {
    this.entries.arrive(part, this.#parts.writer.successes);
    this.#start();
  }

  /** Takes endings that could not be written `since` there were that many successes; one of them `isPlain`, without its texts either. */
  suspect(failure: Failure, since: number, isPlain: boolean): void {
    this.#report(this.entries.suspect(failure, since, isPlain));
    this.#start();
  }

  /** Resolves when it holds nothing but endings at fault, or when all is given up. */
  async settled(): Promise<void> {
    while (!this.entries.isSettled && !this.#parts.giveUp.aborted) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #start(): void {
    if (!this.#isRunning) void this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock } = this.#context;
    const { giveUp } = this.#parts;
    this.#isRunning = true;
    while (this.entries.open > 0 && !giveUp.aborted) {
      await clock.sleep(TURN_MS * Math.max(1, this.#sent), giveUp);
      this.#sent = 0;
      if (!giveUp.aborted) await this.#turn();
      this.#wake();
    }
    this.#isRunning = false;
  }

  async #turn(): Promise<void> {
    const next = this.entries.next();
    if (!(await this.#try(next))) return;
    // What could not be written a moment ago may be written now: with as few statements as can be.
    const hasWrittenAll = await this.#tryAll(this.entries.notAtFault());
    if (next.some(hasFailedAlone)) await this.#tryAll(this.entries.atFault());
    if (!hasWrittenAll) await this.#search();
  }

  /** Tries them until one group fails. Returns whether none did. */
  async #tryAll(groups: readonly (readonly Entry[])[]): Promise<boolean> {
    for (const group of groups) {
      if (!(await this.#try(group))) return false;
    }
    return true;
  }

  /** Something was written, and something was not: rows are to blame, so they can be found. */
  async #search(): Promise<void> {
    for (const entry of this.entries.toSearch()) {
      this.entries.take([entry]);
      // What the search suspects comes back as an entry of its own.
      await this.#parts.writer.search(entry.part);
      this.entries.settle([entry], []);
    }
  }

  /** Returns whether any of them was written. */
  async #try(entries: readonly Entry[]): Promise<boolean> {
    this.entries.take(entries);
    const failure = await this.#attempt(partOf(entries));
    const left = failure ? await this.#leftOf(entries, failure) : [];
    this.#report(this.entries.settle(entries, left));
    return countOf(left) < countOf(entries);
  }

  async #leftOf(entries: readonly Entry[], failure: Failure): Promise<readonly Entry[]> {
    const left = leftOf(entries, failure);
    const [only, second] = left;
    if (failure.isKept || second || !only) return left;
    const plain = plainToTry(only, failure);
    const again = plain && (await this.#attempt(plain));
    if (plain && !again) return [];
    return judge(only, failure, { again, successes: this.#parts.writer.successes, open: this.entries.open });
  }

  async #attempt(part: Part): Promise<Failure | undefined> {
    const failure = await this.#parts.writer.attempt(part);
    this.#sent += failure?.statements ?? 1;
    return failure;
  }

  #report(faults: readonly Fault[]): void {
    for (const { ending, error, isGivenUp } of faults) this.#parts.listener.stuck(ending, error, isGivenUp);
  }

  readonly #wake = (): void => {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  };
}

/** What a quarantine works with. */
export interface QuarantineParts {
  readonly writer: QuarantineWriter;
  readonly listener: StuckListener;
  /** Aborted when nothing is to be tried again any more. */
  readonly giveUp: AbortSignal;
}

/** Writes what a quarantine tries. */
export interface QuarantineWriter {
  /** How many statements of this worker have written outcomes so far. */
  readonly successes: number;
  /** Sends a part once. Resolves to what is left of it. */
  attempt(part: Part): Promise<Failure | undefined>;
  /** Takes a part apart of which only some endings are at fault; those come back as suspects. */
  search(part: Part): Promise<void>;
}

/** Hears of endings that are at fault. */
export interface StuckListener {
  /**
   * This ending cannot be written although others can. Told once; it is tried
   * again beside the others, unless there are too many of them: then it
   * `isGivenUp`, and its job stays locked until recovery returns it.
   */
  stuck(ending: Ending, error: unknown, isGivenUp: boolean): void;
}

/** One statement in this time. */
const TURN_MS = 1_000;
