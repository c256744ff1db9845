import type { DoctorFacts } from "../../postgres/queries/doctor/ask-doctor.ts";
import type { Limits } from "./limits.ts";
import type { ProbeFacts } from "./probes.ts";

/** What the doctor looks at in one place. */
export interface Check<Q extends Checked> {
  readonly id: string;
  readonly question: Q;
  /** What is looked at. */
  readonly title: string;
  /** What follows when something is wrong. */
  readonly means: string;
  /** What to do then. */
  readonly todo: string;
  /** The page that explains it, in the documentation. */
  readonly guide: string;
  judge(facts: CheckedFacts[Q], context: JudgeContext): Finding;
}

/** What was found. */
export interface Finding {
  readonly status: DiagnosisStatus;
  /** One line. */
  readonly finding: string;
}

/**
 * `ok`, or `note` for what is worth knowing, `warn` for what gets worse, `fail`
 * for what is broken; `unseen` when this role may not look, or there was no
 * answer in time.
 */
export type DiagnosisStatus = "ok" | "note" | "unseen" | "warn" | "fail";

/** What answers are measured by. */
export interface JudgeContext {
  readonly limits: Limits;
  /** The clock of this process before the question and after the answer. */
  readonly askedMs: number;
  readonly answeredMs: number;
}

/** What checks judge: answers to one question each, and what takes more than that. */
export interface CheckedFacts extends DoctorFacts, ProbeFacts {}

/** What a check is about. */
export type Checked = keyof CheckedFacts;

/** Checks by their subject, some of them. */
export type Checks = { readonly [Q in Checked]?: Check<Q> };

/** A check of any subject. */
export type AnyCheck = { [Q in Checked]: Check<Q> }[Checked];

/** Nothing is wrong. */
function ok(finding: string): Finding {
  return { status: "ok", finding };
}

/** The first of several findings that is there, or that nothing is wrong; or unseen, when this role sees too little to say so. */
export function worst(findings: readonly (Finding | undefined)[], otherwise: string, seesAll = true): Finding {
  const found = findings.find((finding) => finding !== undefined);
  if (found) return found;
  return seesAll ? ok(otherwise) : { status: "unseen", finding: CANNOT_SEE };
}

const CANNOT_SEE = "Cannot see what other roles do: grant pg_read_all_stats to this role.";

/** A finding when a condition holds. */
export function when(condition: boolean, status: DiagnosisStatus, finding: () => string): Finding | undefined {
  return condition ? { status, finding: finding() } : undefined;
}

/** A time for people. */
export function age(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A share for people. */
export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
