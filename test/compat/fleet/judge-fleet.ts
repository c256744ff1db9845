import type { Run } from "../../chaos/history.ts";
import type { Ledger } from "../../chaos/ledger.ts";
import { completedOnce } from "../../chaos/rules/completed-once.ts";
import { livingAreLeftAlone } from "../../chaos/rules/living-are-left-alone.ts";
import { nothingGrows } from "../../chaos/rules/nothing-grows.ts";
import { nothingInvented } from "../../chaos/rules/nothing-invented.ts";
import { nothingLeftBehind } from "../../chaos/rules/nothing-left-behind.ts";
import { nothingLost } from "../../chaos/rules/nothing-lost.ts";
import { describeOverlap, overlapsOf } from "../../chaos/rules/queues-are-serial.ts";
import { toldIsWhatHappened } from "../../chaos/rules/told-is-what-happened.ts";
import type { Evidence, Finding, Rule, Violation } from "../../chaos/verdict.ts";
import type { WatchedClaims } from "./watch.ts";

/** What a verdict on a mixed fleet is about, beside what the chaos suite has. */
export interface FleetEvidence extends Evidence {
  readonly claims: WatchedClaims;
  readonly ledgers: readonly Ledger[];
  /** Whether a process, by its ledger, is a pool whose local queue claims several jobs of one queue at once. */
  readonly isCareless: (file: string) => boolean;
  /** How often something was added with each key; what was added last has the highest number. */
  readonly keyedAdds: ReadonlyMap<string, number>;
}

/** What the rules say of a mixed fleet. */
export interface FleetVerdict {
  readonly violations: readonly Violation[];
  readonly counts: Readonly<Record<string, number>>;
  /** Overlaps in a queue that only the local queue of graphile-worker 0.17 is to blame for, in words. */
  readonly blamed: readonly string[];
}

/** The rules of the chaos suite that hold for the workers of both sides. The order of a queue is not promised across both. */
const SHARED_RULES: Readonly<Record<string, Rule>> = {
  "nothing is lost": nothingLost,
  "nothing is invented": nothingInvented,
  "completed once": completedOnce,
  "told is what happened": toldIsWhatHappened,
  "the living are left alone": livingAreLeftAlone,
  "nothing is left behind": nothingLeftBehind,
  "nothing grows": nothingGrows,
};

/** Holds what a mixed fleet has done to the promises. */
export function judgeFleet(evidence: FleetEvidence): FleetVerdict {
  const { blamed, ...serial } = queuesAreSerialInFleet(evidence);
  const findings: (Finding & { readonly rule: string })[] = [
    ...Object.entries(SHARED_RULES).map(([rule, find]) => ({ rule, ...find(evidence) })),
    { rule: "queues are serial", ...serial },
    { rule: "attempts are bounded", ...attemptsAreClaims(evidence) },
    { rule: "the last add counts", ...lastAddCounts(evidence) },
  ];
  return {
    violations: findings.flatMap(({ rule, violations }) => violations.map((text) => ({ rule, text }))),
    counts: Object.assign({}, ...findings.map(({ counts }) => counts)) as Readonly<Record<string, number>>,
    blamed,
  };
}

/**
 * No two handlers of a queue run at once, except where graphile-worker 0.17
 * alone is to blame: a claim of its local queue locks several jobs of one queue,
 * runs them at once, and the first that ends unlocks the queue for all workers.
 */
function queuesAreSerialInFleet(evidence: FleetEvidence): Finding & { readonly blamed: readonly string[] } {
  const spoiled = spoiledRuns(evidence);
  const overlaps = overlapsOf(evidence);
  const faults = overlaps.filter(({ fault }) => fault !== undefined);
  const [blamed, violations] = [
    faults.filter(({ older, newer }) => spoiled.has(older) || spoiled.has(newer)),
    faults.filter(({ older, newer }) => !spoiled.has(older) && !spoiled.has(newer)),
  ];
  return {
    violations: violations.map(describeOverlap),
    blamed: blamed.map(describeOverlap),
    counts: {
      overlapsFenced: overlaps.length - faults.length,
      overlapsOfTheirLocalQueue: blamed.length,
      claimsOfSeveralOfAQueue: new Set(
        evidence.history.runs
          .filter((run) => evidence.isCareless(run.file) && isShared(run, evidence))
          .map(({ w, q, l }) => `${w} ${q} ${l}`),
      ).size,
    },
  };
}

/**
 * The runs of careless pools whose queue was not theirs alone: those that were
 * claimed together with another of their queue, and those whose queue one of
 * these has unlocked by its end.
 */
function spoiledRuns(evidence: FleetEvidence): ReadonlySet<Run> {
  const spoiled = new Set<Run>();
  const careless = evidence.history.runs.filter(({ file, q }) => q !== null && evidence.isCareless(file));
  for (const run of careless) if (isShared(run, evidence)) spoiled.add(run);
  for (let before = -1; before !== spoiled.size;) {
    before = spoiled.size;
    for (const run of careless) {
      const isUnlocked = [...spoiled].some((other) => isSibling(other, run) && endedDuring(other, run, evidence));
      if (isUnlocked) spoiled.add(run);
    }
  }
  return spoiled;
}

function isShared({ w, q, l }: Run, { claims }: FleetEvidence): boolean {
  return claims.shared.some(({ worker, queue, atMs }) => worker === w && queue === q && atMs === l);
}

function isSibling(one: Run, other: Run): boolean {
  return one !== other && one.file === other.file && one.q === other.q;
}

/** In microseconds: graphile-worker writes that a job is done, and unlocks its queue, a moment after its handler. */
const WRITTEN_AFTER = 1_000_000;

function endedDuring({ until }: Run, run: Run, { wallOffset }: Evidence): boolean {
  return until > run.l * 1_000 - wallOffset - WRITTEN_AFTER && until < run.until;
}

/** A job's attempts are no more than the claims that the database has seen of it. */
function attemptsAreClaims({ history, claims }: FleetEvidence): Finding {
  const violations = history.runs.flatMap(({ id, name, a, l }) => {
    const before = (claims.times.get(id) ?? []).filter((atMs) => atMs <= l).length;
    return a >= 1 && a <= before ? [] : [`${name} (${id}) started as attempt ${a} with its claim ${before}`];
  });
  return { violations, counts: { startsNotFirst: history.runs.filter(({ a }) => a > 1).length } };
}

/** What was added last with a key has run. */
function lastAddCounts({ ledgers, keyedAdds }: FleetEvidence): Finding {
  const ran = new Map<string, number>();
  for (const { lines } of ledgers) {
    for (const line of lines) if (line.e === "keyed") ran.set(line.key, Math.max(line.n, ran.get(line.key) ?? 0));
  }
  const violations = [...keyedAdds].flatMap(([key, last]) =>
    ran.get(key) === last ? [] : [`${key} was added ${last} times, and the last that ran is ${ran.get(key) ?? "none"}`],
  );
  return { violations, counts: { keyedAdds: [...keyedAdds.values()].reduce((sum, count) => sum + count, 0) } };
}
