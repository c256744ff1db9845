import type { Position } from "../../postgres/position.ts";
import { lookCost } from "./look-cost.ts";

/** Up to where the jobs of one queue have been seen. */
export interface QueueFloor {
  readonly priority: number;
  readonly position: Position;
  /** From then on it does not count any more, by the monotonic clock. */
  readonly expiresAt: number;
  /** From then on a look from the first job costs no more than its share of the time. */
  readonly payableAt: number;
}

/** A claim comes across the queues it took from last even when nobody names them. */
const RECENT = 16;
/** More floors than this are not worth their memory. */
const MAX_FLOORS = 10_000;
/** A look from the first job of a queue costs at most one part in so many of the time. */
const LOOK_SHARE = 20;

/**
 * Where a worker left off in the queues that it keeps coming back to, so that
 * it does not walk past the jobs of other tasks, and past what it has done
 * itself, each time it takes the next one.
 *
 * The floor of a queue counts only while the worker does not hold it: jobs that
 * it gives back lie before the floor, and a claim that is sent before that may
 * be carried out after it.
 */
export class QueueFloors {
  readonly #lifeMs: number;
  readonly #floors = new Map<number, QueueFloor>();
  /** The queues that were taken from last, the latest one at the end. */
  readonly #recent = new Set<number>();
  /** When jobs were last heard of that may lie before the floor: a claim sent until then need not have seen them. */
  readonly #heardAt = new Map<number, number>();
  #clearedAt = Number.NEGATIVE_INFINITY;
  /** How many chains of a queue were taken and not ended, as far as this worker knows. */
  readonly #held = new Map<number, number>();

  /** @param lifeMs - the shortest time between two looks from the first job of a queue */
  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  /**
   * The floors of these queues, as far as they are known, and of the ones that
   * were taken from last. Of those that are `ending` the last chain ends before
   * it is looked at them.
   */
  known(queueIds: readonly number[], nowMs: number, ending: readonly number[] = []): Map<number, QueueFloor> {
    const known = new Map<number, QueueFloor>();
    for (const queueId of new Set([...queueIds, ...this.#recent])) {
      const isEnding = ending.includes(queueId) && this.#held.get(queueId) === 1;
      const floor = isEnding ? this.#current(queueId, nowMs) : this.get(queueId, nowMs);
      if (floor) known.set(queueId, floor);
    }
    return known;
  }

  /**
   * Of the queues that were taken from last, those that this worker holds and
   * that are not `ending`. A claim that is carried out just when one becomes
   * free would look at it from its first job.
   *
   * Not for longer than a floor counts: should the end of a chain never be
   * told, others look at its queue again.
   */
  held(ending: readonly number[], nowMs: number): number[] {
    return [...this.#recent].filter(
      (queueId) => this.#held.has(queueId) && !ending.includes(queueId) && this.#current(queueId, nowMs) !== undefined,
    );
  }

  /** Where to look from; `undefined` for the first job. */
  get(queueId: number, nowMs: number): QueueFloor | undefined {
    return this.#held.has(queueId) ? undefined : this.#current(queueId, nowMs);
  }

  #current(queueId: number, nowMs: number): QueueFloor | undefined {
    const floor = this.#floors.get(queueId);
    if (!floor || nowMs < floor.expiresAt) return floor;
    this.#floors.delete(queueId);
    return undefined;
  }

  /**
   * A claim has taken this job as the last one of its queue. What it has seen is
   * as old as its begin: its answer may have waited for a process that stood still.
   */
  took(
    queueId: number,
    last: Pick<QueueFloor, "priority" | "position">,
    { sent, startedAt, tookMs }: LookedFrom,
  ): void {
    const costMs = lookCost(tookMs);
    const payableAt = sent?.payableAt ?? startedAt + (1 + LOOK_SHARE) * costMs;
    const heardAt = Math.max(this.#clearedAt, this.#heardAt.get(queueId) ?? Number.NEGATIVE_INFINITY);
    const fullLife = sent?.expiresAt ?? Math.max(startedAt + this.#lifeMs, payableAt);
    const expiresAt = heardAt >= startedAt ? payableAt : fullLife;
    if (this.#floors.size >= MAX_FLOORS) this.#floors.clear();
    this.#noteRecent(queueId);
    this.#floors.set(queueId, { priority: last.priority, position: last.position, expiresAt, payableAt });
    this.#held.set(queueId, (this.#held.get(queueId) ?? 0) + 1);
  }

  /** A chain of this queue has ended. */
  freed(queueId: number): void {
    // Another chain may have been taken before the end of this one was told.
    const held = (this.#held.get(queueId) ?? 0) - 1;
    if (held > 0) this.#held.set(queueId, held);
    else this.#held.delete(queueId);
  }

  /** Jobs were announced that may lie before the floor: it counts until another look from the first job can be paid. */
  announced(queueId: number, nowMs: number): void {
    this.#hear(queueId, nowMs);
    this.#shorten(queueId);
  }

  /** Announcements may have been missed, of any queue: each floor counts as if there had been one. */
  distrust(nowMs: number): void {
    this.#clearedAt = nowMs;
    for (const queueId of this.#floors.keys()) this.#shorten(queueId);
  }

  #shorten(queueId: number): void {
    const floor = this.#floors.get(queueId);
    if (floor && floor.payableAt < floor.expiresAt)
      this.#floors.set(queueId, {
        priority: floor.priority,
        position: floor.position,
        expiresAt: floor.payableAt,
        payableAt: floor.payableAt,
      });
  }

  /** A job has gone back to where it was, before the floor. */
  forget(queueId: number, nowMs: number): void {
    this.#hear(queueId, nowMs);
    this.#floors.delete(queueId);
  }

  /** Starts again from the first job of every queue. */
  clear(nowMs: number): void {
    this.#clearedAt = nowMs;
    this.#heardAt.clear();
    this.#floors.clear();
  }

  #hear(queueId: number, nowMs: number): void {
    if (this.#heardAt.size >= MAX_FLOORS) this.clear(nowMs);
    this.#heardAt.set(queueId, nowMs);
  }

  #noteRecent(queueId: number): void {
    this.#recent.delete(queueId);
    this.#recent.add(queueId);
    if (this.#recent.size <= RECENT) return;
    const [oldest = queueId] = this.#recent;
    this.#recent.delete(oldest);
  }
}

/** How a claim looked at a queue. */
export interface LookedFrom {
  /** The floor it was sent with. */
  readonly sent: QueueFloor | undefined;
  readonly startedAt: number;
  /** What it cost the server. */
  readonly tookMs: number;
}
