import { askDoctor } from "../../postgres/queries/doctor/ask-doctor.ts";
import type { Clock } from "../../runtime/clock.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { list, oneOf, required } from "../../runtime/option-kinds.ts";
import { readOptions } from "../../runtime/options.ts";
import type { AnyCheck, Check, CheckedFacts, DiagnosisStatus, Finding, Checked } from "./check.ts";
import { CONNECTION_CHECKS } from "./connection-checks.ts";
import { DATABASE_CHECKS } from "./database-checks.ts";
import { JOB_CHECKS } from "./job-checks.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { PROBES, type ProbeFacts, type ProbeTarget } from "./probes.ts";
import { QUEUE_CHECKS } from "./queue-checks.ts";
import { STORAGE_CHECKS } from "./storage-checks.ts";

/** Looks over the database and the queue for what slows them down or stops them. */
export interface Doctor {
  /**
   * Makes the checks, one after another: each reads in statements that look at a
   * bounded number of rows and end after two seconds. Nothing is changed; one
   * sends a notification to itself. What this role may not see is `unseen`, never `ok`. Rejects when it
   * may see nothing, with `HOWDAH_DATABASE_FORBIDDEN`; with
   * `HOWDAH_CONNECTION_LOST` when the database goes away, and with
   * `HOWDAH_SCHEMA_MISSING` when tables do.
   */
  diagnose(options?: DiagnoseOptions): Promise<Diagnosis>;
}

/** What {@link Doctor.diagnose} looks at. */
export interface DiagnoseOptions {
  /** The ids of checks. Default: all. */
  readonly only?: readonly string[] | undefined;
}

/** What was found. */
export interface Diagnosis {
  /** The worst of what was seen, where `note` is not bad. It says nothing of what is `unseen`. */
  readonly status: "ok" | "warn" | "fail";
  /** How many of the checks could not be made. */
  readonly unseen: number;
  /** In the order of the documentation. */
  readonly results: readonly DiagnosisResult[];
}

/** The result of one check. */
export interface DiagnosisResult {
  readonly id: string;
  readonly title: string;
  readonly status: DiagnosisStatus;
  /** What was found, in one line. */
  readonly finding: string;
  /** What follows from a bad result. */
  readonly means: string;
  /** What to do about it. */
  readonly todo: string;
  /** The page of the documentation about it. */
  readonly guide: string;
}

/** All checks: those of the queue first. */
export const CHECKS: readonly AnyCheck[] = [
  ...Object.values(QUEUE_CHECKS),
  ...Object.values(JOB_CHECKS),
  ...Object.values(DATABASE_CHECKS),
  ...Object.values(STORAGE_CHECKS),
  ...Object.values(CONNECTION_CHECKS),
];

/** The method over a driver. `limits` are for tests. */
export function createDoctor(
  { driver, schema }: Pick<ProbeTarget, "driver" | "schema">,
  clock: Clock,
  limits: Limits = LIMITS,
): Doctor {
  const target = { driver, schema, clock };
  const ids = CHECKS.map(({ id }) => id);
  return {
    async diagnose(options) {
      const { only } = readOptions("diagnose", options, { only: list(required(oneOf(ids))) });
      const chosen = only.length === 0 ? CHECKS : CHECKS.filter(({ id }) => only.includes(id));
      const results: DiagnosisResult[] = [];
      const refusals: unknown[] = [];
      for (const check of chosen) {
        const ground = { target, limits, refused: (error: unknown) => void refusals.push(error) };
        results.push(await carryOut(check, ground));
      }
      // That this role may look at nothing is no finding.
      if (results.length > 0 && refusals.length === results.length) throw refusals[0];
      const unseen = results.filter(({ status }) => status === "unseen").length;
      return { status: worstOf(results), unseen, results };
    },
  };
}

interface Ground {
  readonly target: ProbeTarget;
  readonly limits: Limits;
  /** The database has refused a question. */
  refused(error: unknown): void;
}

async function carryOut(check: Check<Checked>, { target, limits, refused }: Ground): Promise<DiagnosisResult> {
  const { id, title, means, todo, guide, question } = check;
  const { clock } = target;
  const askedMs = clock.now();
  let found: Finding;
  try {
    const facts = await findOut(target, question);
    found = check.judge(facts, { limits, askedMs, answeredMs: clock.now() });
  } catch (error) {
    if (!isUnseen(error)) throw error;
    refused(error);
    found = { status: "unseen", finding: `Cannot see: ${errorMessage(error)}` };
  }
  return { id, title, ...found, means, todo, guide };
}

async function findOut(target: ProbeTarget, subject: Checked): Promise<CheckedFacts[Checked]> {
  return isProbe(subject) ? PROBES[subject](target) : askDoctor(target, subject);
}

function isProbe(subject: Checked): subject is keyof ProbeFacts {
  return Object.hasOwn(PROBES, subject);
}

/** The server has answered, and will not say: for want of a right, or in time, or it has no such thing. */
function isUnseen(error: unknown): boolean {
  return UNSEEN.has(sqlStateOf(error) ?? "");
}

/** A missing right, a time-out, and what servers of other makers lack: a feature, a function. */
const UNSEEN: ReadonlySet<string> = new Set(["42501", "57014", "0A000", "42883"]);

function worstOf(results: readonly DiagnosisResult[]): Diagnosis["status"] {
  if (results.some(({ status }) => status === "fail")) return "fail";
  return results.some(({ status }) => status === "warn") ? "warn" : "ok";
}
