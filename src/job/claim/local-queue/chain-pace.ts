/** How long a chain may be: as many jobs as this worker does in less than half a second, judging by the last ones. */
export class ChainPace {
  #averageMs = CHAIN_MS / MAX_CHAIN_LENGTH;

  /** A handler has ended. */
  note(durationMs: number): void {
    this.#averageMs += (durationMs - this.#averageMs) * WEIGHT;
  }

  /** The most jobs of a queue to claim now. */
  get length(): number {
    return Math.min(MAX_CHAIN_LENGTH, Math.max(1, Math.floor(CHAIN_MS / Math.max(this.#averageMs, 1))));
  }
}

/** The most jobs of one queue that a worker claims together, so that other workers get their turn. */
const MAX_CHAIN_LENGTH = 100;
/** About how long a chain may keep its queue: its last jobs start before they have to be asked about again. */
const CHAIN_MS = 400;
/** How much one more job counts in the average. */
const WEIGHT = 1 / 16;
