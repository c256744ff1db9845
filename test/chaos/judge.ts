import { attemptsAreBounded } from "./rules/attempts-are-bounded.ts";
import { completedOnce } from "./rules/completed-once.ts";
import { keptOnce } from "./rules/kept-once.ts";
import { limitsHold } from "./rules/limits-hold.ts";
import { livingAreLeftAlone } from "./rules/living-are-left-alone.ts";
import { nothingGrows } from "./rules/nothing-grows.ts";
import { nothingInvented } from "./rules/nothing-invented.ts";
import { nothingLeftBehind } from "./rules/nothing-left-behind.ts";
import { nothingLost } from "./rules/nothing-lost.ts";
import { queuesAreSerial } from "./rules/queues-are-serial.ts";
import { queuesKeepOrder } from "./rules/queues-keep-order.ts";
import { toldIsWhatHappened } from "./rules/told-is-what-happened.ts";
import type { Evidence, Rule, Violation } from "./verdict.ts";

/** Every promise that a run is held to. */
const RULES = {
  "nothing is lost": nothingLost,
  "nothing is invented": nothingInvented,
  "completed once": completedOnce,
  "kept once": keptOnce,
  "told is what happened": toldIsWhatHappened,
  "queues are serial": queuesAreSerial,
  "queues keep their order": queuesKeepOrder,
  "limits hold": limitsHold,
  "attempts are bounded": attemptsAreBounded,
  "the living are left alone": livingAreLeftAlone,
  "nothing is left behind": nothingLeftBehind,
  "nothing grows": nothingGrows,
} as const satisfies Readonly<Record<string, Rule>>;

/** What all rules say. */
export interface Verdict {
  readonly violations: readonly Violation[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Holds a history to every rule. */
export function judge(evidence: Evidence): Verdict {
  const findings = Object.entries(RULES).map(([rule, find]) => ({ rule, ...find(evidence) }));
  return {
    violations: findings.flatMap(({ rule, violations }) => violations.map((text) => ({ rule, text }))),
    counts: Object.assign({}, ...findings.map(({ counts }) => counts)) as Readonly<Record<string, number>>,
  };
}
