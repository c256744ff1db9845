/**
 * Which of the calls that wait for other transactions may try next. A call without lanes
 * waits for none of the others; neither does one whose lanes are all its own.
 * It knows no time but what it is given.
 */
export class LaneTable {
  readonly #atOnce: number;
  readonly #inOrder = new Map<string, Set<Entry>>();
  readonly #gates = new Map<string, Set<Entry>>();
  /** Those that are queued or resting. */
  readonly #idle = new Set<Entry>();
  readonly #resting = new Set<Entry>();
  #tryingAgain = 0;

  /** At most `atOnce` calls whose try failed are tried again at the same time. */
  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** How many have failed tries and have not left. */
  get held(): number {
    return this.#resting.size + this.#tryingAgain;
  }

  /** Whether any call is in a gate. */
  get hasGates(): boolean {
    return this.#gates.size > 0;
  }

  /** Whether a call is in this gate. */
  hasGate(name: string): boolean {
    return this.#gates.has(name);
  }

  /** A call comes in. It is `trying` at once when it is the first in all of its lanes. */
  enter({ inOrder = [], gates = [] }: LanesToEnter, deadline: number): Waiting {
    const entry: Entry = { inOrder, gates: new Set(), deadline, state: "queued", failures: 0, dueAt: deadline };
    for (const name of inOrder) line(this.#inOrder, name).add(entry);
    this.#enterGates(entry, gates);
    if (this.#isFirst(entry)) entry.state = "trying";
    else this.#idle.add(entry);
    return entry;
  }

  /** A try failed: the next one is due at `dueAt`. Enters further gates. */
  rest(waiting: Waiting, dueAt: number, gates: readonly string[] = []): void {
    const entry = waiting as Entry;
    if (entry.failures > 0) this.#tryingAgain -= 1;
    entry.failures += 1;
    entry.state = "resting";
    entry.dueAt = dueAt;
    this.#enterGates(entry, gates);
    this.#resting.add(entry);
    this.#idle.add(entry);
  }

  /** The call that is tried again now: of those that may, the one that is due for longest. */
  again(now: number): Waiting | undefined {
    if (this.#tryingAgain >= this.#atOnce) return undefined;
    let next: Entry | undefined;
    for (const entry of this.#resting) {
      if (entry.dueAt <= now && (!next || entry.dueAt < next.dueAt) && this.#isFirst(entry)) next = entry;
    }
    if (!next) return undefined;
    this.#resting.delete(next);
    this.#idle.delete(next);
    this.#tryingAgain += 1;
    next.state = "trying";
    return next;
  }

  /**
   * A call leaves, and with `opens` it got through its gates, so that those
   * behind it there follow. Returns those that try for the first time now.
   */
  leave(waiting: Waiting, { opens = false }: { readonly opens?: boolean } = {}): Waiting[] {
    const entry = waiting as Entry;
    if (entry.state === "trying" && entry.failures > 0) this.#tryingAgain -= 1;
    entry.state = "over";
    this.#resting.delete(entry);
    this.#idle.delete(entry);
    const behind = entry.inOrder.flatMap((name) => this.#step(this.#inOrder, name, entry));
    for (const name of entry.gates) behind.push(...(opens ? this.#open(name) : this.#step(this.#gates, name, entry)));
    const started: Waiting[] = [];
    for (const next of behind) {
      if (next.state !== "queued" || !this.#isFirst(next)) continue;
      next.state = "trying";
      this.#idle.delete(next);
      started.push(next);
    }
    return started;
  }

  /** Those that are queued or resting at their deadline. */
  expired(now: number): Waiting[] {
    const expired: Waiting[] = [];
    for (const entry of this.#idle) if (entry.deadline <= now) expired.push(entry);
    return expired;
  }

  /** True while no call is queued or resting. */
  get isIdle(): boolean {
    return this.#idle.size === 0;
  }

  /** When the next rest or the next deadline is over; `Infinity` for none. A rest that is over waits for others only. */
  nextAt(now: number): number {
    let nextAt = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#idle) nextAt = Math.min(nextAt, deadline);
    for (const { dueAt } of this.#resting) if (dueAt > now) nextAt = Math.min(nextAt, dueAt);
    return nextAt;
  }

  #enterGates(entry: Entry, names: readonly string[]): void {
    for (const name of names) {
      entry.gates.add(name);
      line(this.#gates, name).add(entry);
    }
  }

  #isFirst(entry: Entry): boolean {
    return (
      entry.inOrder.every((name) => firstOf(this.#inOrder.get(name)) === entry) &&
      Array.from(entry.gates).every((name) => firstOf(this.#gates.get(name)) === entry)
    );
  }

  /** Takes a call out of one of its lanes; returns the one that is first now. */
  #step(lanes: Map<string, Set<Entry>>, name: string, entry: Entry): Entry[] {
    const entries = lanes.get(name);
    entries?.delete(entry);
    const next = firstOf(entries);
    if (next) return [next];
    lanes.delete(name);
    return [];
  }

  /** Takes a gate away, and returns those that were in it. */
  #open(name: string): Entry[] {
    const entries = [...(this.#gates.get(name) ?? [])];
    this.#gates.delete(name);
    for (const entry of entries) {
      entry.gates.delete(name);
      // One whose earlier try failed need not rest any longer.
      entry.dueAt = Number.NEGATIVE_INFINITY;
    }
    return entries;
  }
}

/** One call in a {@link LaneTable}. */
export interface Waiting {
  /** Lanes in which calls come one after another, in the order in which they entered. */
  readonly inOrder: readonly string[];
  /** Lanes in which one call goes ahead, and all others follow at once when it got through. */
  readonly gates: ReadonlySet<string>;
  /** When it gives up. */
  readonly deadline: number;
  readonly state: WaitingState;
  /** How many tries have failed. */
  readonly failures: number;
}

/**
 *   state     means                                   left when
 *   queued    never tried; another call is before     it is the first in all of its lanes  -> trying
 *             it in one of its lanes
 *   trying    its statement is under way              it got through, or was refused       -> over
 *                                                     another held what it needs           -> resting
 *   resting   its try failed                          its rest is over, it is the first
 *                                                     in all of its lanes, and fewer than
 *                                                     `atOnce` others try again            -> trying
 *   over      has left
 *
 * A call that is queued or resting at its deadline leaves.
 */
export type WaitingState = "queued" | "trying" | "resting" | "over";

/** The lanes that a call enters. */
export interface LanesToEnter {
  readonly inOrder?: readonly string[];
  readonly gates?: readonly string[];
}

interface Entry extends Waiting {
  readonly gates: Set<string>;
  state: WaitingState;
  failures: number;
  /** When it may be tried again. */
  dueAt: number;
}

function line(lanes: Map<string, Set<Entry>>, name: string): Set<Entry> {
  let entries = lanes.get(name);
  if (!entries) lanes.set(name, (entries = new Set()));
  return entries;
}

function firstOf(entries: ReadonlySet<Entry> | undefined): Entry | undefined {
  if (!entries) return undefined;
  const [first] = entries;
  return first;
}
