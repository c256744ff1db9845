/**
 * What becomes of the call of a handler, and of the slot that it takes, as a pure
 * function. `slot.ts` has the timer and carries the effects out.
 *
 *   phase         the handler                       slot   leaves when
 *   running       runs                              taken  its job times out, is
 *                                                          cancelled or lost      -> stopping
 *                                                          the worker shuts down  -> shuttingDown
 *   stopping      was told to stop, and has the     taken  the abort period is
 *                 abort period for that                    over, or that of the
 *                                                          worker                 -> detached
 *   shuttingDown  was told to stop, and has the     taken  its job times out      -> stopping
 *                 abort period of the worker               that period is over    -> detached
 *   detached      goes on without its slot: its     free   it settles             -> ended
 *                 attempt has ended
 *   ended         has settled                       free   never
 *
 * A handler that settles in its slot goes to ended, too. Until then its queue is
 * taken. The first reason to stop is the one that the handler is given. A job may
 * be lost in every phase with a slot; then the rest of its chain goes back.
 */
export function stepSlot(state: SlotState, event: SlotEvent): SlotStep {
  const { phase, isLost } = state;
  const hasSlot = phase !== "detached" && phase !== "ended";
  switch (event) {
    case "settled":
      if (hasSlot) return isLost ? SETTLED_LOST : SETTLED;
      return phase === "detached" ? [{ phase: "ended", isLost }, ["settleLate", "vacate"]] : [state, []];
    case "timedOut":
      if (phase === "shuttingDown") return [{ phase: "stopping", isLost }, ["startAbortPeriod"]];
      return phase === "running" ? STOPPED : [state, []];
    case "cancelled":
      return phase === "running" ? STOPPED : [state, []];
    case "lost":
      if (isLost || !hasSlot) return [state, []];
      return phase === "running" ? LOST : [{ phase, isLost: true }, ["reportLost", "returnRest"]];
    case "foundLost":
      return isLost || !hasSlot ? [state, []] : [{ phase: "stopping", isLost: true }, ["reportLost", "returnRest"]];
    case "shutDown":
      return phase === "running" ? [{ phase: "shuttingDown", isLost }, ["tell"]] : [state, []];
    case "periodOver":
      if (phase !== "stopping") return [state, []];
      return [{ phase: "detached", isLost }, ["reportDetached", "detach", "returnRest", "vacate"]];
    case "abandoned":
      return hasSlot ? [{ phase: "detached", isLost }, ["detach", "returnRest"]] : [state, []];
    default:
      return event satisfies never;
  }
}

/** Where the call of a handler stands. */
export interface SlotState {
  readonly phase: "running" | "stopping" | "shuttingDown" | "detached" | "ended";
  /** Others may have the job by now, or another claim of this worker. */
  readonly isLost: boolean;
}

/** What happens to the call of a handler. */
export type SlotEvent =
  /** The handler has returned or thrown. */
  | "settled"
  | "timedOut"
  | "cancelled"
  /** The job may have been given to others. */
  | "lost"
  /** The same, found out before the handler was called: it is not called any more. */
  | "foundLost"
  | "shutDown"
  /** The abort period of this handler is over. */
  | "periodOver"
  /** The worker waits for no handler any longer. */
  | "abandoned";

/** What has to be done about it. */
export type SlotEffect =
  /** Tell the handler to stop. */
  | "tell"
  /** Wait for the abort period, in place of the timeout. */
  | "startAbortPeriod"
  | "reportLost"
  /** Return the jobs of the chain that have not been started. */
  | "returnRest"
  | "reportDetached"
  /** End the attempt with the handler's outcome. */
  | "endAttempt"
  /** Start the next job of the chain; when there is none, let other chains have the slot. */
  | "next"
  /** End the attempt without the handler, and free the slot. */
  | "detach"
  /** Free the queue: the handler has settled after its attempt had ended. */
  | "settleLate"
  /** Let other chains have the slot. */
  | "vacate";

/** The next state, and what to do in this order. */
export type SlotStep = readonly [SlotState, readonly SlotEffect[]];

/** A handler that is about to be called. */
export const initialSlot: SlotState = { phase: "running", isLost: false };

// Made once: a job that goes well makes no object here.
const SETTLED: SlotStep = [{ phase: "ended", isLost: false }, ["endAttempt", "next"]];
const SETTLED_LOST: SlotStep = [{ phase: "ended", isLost: true }, ["endAttempt", "next"]];
const STOPPED: SlotStep = [{ phase: "stopping", isLost: false }, ["tell", "startAbortPeriod"]];
const LOST: SlotStep = [{ phase: "stopping", isLost: true }, ["reportLost", "returnRest", "tell", "startAbortPeriod"]];
