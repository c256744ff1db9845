/**
 * Queues of which it is known when their next job may start: their next token is
 * there, or they are parked no longer. They are named again at that time, and
 * hardly before: each look that finds nothing costs all workers something.
 *
 *   a queue    because                          is named                      leaves when
 *   waits      a claim came across a due job    when its time has come; by    its time has come
 *              of it that may not start yet     an announcement ten times a
 *                                               second at most
 *
 * Workers that were told the same time do not come at the same moment. Beyond
 * 10,000 queues no further one is remembered: a scan of all queues finds those.
 * Times are those of the monotonic clock.
 */
export class QueueWaits {
  readonly #random: () => number;
  readonly #waits = new Map<number, Wait>();
  /** A heap, the one that is named next at the front. A wait that has changed since it was put here is in it once more. */
  #heap: Place[] = [];

  /** @param random - gives 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** A claim that is answered `now` says that the next job of this queue may start at `at`. */
  add(queueId: number, at: number, now: number): void {
    if (this.#waits.size >= MOST_WAITS && !this.#waits.has(queueId)) return;
    const restMs = Math.max(0, at - now);
    const until = at + this.#random() * Math.min(MOST_JITTER_MS, Math.max(1, restMs / JITTER_SHARE));
    const wait: Wait = { queueId, until, namedAt: now, nextAt: until };
    this.#waits.set(queueId, wait);
    this.#push(wait);
  }

  /** Whether a queue that was announced is not named now: it waits, and has been looked at a moment ago. */
  postpones(queueId: number, now: number): boolean {
    const wait = this.#waits.get(queueId);
    if (!wait || wait.until <= now) return false;
    const allowedAt = wait.namedAt + NAMED_APART_MS;
    if (now >= allowedAt) {
      wait.namedAt = now;
      return false;
    }
    if (allowedAt < wait.nextAt) {
      wait.nextAt = allowedAt;
      this.#push(wait);
    }
    return true;
  }

  /** Takes out the queues that are to be named now. */
  take(now: number): number[] {
    const queueIds: number[] = [];
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      popFirst(this.#heap);
      const { wait } = first;
      if (wait.nextAt !== first.at || this.#waits.get(wait.queueId) !== wait) continue;
      queueIds.push(wait.queueId);
      wait.namedAt = now;
      if (wait.until <= now) {
        this.#waits.delete(wait.queueId);
      } else {
        wait.nextAt = wait.until;
        this.#push(wait);
      }
    }
    return queueIds;
  }

  /** How long until one is to be named; `Infinity` when none waits. */
  restMs(now: number): number {
    const [first] = this.#heap;
    return first ? Math.max(0, first.at - now) : Number.POSITIVE_INFINITY;
  }

  #push(wait: Wait): void {
    if (this.#heap.length > 2 * this.#waits.size + SPARE_PLACES) {
      const places = Array.from(this.#waits.values(), (one) => ({ at: one.nextAt, wait: one }));
      this.#heap = places.sort((a, b) => a.at - b.at);
      return;
    }
    pushPlace(this.#heap, { at: wait.nextAt, wait });
  }
}

interface Wait {
  readonly queueId: number;
  readonly until: number;
  /** When it was looked at last, or named. */
  namedAt: number;
  /** When it is named next. */
  nextAt: number;
}

interface Place {
  readonly at: number;
  readonly wait: Wait;
}

const MOST_WAITS = 10_000;
/** Places of the heap that may be out of date before it is made anew. */
const SPARE_PLACES = 64;
const NAMED_APART_MS = 100;
/** A time is spread over this part of the rest until then, */
const JITTER_SHARE = 10;
/** and over no more than this. */
const MOST_JITTER_MS = 50;

function pushPlace(heap: Place[], place: Place): void {
  let index = heap.push(place) - 1;
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above] as Place;
    if (parent.at <= place.at) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = place;
}

function popFirst(heap: Place[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let below = 2 * index + 1;
    if (below >= heap.length) break;
    const right = heap[below + 1];
    if (right && right.at < (heap[below] as Place).at) below += 1;
    const child = heap[below] as Place;
    if (child.at >= last.at) break;
    heap[index] = child;
    index = below;
  }
  heap[index] = last;
}
