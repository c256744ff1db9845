import type { MissedTicks, RecurringJob } from "./recurring-job.ts";
import type { Timetable } from "./timetable.ts";

/** The progress of one worker with one recurring job. */
export interface Track {
  readonly recurring: RecurringJob;
  /** The version of a stored schedule. */
  readonly version: string | undefined;
  /** All ticks up to here are decided, in milliseconds since 1970. */
  readonly cursorMs: number;
  /** The first tick that is not decided; `undefined` when there is none. */
  readonly nextMs: number | undefined;
}

/** A tick that is due. */
export interface DueTick {
  readonly track: Track;
  readonly tickMs: number;
}

/** The facts that decide with which ticks a worker begins. */
export interface Beginning {
  readonly timetable: Timetable;
  readonly fillMs: number;
  readonly missed: MissedTicks;
  /** Ticks up to here are decided: they were added, or the entry is younger. */
  readonly decidedMs: number;
  /** When the worker started. All ticks that are due from then on are added, however late. */
  readonly startMs: number;
}

/** The time up to which ticks count as decided when a worker starts. */
export function beginningOf({ timetable, fillMs, missed, decidedMs, startMs }: Beginning): number {
  // A tick that is due at the start is not a missed one.
  const withoutMissedMs = Math.max(decidedMs, startMs - 1);
  const reachMs = Math.max(decidedMs, startMs - fillMs - 1);
  switch (missed) {
    case "skip":
      return withoutMissedMs;
    case "all":
      return reachMs;
    case "once": {
      const lastMs = timetable.previous(startMs);
      return lastMs !== undefined && lastMs > reachMs ? lastMs - 1 : withoutMissedMs;
    }
    default:
      return missed satisfies never;
  }
}

/** A track whose ticks are decided up to `cursorMs`. */
export function trackFrom(recurring: RecurringJob, cursorMs: number, version?: string): Track {
  return { recurring, version, cursorMs, nextMs: recurring.timetable.next(cursorMs) };
}

/** A track without ticks, for a paused schedule. */
export function restingTrack(recurring: RecurringJob, cursorMs: number, version: string): Track {
  return { recurring, version, cursorMs, nextMs: undefined };
}

/**
 * The first due ticks of all tracks, at most `limit`, by time and then in the order of the tracks.
 */
export function dueTicks(tracks: Iterable<Track>, nowMs: number, limit: number): DueTick[] {
  const heads = Array.from(tracks, (track) => ({ track, tickMs: track.nextMs }));
  const due: DueTick[] = [];
  while (due.length < limit) {
    let first: { readonly track: Track; tickMs: number | undefined } | undefined;
    for (const head of heads) {
      if (head.tickMs !== undefined && (first?.tickMs === undefined || head.tickMs < first.tickMs)) first = head;
    }
    if (first?.tickMs === undefined || first.tickMs > nowMs) return due;
    due.push({ track: first.track, tickMs: first.tickMs });
    first.tickMs = first.track.recurring.timetable.next(first.tickMs);
  }
  return due;
}
