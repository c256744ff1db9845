import type { LocalQueueMode } from "../../../hooks/events.ts";

/**
 * When a local queue fetches, waits and gives jobs back, as a pure function.
 * `local-queue.ts` holds the jobs and carries the effects out.
 *
 *   mode        cached jobs  fetches  leaves when
 *   starting    none         no       it is started           -> polling
 *   polling     none         yes      jobs arrive             -> waiting
 *                                     the worker goes idle    -> starting
 *   waiting     some         no       the last one is taken   -> polling
 *                                     they waited too long    -> ttlExpired
 *   ttlExpired  none         no       a slot asks for a job   -> polling
 *   released    none         no       never
 *
 * Every mode but the last goes to released when the worker shuts down. While a
 * refetch delay or the rest after a failed fetch lasts, polling does not fetch.
 */
export interface State {
  readonly mode: LocalQueueMode;
  /** A fetch is under way; there is never a second one. */
  readonly fetching: boolean;
  /** Jobs were announced during that fetch, which may have missed them, or during a refetch delay. */
  readonly missed: boolean;
  /** A refetch delay lasts. */
  readonly delayed: boolean;
  /** The rest after a failed fetch lasts, and announcements do not shorten it. */
  readonly resting: boolean;
}

/** What happens to a local queue. */
export type Event =
  | { readonly type: "started" }
  /** Jobs were announced, or may have been. */
  | { readonly type: "pulsed" }
  | { readonly type: "pollDue" }
  /** The fetch brought `count` jobs. With `more` there may be others right now; `delay` begins a refetch delay. */
  | { readonly type: "fetched"; readonly count: number; readonly more: boolean; readonly delay: boolean }
  | { readonly type: "fetchFailed" }
  | { readonly type: "delayOver" }
  /** The last cached job was taken. */
  | { readonly type: "drained" }
  | { readonly type: "ttlDue" }
  /** A slot wants a job and there is none. */
  | { readonly type: "asked" }
  /** The worker goes idle, and starts it again. */
  | { readonly type: "suspended" }
  | { readonly type: "released" };

/** What has to be done about it. */
export type Effect =
  | "fetch"
  /** Fetch again after the poll interval, or after the rest that follows a failure. */
  | "pollLater"
  | "startTtl"
  | "stopTtl"
  /** Give the cached jobs, or those that just arrived, back. */
  | "returnJobs"
  /** Stop the poll timer and the refetch delay. */
  | "stopTimers";

/** The next state, and what to do in this order. */
export type Step = readonly [State, readonly Effect[]];

/** A local queue that has not been started. */
export const initial: State = { mode: "starting", fetching: false, missed: false, delayed: false, resting: false };

/** Whether it would fetch at once if jobs were announced now. */
export function canFetch({ mode, fetching, delayed, resting }: State): boolean {
  return mode === "polling" && !fetching && !delayed && !resting;
}

/** Whether it has nothing to do: no jobs, no fetch under way, and none that is wanted. */
export function isAtRest({ mode, fetching, missed, resting }: State): boolean {
  return mode === "polling" && !fetching && !missed && !resting;
}

/** What an event does to a local queue. */
export function step(state: State, event: Event): Step {
  if (state.mode === "released") return afterRelease(state, event);
  switch (event.type) {
    case "started":
      return state.mode === "starting" ? fetch({ ...state, mode: "polling" }) : [state, []];
    case "pulsed":
      return state.fetching || state.delayed ? [{ ...state, missed: true }, []] : look(state);
    case "pollDue":
      return look({ ...state, resting: false });
    case "delayOver":
      return look({ ...state, delayed: false });
    case "fetched":
      return received(state, event);
    case "fetchFailed":
      return [{ ...state, fetching: false, missed: false, resting: true }, ["pollLater"]];
    case "drained":
      return state.mode === "waiting" ? afterDrain(state) : [state, []];
    case "ttlDue":
      return state.mode === "waiting" ? [{ ...state, mode: "ttlExpired" }, ["returnJobs"]] : [state, []];
    case "asked":
      return state.mode === "ttlExpired" ? look({ ...state, mode: "polling" }) : [state, []];
    case "suspended":
      return isAtRest(state) ? [initial, ["stopTimers"]] : [state, []];
    case "released":
      return release(state);
    default:
      return event satisfies never;
  }
}

function look(state: State): Step {
  return canFetch(state) ? fetch(state) : [state, []];
}

function fetch(state: State): Step {
  return [{ ...state, fetching: true, missed: false }, ["fetch"]];
}

function received(state: State, event: Extract<Event, { type: "fetched" }>): Step {
  const after = { ...state, fetching: false, missed: false, delayed: state.delayed || event.delay };
  if (event.count > 0) return [{ ...after, mode: "waiting" }, ["startTtl"]];
  if (event.more || state.missed) return after.delayed ? [{ ...after, missed: true }, []] : fetch(after);
  return [after, ["pollLater"]];
}

function afterDrain(state: State): Step {
  const [after, effects] = look({ ...state, mode: "polling" });
  return [after, ["stopTtl", ...effects]];
}

function release(state: State): Step {
  const released: State = { ...initial, mode: "released", fetching: state.fetching };
  return [released, state.mode === "waiting" ? ["stopTimers", "stopTtl", "returnJobs"] : ["stopTimers"]];
}

/** A fetch that lands now has locked jobs that no slot will run. */
function afterRelease(state: State, event: Event): Step {
  if (event.type !== "fetched" && event.type !== "fetchFailed") return [state, []];
  const isLate = event.type === "fetched" && event.count > 0;
  return [{ ...state, fetching: false }, isLate ? ["returnJobs"] : []];
}
