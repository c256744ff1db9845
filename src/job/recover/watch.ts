import { longestSilenceMs, type LockSighting, type SilenceLimits } from "../longest-silence.ts";

/**
 * What a sweeper has seen since its watch began, and which worker is dead by
 * that. It trusts what it saw itself, and in its first session what the processes
 * before it have noted: how long a heartbeat has not moved, and for how long a
 * lock has been gone, counted in time between looks that were really made, over
 * one connection to one server. Heartbeats are compared for equality and never
 * subtracted from anything.
 *
 *   the worker                          dead when
 *   declared dead by any sweeper        at once
 *   its process is certainly gone, and
 *   its lock is not held                at once
 *   watched for < watchTime             not yet, but in the first session of a
 *                                       process: lost on this server, not as one
 *                                       of many, and silent for 1.5 x
 *                                       lockLossTimeout, also seen by the
 *                                       processes before
 *   lost: its lock was recorded, and
 *   is gone                             gone and silent for lockLossTimeout; as
 *                                       one of many for watchTime
 *   none: nothing was recorded          silent for sweepThreshold, times the
 *                                       multiplier while it runs resilient jobs
 *   held                                silent for 6 x sweepThreshold
 *   the sweeper itself                  never
 *
 * One of many: several processes went at the same time, and fewer others are
 * heard of. Then it is the way to them that is lost, more likely than they. Each
 * stays one of many when others of them are back before it: they come back one
 * after another.
 */
export interface Watch {
  readonly watchedMs: number;
  readonly answeredAt: number;
  readonly workers: ReadonlyMap<string, Watched>;
}

/** One registered worker, as a look found it. */
export interface Sighting {
  readonly workerId: string;
  /** The time of its last heartbeat, as text to compare. */
  readonly beat: string;
  readonly lock: LockSighting;
  /** A sweeper has declared it dead. */
  readonly declared: boolean;
  /** It is the sweeper's own. */
  readonly isOwn?: boolean;
  /** What the workers of one process have in common; its own id when nothing is known. */
  readonly process?: string;
  /** Its process was one of this machine, and is certainly not there any more. */
  readonly isProcessGone?: boolean;
  /** The lock was recorded on the server that was looked at, since it was started. */
  readonly isSameServer?: boolean;
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
  /** For how long it was silent and its lock gone in looks of this and earlier processes, as its row counts. */
  readonly absentMs: number;
  /** Since it is gone, it was seen to be one of many. */
  readonly wentWithMany: boolean;
}

/** The limits of the table above. */
export interface WatchLimits extends SilenceLimits {
  readonly watchTimeMs: number;
  readonly lockLossTimeoutMs: number;
  /** Two that went within so long of each other went together. */
  readonly sweepIntervalMs: number;
}

/** What counts for whether workers went together. */
export interface Company extends Pick<WatchLimits, "sweepIntervalMs"> {
  /** The sweeper looks over the first session that its process has ever had. */
  readonly isFirstSession?: boolean;
}

/** What else counts for one worker. */
export interface Circumstances extends WatchLimits, Company {
  /** It runs resilient jobs. */
  readonly isResilient: boolean;
}

/**
 * A process that has just started cannot know whether others were cut off
 * before: it waits for longer than the longest silence of a living worker, even
 * when a statement of that has hung.
 */
const FIRST_FACTOR = 1.5;

/** Absences that began in the same look differ by less. */
const SAME_LOOK_MS = 1_000;

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
      absentMs: 0,
      wentWithMany: silent && gone && before.wentWithMany,
    });
  }
  return { watchedMs: (watch?.watchedMs ?? 0) + gapMs, answeredAt, workers: seen };
}

/** Adds what the rows of the absent count. */
export function withAbsences(watch: Watch, absences: ReadonlyMap<string, number>): Watch {
  const workers = [...watch.workers].map(
    ([id, worker]) => [id, { ...worker, absentMs: absences.get(id) ?? 0 }] as const,
  );
  return { ...watch, workers: new Map(workers) };
}

/** Marks those that are one of many, for as long as they are gone. */
export function withCompany(watch: Watch, circumstances: Company): Watch {
  const workers = [...watch.workers].map(
    ([id, worker]) => [id, { ...worker, wentWithMany: isOneOfMany(watch, worker, circumstances) }] as const,
  );
  return { ...watch, workers: new Map(workers) };
}

/** Whether it is worth noting that a worker is absent: it counts for the process that looks next. */
export function isAbsent({ lock, isSameServer, isOwn }: Sighting): boolean {
  return lock === "lost" && isSameServer === true && isOwn !== true;
}

/** For how long a worker still counts as alive if nothing changes; 0 when it is dead. */
export function lifeLeftMs(watch: Watch, worker: Watched, circumstances: Circumstances): number {
  if (worker.declared || (worker.isProcessGone === true && worker.lock !== "held")) return 0;
  const { watchTimeMs, lockLossTimeoutMs } = circumstances;
  const withMany = isOneOfMany(watch, worker, circumstances);
  const usualMs = Math.max(watchTimeMs - watch.watchedMs, patienceMs(worker, withMany, circumstances));
  const counts = circumstances.isFirstSession === true && isAbsent(worker) && !withMany;
  const firstMs = counts ? FIRST_FACTOR * lockLossTimeoutMs - worker.absentMs : Number.POSITIVE_INFINITY;
  return Math.max(0, Math.min(usualMs, firstMs));
}

function patienceMs({ lock, silentMs, goneMs }: Watched, withMany: boolean, circumstances: Circumstances): number {
  if (lock !== "lost")
    return longestSilenceMs({ lock, isResilient: circumstances.isResilient }, circumstances) - silentMs;
  const { lockLossTimeoutMs, watchTimeMs } = circumstances;
  return (withMany ? Math.max(lockLossTimeoutMs, watchTimeMs) : lockLossTimeoutMs) - Math.min(silentMs, goneMs);
}

function isOneOfMany(watch: Watch, worker: Watched, company: Company): boolean {
  return worker.lock === "lost" && (worker.wentWithMany || wentTogether(watch, worker, company));
}

/** Whether several processes went when this one did, and more than there are others that are heard of. */
function wentTogether(watch: Watch, worker: Watched, { isFirstSession, sweepIntervalMs }: Company): boolean {
  const goneFor = ({ goneMs, absentMs }: Watched): number => (isFirstSession ? absentMs : goneMs);
  const apartMs = isFirstSession ? SAME_LOOK_MS : sweepIntervalMs;
  const [gone, heard] = [new Set<string>(), new Set<string>()];
  for (const other of watch.workers.values()) {
    if (other.declared || other.isOwn || other.isProcessGone) continue;
    const process = other.process ?? other.workerId;
    if (other.lock !== "lost" || (watch.watchedMs > 0 && other.silentMs === 0)) heard.add(process);
    else if (Math.abs(goneFor(other) - goneFor(worker)) <= apartMs) gone.add(process);
  }
  return gone.size > 1 && gone.size > heard.size;
}
