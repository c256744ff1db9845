import { comparePositions, earlier, later, START, type Position } from "../../postgres/position.ts";

/** What a claim was sent with. Hand it back when its answer is there, or has failed. */
export interface FloorTicket {
  readonly sent: ReadonlyMap<number, Position>;
  /** Where jobs were announced since: the answer may not have seen what lies behind it. */
  rewoundTo: Position | undefined;
}

/**
 * Up to where a worker has seen the jobs of each key, so that a claim need not
 * walk what earlier claims have left behind. A key is a priority, or whatever
 * else is scanned by (run_at, id).
 *
 * One set serves all claims of a worker. It may always be too low, which costs
 * time; it must never be too high, which would leave a job unseen until the
 * head is scanned again. Therefore: a rewind caps every claim under way, and a
 * claim that failed lowers the floors to where it began.
 */
export class Floors {
  readonly #floors = new Map<number, Position>();
  readonly #open = new Set<FloorTicket>();

  /** The floor of a key, if it is known. */
  get(key: number): Position | undefined {
    return this.#floors.get(key);
  }

  /** All keys that are known, ascending. */
  keys(): number[] {
    return [...this.#floors.keys()].sort((a, b) => a - b);
  }

  /** Begins a claim. */
  begin(): FloorTicket {
    const ticket: FloorTicket = { sent: new Map(this.#floors), rewoundTo: undefined };
    this.#open.add(ticket);
    return ticket;
  }

  /** Takes over what a claim has seen. */
  settle(ticket: FloorTicket, seen: Iterable<readonly [number, Position]>): void {
    this.#open.delete(ticket);
    for (const [key, position] of seen) {
      const sure = ticket.rewoundTo ? earlier(position, ticket.rewoundTo) : position;
      const known = this.#floors.get(key);
      this.#floors.set(key, known ? later(known, sure) : sure);
    }
  }

  /** A claim failed, or nobody knows what it did: everything from where it began has to be seen again. */
  fail(ticket: FloorTicket): void {
    this.#open.delete(ticket);
    // A key that it did not know was scanned from its first job.
    for (const key of this.keys()) this.#lower(key, ticket.sent.get(key) ?? START);
    this.#cap(START);
  }

  /** Jobs from this time (microseconds) on were announced; with which priority nobody said. */
  rewind(at: string): void {
    const position: Position = { at, id: "0" };
    for (const key of this.#floors.keys()) this.#lower(key, position);
    this.#cap(position);
  }

  /** Starts again from the first job of every key, of `except` not. */
  forget(except?: number): void {
    for (const key of this.keys()) if (key !== except) this.#floors.delete(key);
    this.#cap(START);
  }

  #lower(key: number, position: Position): void {
    const known = this.#floors.get(key);
    if (known && comparePositions(position, known) < 0) this.#floors.set(key, position);
  }

  #cap(position: Position): void {
    for (const ticket of this.#open) {
      ticket.rewoundTo = ticket.rewoundTo ? earlier(ticket.rewoundTo, position) : position;
    }
  }
}
