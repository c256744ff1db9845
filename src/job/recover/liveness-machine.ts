/**
 * When a worker sends heartbeats, when it looks at the others, and when it has
 * lost contact, as a pure function over times of the monotonic clock.
 * `liveness-loop.ts` carries the effects out.
 *
 *   A heartbeat is due at the start, when one is wanted (for another id, another
 *   session, a lock that counts from now on or no longer does), and `restMs`
 *   after the answer to the last one. One that fails stays due.
 *
 *   sweep       leaves when
 *   off         the first heartbeat is answered, or fails              -> working, looks
 *   resting     a heartbeat is sent, and a look is due before the next -> joined
 *               a look is due                                          -> working, looks
 *               there is another session                               -> working, looks
 *   joined      the heartbeat is answered with the look                -> working, with that
 *               it is answered without, by another way, or fails       -> working, watches anew
 *               an id cannot be registered, so that it is not sent     -> working, looks
 *               there is another session                               -> working, looks
 *   working     it is done                                             -> resting
 *               it has failed                                          -> backingOff
 *   backingOff  a look is due                                          -> working, looks
 *
 *   contact     leaves when the alarm rings
 *   kept        `contactTimeout` after the last answered beat was sent -> lost
 *               later, because the process stood still                 -> excused
 *   excused     after a grace, in which a heartbeat is tried           -> lost
 *   lost        every second: what was claimed since is lost as well   -> lost
 *
 * A sweep runs concurrently with the heartbeats and delays none. Every answer to a
 * heartbeat restores contact.
 */
export interface LivenessState {
  /** When the next heartbeat is due; `Infinity` while one is under way and no other is wanted. */
  readonly beatAt: number;
  readonly sweep: "off" | "resting" | "joined" | "working" | "backingOff";
  /** When a sweep looks that rests or backs off. */
  readonly lookAt: number;
  /** When the last heartbeat was sent that was answered. */
  readonly contactAt: number;
  readonly contact: "kept" | "excused" | "lost";
}

/** What happens to a worker's liveness. `restMs`: until the next heartbeat, or the next look. */
export type LivenessEvent =
  /** The loop turns: what is due is done. */
  | { readonly type: "turned"; readonly now: number; readonly restMs: number }
  | { readonly type: "beatWanted" }
  | {
      readonly type: "beatAnswered";
      readonly now: number;
      readonly restMs: number;
      readonly sentAt: number;
      readonly hasLook: boolean;
    }
  /** `wasSent`: false when an id could not be registered, so that no heartbeat followed. */
  | { readonly type: "beatFailed"; readonly now: number; readonly wasSent: boolean }
  | { readonly type: "sessionOpened" }
  | { readonly type: "sweepDone"; readonly now: number; readonly restMs: number }
  | { readonly type: "sweepFailed"; readonly now: number; readonly restMs: number }
  | { readonly type: "alarmRang"; readonly now: number; readonly limits: ContactLimits };

/** What has to be done about it. */
export type LivenessEffect =
  | "beat"
  | "beatAndLook"
  /** Sweep, with a look of its own. */
  | "sweep"
  /** The same, and forget what was seen before. */
  | "sweepAnew"
  /** Sweep, with the look that the heartbeat has brought. */
  | "sweepWithLook"
  /** Jobs of queues may be run by others from now on. */
  | "loseContact";

/** The next state, and what to do. */
export type LivenessStep = readonly [LivenessState, readonly LivenessEffect[]];

/** When contact is lost. */
export interface ContactLimits {
  readonly contactTimeoutMs: number;
}

/** Heartbeats are sent this often while the worker should listen and cannot, and a loss of contact is repeated. */
export const URGENT_MS = 1_000;

/** A worker that has sent nothing yet. */
export function begin(now: number): LivenessState {
  return { beatAt: now, sweep: "off", lookAt: Number.POSITIVE_INFINITY, contactAt: now, contact: "kept" };
}

/** What an event does. */
export function livenessStep(state: LivenessState, event: LivenessEvent): LivenessStep {
  switch (event.type) {
    case "turned":
      return turn(state, event.now, event.restMs);
    case "beatWanted":
      return [{ ...state, beatAt: Number.NEGATIVE_INFINITY }, []];
    case "beatAnswered":
      return answered(state, event);
    case "beatFailed": {
      const due = { ...state, beatAt: Math.min(state.beatAt, event.now) };
      return due.sweep === "joined" && !event.wasSent ? sweep(due, "sweep") : afterHeartbeat(due, false);
    }
    case "sessionOpened":
      return state.sweep === "resting" || state.sweep === "joined" ? sweep(state, "sweep") : [state, []];
    case "sweepDone":
      return [{ ...state, sweep: "resting", lookAt: event.now + event.restMs }, []];
    case "sweepFailed":
      return [{ ...state, sweep: "backingOff", lookAt: event.now + event.restMs }, []];
    case "alarmRang":
      return ring(state, event.now, event.limits);
    default:
      return event satisfies never;
  }
}

/** How long nothing is due. */
export function restMs({ beatAt, lookAt }: LivenessState, now: number): number {
  return Math.max(0, Math.min(beatAt, lookAt) - now);
}

/** When the alarm rings next, unless a heartbeat is answered before. */
export function alarmInMs({ contact, contactAt }: LivenessState, now: number, limits: ContactLimits): number {
  switch (contact) {
    case "kept":
      return Math.max(0, contactAt + limits.contactTimeoutMs - now);
    case "excused":
      return graceMs(limits);
    case "lost":
      return Math.min(URGENT_MS, limits.contactTimeoutMs);
    default:
      return contact satisfies never;
  }
}

function turn(state: LivenessState, now: number, beatRestMs: number): LivenessStep {
  const isBeatDue = state.beatAt <= now;
  if (isBeatDue && state.sweep === "resting" && state.lookAt <= now + beatRestMs) {
    return [{ ...sent(state), sweep: "joined", lookAt: NEVER }, ["beatAndLook"]];
  }
  const [after, effects] = state.lookAt <= now ? sweep(state, "sweep") : [state, []];
  return isBeatDue ? [sent(after), [...effects, "beat"]] : [after, effects];
}

function sent(state: LivenessState): LivenessState {
  return { ...state, beatAt: NEVER };
}

function answered(state: LivenessState, event: Extract<LivenessEvent, { type: "beatAnswered" }>): LivenessStep {
  const beatAt = Math.min(state.beatAt, event.now + event.restMs);
  return afterHeartbeat({ ...state, beatAt, contactAt: event.sentAt, contact: "kept" }, event.hasLook);
}

/** The first heartbeat begins the sweeps, and one that had joined a look goes on with it. */
function afterHeartbeat(state: LivenessState, hasLook: boolean): LivenessStep {
  if (state.sweep === "off") return sweep(state, "sweep");
  if (state.sweep === "joined") return sweep(state, hasLook ? "sweepWithLook" : "sweepAnew");
  return [state, []];
}

function sweep(state: LivenessState, effect: LivenessEffect): LivenessStep {
  return [{ ...state, sweep: "working", lookAt: NEVER }, [effect]];
}

/** A process that stood still learns first whether it was missed. */
function ring(state: LivenessState, now: number, limits: ContactLimits): LivenessStep {
  const lateMs = now - (state.contactAt + limits.contactTimeoutMs);
  if (state.contact === "kept" && lateMs > graceMs(limits)) {
    return [{ ...state, contact: "excused", beatAt: Number.NEGATIVE_INFINITY }, []];
  }
  return [{ ...state, contact: "lost" }, ["loseContact"]];
}

function graceMs({ contactTimeoutMs }: ContactLimits): number {
  return Math.min(2 * URGENT_MS, contactTimeoutMs / 4);
}

const NEVER = Number.POSITIVE_INFINITY;
