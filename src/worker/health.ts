import { errorMessage } from "../runtime/error-message.ts";

/**
 * Whether a worker is healthy, as a pure function over what it knows of itself.
 *
 *   check       something is wrong when                                     then it is
 *   worker      it was not started, shuts down, or has stopped              not ready
 *   heartbeat   none has ended for three intervals and the longest time     not live
 *               that one can take, answered or not
 *   database    none was answered for two intervals and a second            not ready
 *   claims      the last two or more have failed                            not ready
 *   outcomes    too many wait to be written for further jobs to start       not ready
 *               some cannot be written although others can                  degraded
 *   listener    it has no session on which it hears of jobs, and polls      degraded
 *   eventLoop   it stood still for over a second, less than 30 seconds ago  degraded
 *
 * A database that is away makes a worker not ready and never not live: a
 * restart would not bring it back. While the event loop stands still nothing
 * answers at all, so a probe needs a timeout.
 */
export function healthOf(facts: HealthFacts): WorkerHealth {
  const reasons = CHECKS.flatMap(([check, look]) => {
    const found = look(facts);
    return found ? [{ check, ...found }] : [];
  });
  const isFree = (effect: HealthEffect): boolean => !reasons.some((reason) => reason.effect === effect);
  return { live: isFree("not live"), ready: isFree("not live") && isFree("not ready"), reasons };
}

/** How a worker is, and why. */
export interface WorkerHealth {
  /** False when only a restart can help. */
  readonly live: boolean;
  /** Whether it takes new jobs and can write their outcomes. */
  readonly ready: boolean;
  /** What is wrong; empty when nothing is. */
  readonly reasons: readonly HealthReason[];
}

/** Something that is wrong with a worker. */
export interface HealthReason {
  readonly check: HealthCheck;
  readonly effect: HealthEffect;
  /** One sentence. */
  readonly message: string;
}

/** What is looked at. */
export type HealthCheck = "worker" | "heartbeat" | "database" | "claims" | "outcomes" | "listener" | "eventLoop";

/** What follows: with `degraded` a worker is live and ready, and slower or in part. */
export type HealthEffect = "not live" | "not ready" | "degraded";

/** What a worker knows of itself. Times are how long ago something was. */
export interface HealthFacts {
  readonly state: "idle" | "running" | "stopping" | "stopped";
  /** `undefined` without recovery, and while it does not run or is idle. */
  readonly heartbeat: HeartbeatFacts | undefined;
  /** `undefined` when the last claim was answered. */
  readonly failingClaims: { readonly failures: number; readonly sinceMs: number; readonly error: unknown } | undefined;
  /** Whether slots are refused work until outcomes are written. */
  readonly isHeldBack: boolean;
  readonly unwritten: number;
  readonly stuck: number;
  /** For how long it has not been listening; `undefined` when it is, or is not to. */
  readonly deafMs: number | undefined;
  /** The last time that the event loop stood still for more than a second. */
  readonly loopBlock: { readonly blockedMs: number; readonly agoMs: number } | undefined;
}

/** Of heartbeats. */
export interface HeartbeatFacts {
  readonly intervalMs: number;
  /** How long one waits for its answers at most. */
  readonly longestMs: number;
  /** Since the last one was sent that was answered. */
  readonly answeredMs: number;
  /** Since the last one ended that was tried. */
  readonly triedMs: number;
}

type Look = (facts: HealthFacts) => Omit<HealthReason, "check"> | undefined;

const CHECKS: readonly (readonly [HealthCheck, Look])[] = [
  ["worker", ({ state }) => (state === "running" ? undefined : { effect: "not ready", message: STATES[state] })],
  [
    "heartbeat",
    ({ heartbeat }) => {
      if (!heartbeat || heartbeat.triedMs <= 3 * heartbeat.intervalMs + heartbeat.longestMs) return;
      return { effect: "not live", message: `No heartbeat has ended for ${seconds(heartbeat.triedMs)}.` };
    },
  ],
  [
    "database",
    ({ heartbeat }) => {
      if (!heartbeat || heartbeat.answeredMs <= 2 * heartbeat.intervalMs + 1_000) return;
      return {
        effect: "not ready",
        message: `The database has answered no heartbeat for ${seconds(heartbeat.answeredMs)}.`,
      };
    },
  ],
  [
    "claims",
    ({ failingClaims }) => {
      if (!failingClaims || failingClaims.failures < 2) return;
      const { failures, sinceMs, error } = failingClaims;
      const message = `The last ${failures} claims have failed, since ${seconds(sinceMs)}: ${errorMessage(error)}`;
      return { effect: "not ready", message };
    },
  ],
  [
    "outcomes",
    ({ isHeldBack, unwritten, stuck }) => {
      if (isHeldBack) return { effect: "not ready", message: `${unwritten} outcomes wait to be written.` };
      if (stuck === 0) return;
      return { effect: "degraded", message: `${stuck} outcomes cannot be written although others can.` };
    },
  ],
  [
    "listener",
    ({ deafMs }) => {
      if (deafMs === undefined) return;
      return { effect: "degraded", message: `It has not been listening for ${seconds(deafMs)}, and polls for jobs.` };
    },
  ],
  [
    "eventLoop",
    ({ loopBlock }) => {
      if (!loopBlock || loopBlock.agoMs > REMEMBERED_MS) return;
      const { blockedMs, agoMs } = loopBlock;
      return {
        effect: "degraded",
        message: `The event loop stood still for ${seconds(blockedMs)}, ${seconds(agoMs)} ago.`,
      };
    },
  ],
];

const STATES = {
  idle: "It has not been started.",
  stopping: "It is shutting down.",
  stopped: "It has stopped.",
} as const;

/** How long a time in which the event loop stood still is worth a word. */
const REMEMBERED_MS = 30_000;

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
