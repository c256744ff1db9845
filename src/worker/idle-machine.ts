import type { IdleSettings } from "../job/worker-context.ts";

/**
 * When a worker with adaptive polling goes idle, and when it is active again,
 * as a pure function over times of the monotonic clock. `idle-mode.ts` carries
 * the effects out.
 *
 *   mode       registered  claims  leaves when
 *   active     yes         yes     `idleAt` has passed, it holds no job, and it may leave -> closing
 *   closing    yes         yes     it holds a job, has taken one, or may not leave        -> active
 *                                  it was notified, or its session has ended, meanwhile    -> active
 *                                  the next due time could not be read                    -> active
 *                                  the full scan that began with it has found nothing     -> leaving
 *   leaving    no longer   no      it is off the register                                 -> idle
 *                                  that is not confirmed                                  -> returning
 *   idle       no          no      a notification came, perhaps while it was leaving      -> returning
 *                                  its session has ended, or `wakeAt` has come            -> returning
 *   returning  again       no      it is registered, or that has failed once              -> active
 *
 * It may leave while notifications reach it and no other worker needs it. Its
 * claims go on until it leaves, in the same turn in which they were seen to be at
 * rest. But what is notified while it is closing may become due in a moment, which
 * they cannot see yet, and after the time that was read: it does not leave by that.
 *
 * An active worker has `idleTimeout` from the last moment at which it held a job.
 * So has one that was called back while it was closing, and one that has returned
 * because of a notification or of a job that has become due; any other return is
 * a look around, after which it may leave at once.
 */
export interface IdleState {
  readonly mode: "active" | "closing" | "leaving" | "idle" | "returning";
  /** From when on an active worker may leave. */
  readonly idleAt: number;
  /** When the next job becomes due, as far as was known in `closing`. */
  readonly dueAt: number;
  /** When an idle worker returns by itself. */
  readonly wakeAt: number;
  /** What has happened since it began to close or leave. */
  readonly call: "none" | "look" | "stay";
}

/** What happens to a worker that may go idle. */
export type IdleEvent =
  /** The worker is looked at: what it does now, and did since it was looked at last. */
  | {
      readonly type: "checked";
      readonly now: number;
      /** It holds a job, or has taken one. */
      readonly isBusy: boolean;
      /** Notifications reach it, and no other worker needs it. */
      readonly mayLeave: boolean;
      /** It has nothing to claim, and has looked everywhere since it was told to. */
      readonly isAtRest: boolean;
    }
  /** When the next job becomes due; it looks everywhere from now on. `undefined`: the database did not say. */
  | { readonly type: "scanned"; readonly dueAt: number | undefined }
  /** Something was notified. */
  | { readonly type: "notified" }
  /** Its session has ended, or there is another one. */
  | { readonly type: "disturbed" }
  /** It is off the register, or that is not confirmed. */
  | { readonly type: "left"; readonly now: number; readonly isOff: boolean }
  /** It is registered again, or that has failed once. */
  | { readonly type: "returned"; readonly now: number };

/** What has to be done about it. */
export type IdleEffect =
  /** Read when the next job becomes due, then look everywhere. */
  | "scan"
  /** Stop claiming in this turn, then leave the register. */
  | "leave"
  /** Register again, then claim. */
  | "return";

/** The next state, and what to do. */
export type IdleStep = readonly [IdleState, IdleEffect?];

/** A worker that has just started. */
export function beginActive(now: number, limits: IdleSettings): IdleState {
  return { mode: "active", idleAt: now + limits.idleTimeoutMs, dueAt: NEVER, wakeAt: NEVER, call: "none" };
}

/** What an event does. */
export function idleStep(state: IdleState, event: IdleEvent, limits: IdleSettings): IdleStep {
  switch (event.type) {
    case "checked":
      return check(state, event, limits);
    case "scanned":
      if (state.mode !== "closing") return [state];
      return [event.dueAt === undefined ? { ...state, mode: "active" } : { ...state, dueAt: event.dueAt }];
    case "notified":
      return [state.mode === "active" ? state : { ...state, call: "stay" }];
    case "disturbed":
      return [state.mode !== "active" && state.call === "none" ? { ...state, call: "look" } : state];
    case "left":
      return leave(state, event, limits);
    case "returned":
      if (state.mode !== "returning") return [state];
      return [
        { ...beginActive(event.now, limits), idleAt: event.now + (state.call === "stay" ? limits.idleTimeoutMs : 0) },
      ];
    default:
      return event satisfies never;
  }
}

/** How long until the worker has to be looked at. */
export function idleRestMs({ mode, call, wakeAt }: IdleState, now: number, limits: IdleSettings): number {
  if (mode !== "idle") return Math.min(LONGEST_CHECK_MS, limits.idleTimeoutMs / 10);
  return call === "none" ? Math.max(0, wakeAt - now) : 0;
}

function check(state: IdleState, event: Extract<IdleEvent, { type: "checked" }>, limits: IdleSettings): IdleStep {
  const { now, isBusy, mayLeave, isAtRest } = event;
  switch (state.mode) {
    case "active":
      if (isBusy) return [beginActive(now, limits)];
      return mayLeave && now >= state.idleAt ? [{ ...state, mode: "closing", call: "none" }, "scan"] : [state];
    case "closing":
      if (isBusy || state.call !== "none") return [beginActive(now, limits)];
      if (!mayLeave) return [{ ...state, mode: "active" }];
      return isAtRest ? [{ ...state, mode: "leaving", call: "none" }, "leave"] : [state];
    case "idle":
      if (state.call !== "none") return [{ ...state, mode: "returning" }, "return"];
      if (now < state.wakeAt) return [state];
      return [{ ...state, mode: "returning", call: state.wakeAt === state.dueAt ? "stay" : "look" }, "return"];
    default:
      return [state];
  }
}

function leave(state: IdleState, event: Extract<IdleEvent, { type: "left" }>, limits: IdleSettings): IdleStep {
  if (state.mode !== "leaving") return [state];
  if (!event.isOff) return [{ ...state, mode: "returning" }, "return"];
  const wakeAt = Math.min(event.now + limits.idlePollIntervalMs, state.dueAt);
  return [{ ...state, mode: "idle", wakeAt }];
}

const NEVER = Number.POSITIVE_INFINITY;

/** A worker that waits to go idle is looked at so often, which costs no statement. */
const LONGEST_CHECK_MS = 1_000;
