import type { Position } from "../../postgres/position.ts";
import { repeatableAt, type ScanTimes } from "./scan-times.ts";

/**
 * What a worker knows of queues: which are worth a look, and where it left off
 * in those that it keeps coming back to, so that it does not walk past the jobs
 * of other tasks, and past what it has done itself, each time it takes the next
 * one.
 *
 *   a queue is        because                                  leaves when
 *   named             jobs of it were announced, or a chain    it goes with a claim
 *                     of it has ended
 *   left over         a claim came across due jobs of it       it goes with a claim
 *                     and did not take them
 *   held              a chain of it was taken: no look at it   the chain ends, or its
 *                                                              floor has expired
 *   known up to its   its chains have ended                    the floor expires, a job
 *   floor                                                      goes back, or other tasks
 *                                                              are claimed
 *
 * A floor does not count while its queue is held: jobs that go back lie before
 * it, and a claim that is sent before that may be carried out after it.
 */
export class QueueMemory {
  readonly #lifeMs: number;
  readonly #named = new Set<number>();
  /** Apart from those that are named, which do not wait behind them: there may be one number for each queue with due jobs. */
  readonly #leftOver = new Set<number>();
  readonly #floors = new Map<number, QueueFloor>();
  /** The queues that were taken from last, the latest one at the end. */
  readonly #recent = new Set<number>();
  /** When jobs were last announced that may lie before the floor: a claim sent until then need not have seen them. */
  readonly #announcedAt = new Map<number, number>();
  #distrustedAt = Number.NEGATIVE_INFINITY;
  /** How many chains of a queue were taken and have not ended, as far as this worker knows. */
  readonly #held = new Map<number, number>();

  /** @param lifeMs - the shortest time between two scans from the first job of a queue */
  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  /** True when queues are worth a look. */
  get hasCandidates(): boolean {
    return this.#named.size > 0 || this.#leftOver.size > 0;
  }

  /** Whether a claim is to look at this queue. */
  isCandidate(queueId: number): boolean {
    return this.#named.has(queueId) || this.#leftOver.has(queueId);
  }

  /** This queue is worth a look. */
  name(queueId: number): void {
    this.#named.add(queueId);
  }

  /** A claim came across due jobs of these queues and did not take them. */
  leftOver(queueIds: readonly number[]): void {
    for (const queueId of queueIds) this.#leftOver.add(queueId);
  }

  /** Takes up to `most` candidates out. Up to half of them are left over, because busy queues are named again and again. */
  take(most: number): number[] {
    if (!this.hasCandidates) return [];
    const taken = new Set<number>();
    move(this.#named, taken, Math.ceil(most / 2));
    move(this.#leftOver, taken, most);
    move(this.#named, taken, most);
    return [...taken];
  }

  /**
   * The floors of these queues, as far as they are known, and of the ones that
   * were taken from last, which a claim comes across anyhow. The last chain of
   * those that are `ending` ends before the claim looks at them.
   */
  floors(queueIds: readonly number[], now: number, ending: readonly number[] = []): Map<number, QueueFloor> {
    const floors = this.endingFloors(ending, now);
    for (const queueId of [...queueIds, ...this.#recent]) {
      const floor = floors.has(queueId) ? undefined : this.floor(queueId, now);
      if (floor) floors.set(queueId, floor);
    }
    return floors;
  }

  /** The floors of these queues, as far as they are known, whose last chain ends before a claim looks at them. */
  endingFloors(ending: readonly number[], now: number): Map<number, QueueFloor> {
    const floors = new Map<number, QueueFloor>();
    for (const queueId of ending) {
      const floor = this.#held.get(queueId) === 1 ? this.#current(queueId, now) : undefined;
      if (floor) floors.set(queueId, floor);
    }
    return floors;
  }

  /** Where to look from; `undefined` for the first job. */
  floor(queueId: number, now: number): QueueFloor | undefined {
    return this.#held.has(queueId) ? undefined : this.#current(queueId, now);
  }

  /**
   * Of the queues that were taken from last, those that this worker holds and
   * that are not `ending`. A claim that is carried out just when one becomes
   * free would scan it from its first job. No longer than a floor counts: should the worker never hear of the end of a
   * chain, its claims look at the queue again.
   */
  held(ending: readonly number[], now: number): number[] {
    return [...this.#recent].filter(
      (queueId) => this.#held.has(queueId) && !ending.includes(queueId) && this.#current(queueId, now) !== undefined,
    );
  }

  /**
   * A claim has taken this job as the last one of its queue. A floor that the
   * claim was sent with goes on, with the times of the scan from the first job
   * that it goes back to.
   */
  took(queueId: number, last: SeenJob, scan: QueueScan): void {
    const sentWith = scan.sentWith.get(queueId);
    const rescanAllowedAt = sentWith?.rescanAllowedAt ?? repeatableAt(scan);
    const rescanAt = this.#isUnseen(queueId, scan.sentAt)
      ? rescanAllowedAt
      : (sentWith?.rescanAt ?? Math.max(scan.sentAt + this.#lifeMs, rescanAllowedAt));
    if (this.#floors.size >= MAX_FLOORS) this.#floors.clear();
    this.#floors.set(queueId, { priority: last.priority, position: last.position, rescanAt, rescanAllowedAt });
    this.#noteRecent(queueId);
    this.#held.set(queueId, (this.#held.get(queueId) ?? 0) + 1);
  }

  /** A chain of this queue has ended. */
  freed(queueId: number): void {
    // Another chain may have been taken before the end of this one was known.
    const held = (this.#held.get(queueId) ?? 0) - 1;
    if (held > 0) this.#held.set(queueId, held);
    else this.#held.delete(queueId);
  }

  /** Jobs were announced that may lie before the floor: it counts until another scan from the first job is allowed. */
  announced(queueId: number, now: number): void {
    this.#noteAnnounced(queueId, now);
    this.#shorten(queueId);
  }

  /** Announcements may have been missed, of any queue: each floor counts as if there had been one. */
  distrust(now: number): void {
    this.#distrustedAt = now;
    for (const queueId of this.#floors.keys()) this.#shorten(queueId);
  }

  /** A job has gone back to where it was, before the floor. */
  wentBack(queueId: number, now: number): void {
    this.#noteAnnounced(queueId, now);
    this.#floors.delete(queueId);
  }

  /** Starts again from the first job of every queue. */
  forget(now: number): void {
    this.#distrustedAt = now;
    this.#announcedAt.clear();
    this.#floors.clear();
  }

  #current(queueId: number, now: number): QueueFloor | undefined {
    const floor = this.#floors.get(queueId);
    if (!floor || now < floor.rescanAt) return floor;
    this.#floors.delete(queueId);
    return undefined;
  }

  /** Whether there may be jobs that a claim sent then has not seen. */
  #isUnseen(queueId: number, sentAt: number): boolean {
    return this.#distrustedAt >= sentAt || (this.#announcedAt.get(queueId) ?? Number.NEGATIVE_INFINITY) >= sentAt;
  }

  #shorten(queueId: number): void {
    const floor = this.#floors.get(queueId);
    if (floor && floor.rescanAllowedAt < floor.rescanAt) {
      this.#floors.set(queueId, { ...floor, rescanAt: floor.rescanAllowedAt });
    }
  }

  #noteAnnounced(queueId: number, now: number): void {
    if (this.#announcedAt.size >= MAX_FLOORS) this.forget(now);
    this.#announcedAt.set(queueId, now);
  }

  #noteRecent(queueId: number): void {
    this.#recent.delete(queueId);
    this.#recent.add(queueId);
    if (this.#recent.size <= RECENT) return;
    const [oldest = queueId] = this.#recent;
    this.#recent.delete(oldest);
  }
}

/** How a claim looked at queues. */
export interface QueueScan extends ScanTimes {
  /** The floors that it was sent with. */
  readonly sentWith: ReadonlyMap<number, QueueFloor>;
}

/** The job with which a claim left off in a queue. */
export interface SeenJob {
  readonly priority: number;
  readonly position: Position;
}

/** Up to where the jobs of one queue have been seen. Times are those of the monotonic clock. */
export interface QueueFloor extends SeenJob {
  /** From then on it does not count any more, and the queue is scanned from its first job. */
  readonly rescanAt: number;
  /** From then on a scan from the first job takes no more than its share of the time. */
  readonly rescanAllowedAt: number;
}

/** The most queues whose floors go along with a claim although they were not named. */
const RECENT = 16;
/** More floors than this are not worth their memory. */
const MAX_FLOORS = 10_000;

/** Moves ids from one set to the other, until that holds `most`. */
function move(from: Set<number>, to: Set<number>, most: number): void {
  for (const id of from) {
    if (to.size >= most) return;
    to.add(id);
    from.delete(id);
  }
}
