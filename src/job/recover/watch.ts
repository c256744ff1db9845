/**
 * Who is dead. A sweeper trusts only what it saw itself: how long a heartbeat
 * has not moved, and for how long a lock has been gone, counted in time between
 * looks that it really made, over one connection to one server. Times that the
 * database has stored are compared for equality and never subtracted.
 *
 *   session lock                       dead when
 *   lost: it was recorded and is gone  gone and silent for lockLossTimeout
 *   none: nothing was recorded         silent for sweepThreshold, times the
 *                                      multiplier while it runs resilient jobs
 *   held                               silent for 6 x sweepThreshold
 *   any, declared dead by somebody     at once
 *   any, the sweeper itself            never
 *   any, watched for < watchTime       not yet
 */

/** What a look says about the lock that a worker's session should hold. */
export type LockSighting = "held" | "lost" | "none";

/** One registered worker, as a look found it. */
export interface Sighting {
  readonly workerId: string;
  /** The time of its last heartbeat, as text to compare. */
  readonly beat: string;
  readonly lock: LockSighting;
  /** Somebody has declared it dead. */
  readonly declared: boolean;
}

/** One look at all registered workers. */
export interface Look {
  /** When it was asked and when it was answered, by the monotonic clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly workers: readonly Sighting[];
}

/** What was seen of one worker so far. */
export interface Watched extends Sighting {
  /** For how long its heartbeat has certainly not moved. */
  readonly silentMs: number;
  /** For how long its lock has certainly been gone. */
  readonly goneMs: number;
}

/** What a sweeper has seen since its watch began. */
export interface Watch {
  readonly watchedMs: number;
  readonly answeredAt: number;
  readonly workers: ReadonlyMap<string, Watched>;
}

/** The limits of the table above. */
export interface WatchLimits {
  readonly watchTimeMs: number;
  readonly lockLossTimeoutMs: number;
  readonly sweepThresholdMs: number;
  /** How much more time resilient jobs give. */
  readonly resilientFactor: number;
}

/** A worker that holds its lock has a reason for its silence: a blocked event loop, a stopped process. */
const HELD_FACTOR = 6;

/**
 * Adds a look to a watch; `undefined` begins one. A pause between two looks
 * counts for at most `longestGapMs`: a sweeper that was stopped itself, or that
 * could not look, has not seen that others were silent.
 */
export function observe(watch: Watch | undefined, look: Look, longestGapMs: number): Watch {
  const { sentAt, answeredAt, workers } = look;
  // From the answer to the next question: at least so much has passed between what the two have seen.
  const gapMs = watch ? Math.max(0, Math.min(sentAt - watch.answeredAt, longestGapMs)) : 0;
  const seen = new Map<string, Watched>();
  for (const sighting of workers) {
    const before = watch?.workers.get(sighting.workerId);
    const silent = before?.beat === sighting.beat;
    const gone = sighting.lock === "lost" && before?.lock === "lost";
    seen.set(sighting.workerId, {
      ...sighting,
      silentMs: silent ? before.silentMs + gapMs : 0,
      goneMs: gone ? before.goneMs + gapMs : 0,
    });
  }
  return { watchedMs: (watch?.watchedMs ?? 0) + gapMs, answeredAt, workers: seen };
}

/** For how long a worker still counts as alive if nothing changes; 0 when it is dead. */
export function lifeLeftMs(
  watch: Watch,
  worker: Watched,
  limits: WatchLimits & { readonly isResilient: boolean },
): number {
  if (worker.declared) return 0;
  const { watchTimeMs } = limits;
  return Math.max(0, watchTimeMs - watch.watchedMs, patienceMs(worker, limits));
}

function patienceMs(
  { lock, silentMs, goneMs }: Watched,
  {
    lockLossTimeoutMs,
    sweepThresholdMs,
    resilientFactor,
    isResilient,
  }: WatchLimits & { readonly isResilient: boolean },
): number {
  switch (lock) {
    case "lost":
      return lockLossTimeoutMs - Math.min(silentMs, goneMs);
    case "none":
      return sweepThresholdMs * (isResilient ? resilientFactor : 1) - silentMs;
    case "held":
      return sweepThresholdMs * HELD_FACTOR - silentMs;
    default:
      return lock satisfies never;
  }
}
