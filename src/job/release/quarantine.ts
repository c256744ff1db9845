import { isRefused, sqlStateOf } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Ending } from "../outcome.ts";
import { claimantOf, halvesOf, plainOf, type Attempt, type Failure, type Part } from "./part.ts";

/** What a quarantine needs. */
export interface QuarantineOptions {
  readonly clock: Clock;
  /** Aborted when nothing is to be tried again any more. */
  readonly giveUp: AbortSignal;
  /** Sends a part once. Resolves with what is left of it. */
  attempt(part: Part): Promise<Failure | undefined>;
  /** Takes a part apart of which only some endings are at fault; those come back as suspects. */
  search(part: Part): Promise<void>;
  /** How many statements of this worker have written outcomes so far. */
  readonly successes: () => number;
  /** This ending is at fault. Told once. When there are too many of them it `isGivenUp`, and its job left to recovery. */
  stuck(ending: Ending, error: unknown, isGivenUp: boolean): void;
}

interface Entry {
  readonly part: Part;
  /** {@link QuarantineOptions.successes} when it was first suspected: once there are more, others can be written. */
  readonly since: number;
  readonly failures: number;
  /** With what an ending failed without its texts: when it fails so again, they are not what is at fault. */
  readonly plainState: string | undefined;
  readonly isStuck: boolean;
  /** Why it is at fault, when that was just found out. */
  readonly fault?: { readonly error: unknown };
}

/** One statement in so long. */
const TURN_MS = 1_000;

/** The most endings of one statement. */
const MAX_BATCH = 2_000;

/** The most endings at fault that are kept; the jobs of others stay locked until recovery finds them. */
const MOST_STUCK = 10_000;

/** So many failures by themselves are a fault of their own, where there are few of them. */
const MANY_FAILURES = 3;
const FEW_ENDINGS = 16;

/**
 * The one lane of endings that could not be written. Every second it tries the
 * next of its parts, and after a success all of them together that may be
 * innocent. A part that fails is halved, turn by turn; an ending that fails alone
 * while others succeed is at fault, and told once. When one is written that had
 * failed alone, what was in the way may be mended: those at fault are tried too.
 *
 *   entry     is                              its turn    leaves when
 *   arriving  what ended while nothing could  first       written, or -> suspect
 *             be written, never sent
 *   suspect   several endings, or one that    second      written; in halves; or
 *             was never sent alone                        it fails alone -> alone
 *   alone     one ending that failed alone    in turn     written; or it fails and
 *                                             with stuck  others do not -> stuck
 *   stuck     one ending at fault             the same    written; given up when
 *                                                         there are too many
 */
export class Quarantine {
  readonly #options: QuarantineOptions;
  #arriving: readonly Entry[] = [];
  #suspects: readonly Entry[] = [];
  #stuckEntries: readonly Entry[] = [];
  #isRunning = false;
  /** Without those given up. */
  #size = 0;
  /** Those that are being tried included. */
  #stuck = 0;
  #givenUp = 0;
  #isTurnOfStuck = false;
  /** How many statements the last turn has sent. */
  #sent = 0;
  readonly #waiting = new Set<() => void>();

  constructor(options: QuarantineOptions) {
    this.#options = options;
    options.giveUp.addEventListener("abort", this.#tell, { once: true });
  }

  /** How many endings are not written, those given up included. */
  get size(): number {
    return this.#size + this.#givenUp;
  }

  /** How many of them are known to be at fault. */
  get stuck(): number {
    return this.#stuck + this.#givenUp;
  }

  /** Takes endings that were not sent: nothing can be written at the moment. */
  arrive(part: Part): void {
    this.#arriving = [...this.#arriving, this.#enter(part, this.#options.successes())];
    this.#start();
  }

  /** Takes endings that could not be written `since` there were so many successes; one of them `isPlain`, without its texts either. */
  suspect({ part, error, isKept }: Failure, since: number, isPlain = false): void {
    const entry = { ...this.#enter(part, since), plainState: isPlain ? sqlStateOf(error) : undefined };
    this.#keep(isKept ? singlesOf(entry).map((single) => atFault(single, error)) : [entry]);
    this.#start();
  }

  /** Resolves when it holds nothing but endings at fault, or when all is given up. */
  async settled(): Promise<void> {
    while (this.#size > this.#stuck && !this.#options.giveUp.aborted) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #enter(part: Part, since: number): Entry {
    this.#size += part.endings.length;
    return { part, since, failures: 0, plainState: undefined, isStuck: false };
  }

  #start(): void {
    if (!this.#isRunning) void this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, giveUp } = this.#options;
    this.#isRunning = true;
    while (this.#size > 0 && !giveUp.aborted) {
      await clock.sleep(TURN_MS * Math.max(1, this.#sent), giveUp);
      this.#sent = 0;
      if (!giveUp.aborted) await this.#turn();
      this.#tell();
    }
    this.#isRunning = false;
  }

  async #turn(): Promise<void> {
    const next = this.#next();
    if (!(await this.#try(next))) return;
    // What could not be written a moment ago may be written now: with as few statements as can be.
    const hasWrittenAll = await this.#tryAll([...this.#arriving, ...this.#suspects]);
    if (next.some(hasFailedAlone)) await this.#tryAll(this.#stuckEntries);
    if (!hasWrittenAll) await this.#search();
  }

  /** The innocent come first: what was never sent alone, or has several endings. */
  #next(): readonly Entry[] {
    const [arrived] = groupsOf(this.#arriving);
    if (arrived) return arrived;
    const open = this.#suspects.find((entry) => !hasFailedAlone(entry));
    if (open) return [open];
    const [alone] = this.#suspects;
    const [stuck] = this.#stuckEntries;
    this.#isTurnOfStuck = !this.#isTurnOfStuck;
    const next = this.#isTurnOfStuck ? (stuck ?? alone) : (alone ?? stuck);
    return next ? [next] : [];
  }

  /** Tries them with as few statements as can be, until one fails. Returns whether none did. */
  async #tryAll(entries: readonly Entry[]): Promise<boolean> {
    for (const group of groupsOf(entries)) {
      if (!(await this.#try(group))) return false;
    }
    return true;
  }

  /** Something was written, and something was not: rows are to blame, so they can be found. */
  async #search(): Promise<void> {
    for (const entry of this.#suspects.filter(({ part }) => part.endings.length > 1)) {
      this.#suspects = this.#suspects.filter((other) => other !== entry);
      await this.#options.search(entry.part);
      this.#size -= entry.part.endings.length;
    }
  }

  /** Returns whether any of them was written. */
  async #try(entries: readonly Entry[]): Promise<boolean> {
    const tried = new Set(entries);
    this.#arriving = this.#arriving.filter((entry) => !tried.has(entry));
    this.#suspects = this.#suspects.filter((entry) => !tried.has(entry));
    this.#stuckEntries = this.#stuckEntries.filter((entry) => !tried.has(entry));
    const failure = await this.#attempt(partOf(entries));
    const left = failure ? await this.#leftOf(entries, failure) : [];
    this.#size -= countOf(entries) - countOf(left);
    this.#stuck -= entries.filter(({ isStuck }) => isStuck).length;
    this.#keep(left);
    return countOf(left) < countOf(entries);
  }

  /** Tells of those that are newly at fault, and keeps each in its place. */
  #keep(entries: readonly Entry[]): void {
    const suspects: Entry[] = [];
    const stuck: Entry[] = [];
    for (const { fault, ...entry } of entries) {
      if (!fault && !entry.isStuck) {
        suspects.push(entry);
        continue;
      }
      const isGivenUp = !entry.isStuck && this.#stuck >= MOST_STUCK;
      if (isGivenUp) {
        this.#size -= 1;
        this.#givenUp += 1;
      } else {
        stuck.push({ ...entry, isStuck: true });
        this.#stuck += 1;
      }
      const [ending] = entry.part.endings;
      if (fault && !entry.isStuck && ending) this.#options.stuck(ending, fault.error, isGivenUp);
    }
    this.#suspects = [...this.#suspects, ...suspects];
    this.#stuckEntries = [...this.#stuckEntries, ...stuck];
  }

  async #attempt(part: Part): Promise<Failure | undefined> {
    const failure = await this.#options.attempt(part);
    this.#sent += failure?.statements ?? 1;
    return failure;
  }

  async #leftOf(entries: readonly Entry[], failure: Failure): Promise<readonly Entry[]> {
    const { error, isKept, part } = failure;
    const { endings, attempt } = part;
    const tried = entries.map((entry) => ({ ...entry, part: { ...entry.part, attempt } }));
    if (isKept) {
      const kept = new Set(endings.map(({ job }) => job));
      const left = tried.flatMap(singlesOf).filter(({ part }) => part.endings.every(({ job }) => kept.has(job)));
      return left.map((entry) => atFault(entry, error));
    }
    const [only, second] = tried;
    // Together with others it says nothing about each.
    return only && !second ? this.#failed(only, failure) : tried;
  }

  /** What becomes of an entry that has failed by itself. */
  async #failed(entry: Entry, failure: Failure): Promise<readonly Entry[]> {
    const { error } = failure;
    const failed = { ...entry, failures: entry.failures + 1 };
    // A server that was away for a moment says nothing about rows.
    if (!isRefused(error) && failed.failures < MANY_FAILURES) return [failed];
    const plain = plainOf(failure);
    if (plain && sqlStateOf(error) !== entry.plainState) {
      const again = await this.#attempt(plain);
      if (!again) return [];
      failed.part = { ...failed.part, attempt: again.part.attempt };
      failed.plainState = sqlStateOf(again.error);
    }
    if (entry.part.endings.length > 1) return halvesOf(entry.part).map((part) => ({ ...entry, part, failures: 0 }));
    const othersSucceed = this.#options.successes() > entry.since;
    const isLongAlone = failed.failures >= MANY_FAILURES && this.#size <= FEW_ENDINGS;
    return [othersSucceed || isLongAlone ? atFault(failed, error) : failed];
  }

  readonly #tell = (): void => {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  };
}

function atFault(entry: Entry, error: unknown): Entry {
  return { ...entry, fault: { error } };
}

/** Whether it has been tried by itself and was not written: a single ending whose texts are known not to be the reason, too. */
function hasFailedAlone({ part, failures, plainState, isStuck }: Entry): boolean {
  return part.endings.length === 1 && (isStuck || failures > 0 || plainState !== undefined);
}

function partOf(entries: readonly Entry[]): Part {
  return { endings: entries.flatMap(({ part }) => part.endings), attempt: entries[0]?.part.attempt ?? "first" };
}

/** Entries that may share a statement, in order. */
function groupsOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const groups: Entry[][] = [];
  const open = new Map<string, { readonly group: Entry[]; size: number }>();
  for (const entry of entries) {
    const { endings, attempt } = entry.part;
    const key = keyOf(endings, attempt);
    const found = open.get(key);
    if (found && found.size + endings.length <= MAX_BATCH) {
      found.group.push(entry);
      found.size += endings.length;
      continue;
    }
    const group = [entry];
    groups.push(group);
    open.set(key, { group, size: endings.length });
  }
  return groups;
}

function keyOf([first]: readonly Ending[], attempt: Attempt): string {
  return `${attempt} ${first ? claimantOf(first) : ""}`;
}

function singlesOf(entry: Entry): readonly Entry[] {
  const { endings, attempt } = entry.part;
  return endings.map((ending) => ({ ...entry, part: { endings: [ending], attempt } }));
}

function countOf(entries: readonly Entry[]): number {
  return entries.reduce((count, { part }) => count + part.endings.length, 0);
}
