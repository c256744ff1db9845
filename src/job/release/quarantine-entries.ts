import { isRefused, sqlStateOf } from "../../postgres/sqlstate.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Ending } from "../outcome.ts";
import { claimantOf, halvesOf, plainOf, type Failure, type Part } from "./part.ts";

/**
 * What is in a quarantine, and what is tried next. `quarantine.ts` sends it, at
 * the pace of one statement a second.
 *
 *   entry     is                              its turn    leaves when
 *   arriving  what ended while nothing could  first       written; or it fails
 *             be written, never sent                      alone                -> suspect
 *   suspect   several endings, or one that    second      written; in halves; or
 *             was never sent alone                        it fails alone       -> alone
 *   alone     one ending that failed alone    in turn     written; or it fails
 *                                             with stuck  and others do not    -> stuck
 *   stuck     one ending at fault             the same    written
 *   given up  one at fault, beyond the most   none        never: recovery returns
 *             that are kept                               its job
 *
 * An ending whose row stayed as it was although nothing failed is at fault at once.
 */
export class QuarantineEntries {
  #arriving: readonly Entry[] = [];
  /** Suspects, and those that failed alone. */
  #suspects: readonly Entry[] = [];
  #stuckEntries: readonly Entry[] = [];
  /** Without those given up. */
  #open = 0;
  /** Those that are being tried included. */
  #stuck = 0;
  #givenUp = 0;
  #isTurnOfStuck = false;

  /** How many endings are not written, those given up included. */
  get size(): number {
    return this.#open + this.#givenUp;
  }

  /** How many of them are known to be at fault. */
  get stuck(): number {
    return this.#stuck + this.#givenUp;
  }

  /** How many endings are still to be tried. */
  get open(): number {
    return this.#open;
  }

  /** Whether it holds nothing but endings at fault. */
  get isSettled(): boolean {
    return this.#open <= this.#stuck;
  }

  /** Takes endings that were not sent. `successes` is how many statements have written something so far. */
  arrive(part: Part, successes: number): void {
    this.#arriving = [...this.#arriving, this.#enter(part, successes)];
  }

  /**
   * Takes endings that could not be written `since` there were that many successes;
   * one of them `isPlain`, without its texts either. Returns those that are known to
   * be at fault by that.
   */
  suspect({ part, error, isKept }: Failure, since: number, isPlain: boolean): readonly Fault[] {
    const entry = { ...this.#enter(part, since), plainState: isPlain ? sqlStateOf(error) : undefined };
    return this.#keep(isKept ? singlesOf(entry).map((single) => atFault(single, error)) : [entry]);
  }

  /** Which are tried next, with one statement. The innocent come first: what was never sent alone, or has several endings. */
  next(): readonly Entry[] {
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

  /** All that may be innocent, with as few statements as can be. */
  notAtFault(): readonly (readonly Entry[])[] {
    return groupsOf([...this.#arriving, ...this.#suspects]);
  }

  /** All that are known to be at fault, with as few statements as can be. */
  atFault(): readonly (readonly Entry[])[] {
    return groupsOf(this.#stuckEntries);
  }

  /** Suspects of which only some endings are at fault. */
  toSearch(): readonly Entry[] {
    return this.#suspects.filter(({ part }) => part.endings.length > 1);
  }

  /** These are being tried. {@link settle} has to follow. */
  take(entries: readonly Entry[]): void {
    const taken = new Set(entries);
    const isLeft = (entry: Entry): boolean => !taken.has(entry);
    this.#arriving = this.#arriving.filter(isLeft);
    this.#suspects = this.#suspects.filter(isLeft);
    this.#stuckEntries = this.#stuckEntries.filter(isLeft);
  }

  /** Of these that were tried, `left` were not written. Returns those that are known to be at fault by that. */
  settle(tried: readonly Entry[], left: readonly Entry[]): readonly Fault[] {
    this.#open -= countOf(tried) - countOf(left);
    this.#stuck -= tried.filter(({ isStuck }) => isStuck).length;
    return this.#keep(left);
  }

  #enter(part: Part, since: number): Entry {
    this.#open += part.endings.length;
    return { part, since, failures: 0, plainState: undefined, isStuck: false };
  }

  /** Keeps each in its place. Returns those that are newly at fault. */
  #keep(entries: readonly Entry[]): readonly Fault[] {
    const suspects: Entry[] = [];
    const stuck: Entry[] = [];
    const faults: Fault[] = [];
    for (const { fault, ...entry } of entries) {
      if (!fault && !entry.isStuck) {
        suspects.push(entry);
        continue;
      }
      const isGivenUp = !entry.isStuck && this.#stuck >= MOST_STUCK;
      if (isGivenUp) {
        this.#open -= 1;
        this.#givenUp += 1;
      } else {
        stuck.push({ ...entry, isStuck: true });
        this.#stuck += 1;
      }
      const [ending] = entry.part.endings;
      if (fault && !entry.isStuck && ending) faults.push({ ending, error: fault.error, isGivenUp });
    }
    this.#suspects = [...this.#suspects, ...suspects];
    this.#stuckEntries = [...this.#stuckEntries, ...stuck];
    return faults;
  }
}

/** Endings that are tried together. */
export interface Entry {
  readonly part: Part;
  /** How many successes there were when it was first suspected: once there are more, others can be written. */
  readonly since: number;
  readonly failures: number;
  /** With what an ending failed without its texts: when it fails so again, they are not what is at fault. */
  readonly plainState: string | undefined;
  readonly isStuck: boolean;
  /** Why it is at fault, when that was just found out. */
  readonly fault?: { readonly error: unknown };
}

/** An ending that is known to be at fault. */
export interface Fault {
  readonly ending: Ending;
  readonly error: unknown;
  /** There are too many of them: its job is left to recovery. */
  readonly isGivenUp: boolean;
}

/** What speaks for the fault of an ending that fails alone. */
export interface Evidence {
  /** How it failed without its texts, if that was tried. */
  readonly again: Failure | undefined;
  /** How many statements have written something so far. */
  readonly successes: number;
  /** How many endings are still to be tried. */
  readonly open: number;
}

/** The endings of these entries, to be sent with one statement. */
export function partOf(entries: readonly Entry[]): Part {
  return { endings: entries.flatMap(({ part }) => part.endings), attempt: entries[0]?.part.attempt ?? "first" };
}

/** How many endings these entries have. */
export function countOf(entries: readonly Entry[]): number {
  return entries.reduce((count, { part }) => count + part.endings.length, 0);
}

/** Whether it has been tried by itself and was not written: a single ending whose texts are known not to be the reason, too. */
export function hasFailedAlone({ part, failures, plainState, isStuck }: Entry): boolean {
  return part.endings.length === 1 && (isStuck || failures > 0 || plainState !== undefined);
}

/** Of entries that were tried together and failed: the same with what is known of them now. */
export function leftOf(entries: readonly Entry[], { error, isKept, part }: Failure): readonly Entry[] {
  const left = entries.map((entry) => ({ ...entry, part: { ...entry.part, attempt: part.attempt } }));
  const failed = new Set(part.endings.map(({ job }) => job));
  // Together with others a failure says nothing about each; the rest was written by a statement before.
  if (!isKept) return countOf(left) === failed.size ? left : left.flatMap((entry) => onlyOf(entry, failed));
  const singles = left
    .flatMap(singlesOf)
    .filter(({ part: { endings } }) => endings.every(({ job }) => failed.has(job)));
  return singles.map((single) => atFault(single, error));
}

/** What of an entry is of these jobs, if anything. */
function onlyOf(entry: Entry, jobs: ReadonlySet<ClaimedJob>): Entry[] {
  const endings = entry.part.endings.filter(({ job }) => jobs.has(job));
  return endings.length === 0 ? [] : [{ ...entry, part: { ...entry.part, endings } }];
}

/** Of an entry that has failed by itself: what to try before it is judged, the ending without its texts. */
export function plainToTry(entry: Entry, failure: Failure): Part | undefined {
  if (isPassing(entry, failure)) return undefined;
  return sqlStateOf(failure.error) === entry.plainState ? undefined : plainOf(failure);
}

/** What becomes of an entry that has failed by itself. */
export function judge(entry: Entry, failure: Failure, evidence: Evidence): readonly Entry[] {
  const { again } = evidence;
  const { attempt } = (again ?? failure).part;
  const part = { ...entry.part, attempt };
  const plainState = again ? sqlStateOf(again.error) : entry.plainState;
  const failed = { ...entry, part, plainState, failures: entry.failures + 1 };
  if (isPassing(entry, failure)) return [failed];
  if (part.endings.length > 1) return halvesOf(part).map((half) => ({ ...entry, part: half, failures: 0 }));
  const othersSucceed = evidence.successes > entry.since;
  const isLongAlone = failed.failures >= MANY_FAILURES && evidence.open <= FEW_ENDINGS;
  return [othersSucceed || isLongAlone ? atFault(failed, failure.error) : failed];
}

/** A server that was away for a moment says nothing about rows. */
function isPassing({ failures }: Entry, { error }: Failure): boolean {
  return !isRefused(error) && failures + 1 < MANY_FAILURES;
}

/** Entries that may share a statement, in order. */
function groupsOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const groups: Entry[][] = [];
  const open = new Map<string, { readonly group: Entry[]; size: number }>();
  for (const entry of entries) {
    const { endings } = entry.part;
    const key = keyOf(entry.part);
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

function keyOf({ endings: [first], attempt }: Part): string {
  return `${attempt} ${first ? claimantOf(first) : ""}`;
}

function singlesOf(entry: Entry): readonly Entry[] {
  const { endings, attempt } = entry.part;
  return endings.map((ending) => ({ ...entry, part: { endings: [ending], attempt } }));
}

function atFault(entry: Entry, error: unknown): Entry {
  return { ...entry, fault: { error } };
}

/** The most endings of one statement. */
const MAX_BATCH = 2_000;

/** The most endings at fault that are kept; the jobs of others stay locked until recovery finds them. */
const MOST_STUCK = 10_000;

/** This many failures of an ending by itself are a fault of its own, where there are few endings. */
const MANY_FAILURES = 3;
const FEW_ENDINGS = 16;
