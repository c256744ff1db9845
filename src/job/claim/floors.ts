import { comparePositions, earlier, later, START, type Position } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";
import type { LevelFloor } from "../../postgres/queries/claim.ts";

/**
 * Up to where a worker has seen the jobs of each priority, and the queued jobs
 * that became due, so that a claim need not walk what earlier claims have left
 * behind.
 *
 * One set serves all claims of a worker. A floor that is too low costs time; one
 * that is too high hides a job until the head is scanned again. Therefore a
 * rewind caps every claim under way, and a claim that failed lowers the floors
 * to where it began.
 */
export class Floors {
  readonly #levels = new Map<number, Position>();
  #due = START;
  readonly #open = new Set<FloorTicket>();

  /** The floors of the priorities that are known, ascending. */
  get levels(): LevelFloor[] {
    const levels = Array.from(this.#levels, ([priority, floor]) => ({ priority, floor }));
    return levels.sort((a, b) => a.priority - b.priority);
  }

  /** Up to where queued jobs have been seen to become due. */
  get due(): Position {
    return this.#due;
  }

  /** Begins a claim. */
  begin(): FloorTicket {
    const ticket: FloorTicket = { levels: new Map(this.#levels), due: this.#due, rewoundTo: undefined };
    this.#open.add(ticket);
    return ticket;
  }

  /** Takes over what a claim has seen; without `seen` it looked at nothing but what it locked. */
  settle(ticket: FloorTicket, seen?: Pick<ClaimAnswer, "levels" | "due">): void {
    this.#open.delete(ticket);
    if (!seen) return;
    this.#due = later(this.#due, sureOf(ticket, seen.due));
    for (const { priority, floor } of seen.levels) {
      if (!floor) continue;
      const sure = sureOf(ticket, floor);
      const known = this.#levels.get(priority);
      this.#levels.set(priority, known ? later(known, sure) : sure);
    }
  }

  /** A claim failed, or its answer was lost: everything from where it began has to be seen again. */
  fail(ticket: FloorTicket): void {
    this.#open.delete(ticket);
    // A priority that it did not know was scanned from its first job.
    for (const priority of this.#levels.keys()) this.#lower(priority, ticket.levels.get(priority) ?? START);
    this.#due = earlier(this.#due, ticket.due);
    this.#cap(START);
  }

  /** Jobs from this time (microseconds) on were announced, of any priority. */
  rewind(at: string): void {
    const position: Position = { at, id: "0" };
    for (const priority of this.#levels.keys()) this.#lower(priority, position);
    this.#due = earlier(this.#due, position);
    this.#cap(position);
  }

  /** Starts again from the first job of every priority. */
  forgetLevels(): void {
    this.#levels.clear();
    this.#cap(START);
  }

  /** Starts again from the first job of all. */
  forget(): void {
    this.#due = START;
    this.forgetLevels();
  }

  #lower(priority: number, position: Position): void {
    const known = this.#levels.get(priority);
    if (known && comparePositions(position, known) < 0) this.#levels.set(priority, position);
  }

  #cap(position: Position): void {
    for (const ticket of this.#open) {
      ticket.rewoundTo = ticket.rewoundTo ? earlier(ticket.rewoundTo, position) : position;
    }
  }
}

/** What a claim was sent with. Hand it back when its answer is there, or has failed. */
export interface FloorTicket {
  readonly levels: ReadonlyMap<number, Position>;
  readonly due: Position;
  /** Where jobs were announced since: the answer may not have seen what lies behind it. */
  rewoundTo: Position | undefined;
}

/** Up to where a claim has certainly seen what it says that it has seen. */
function sureOf({ rewoundTo }: FloorTicket, seen: Position): Position {
  return rewoundTo ? earlier(seen, rewoundTo) : seen;
}
