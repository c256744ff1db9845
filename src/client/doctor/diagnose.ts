import { askDoctor, type DoctorTarget, type Question } from "../../postgres/queries/doctor/ask-doctor.ts";
import type { Clock } from "../../runtime/clock.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { list, oneOf, required } from "../../runtime/option-kinds.ts";
import { readOptions } from "../../runtime/options.ts";
import type { AnyCheck, Check, DiagnosisStatus, Finding } from "./check.ts";
import { DATABASE_CHECKS } from "./database-checks.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { QUEUE_CHECKS } from "./queue-checks.ts";

/** Looks over the database and the queue for what slows them down or stops them. */
export interface Doctor {
  /**
   * Makes the checks, one after another: each is a statement that only reads,
   * looks at a bounded number of rows and ends after two seconds. Nothing is
   * changed. What this role may not see is `unseen`, never `ok`. Rejects when it
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
  /** The worst of all results, where `note` and `unseen` are not bad. */
  readonly status: "ok" | "warn" | "fail";
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
export const CHECKS: readonly AnyCheck[] = [...Object.values(QUEUE_CHECKS), ...Object.values(DATABASE_CHECKS)];

/** The method over a driver. `limits` are for tests. */
export function createDoctor(target: DoctorTarget, clock: Clock, limits: Limits = LIMITS): Doctor {
  const ids = CHECKS.map(({ id }) => id);
  return {
    async diagnose(options) {
      const { only } = readOptions("diagnose", options, { only: list(required(oneOf(ids))) });
      const chosen = only.length === 0 ? CHECKS : CHECKS.filter(({ id }) => only.includes(id));
      const results: DiagnosisResult[] = [];
      const refusals: unknown[] = [];
      for (const check of chosen) {
        const ground = { target, clock, limits, refused: (error: unknown) => void refusals.push(error) };
        results.push(await carryOut(check, ground));
      }
      // That this role may look at nothing is no finding.
      if (results.length > 0 && refusals.length === results.length) throw refusals[0];
      return { status: worstOf(results), results };
    },
  };
}

interface Ground {
  readonly target: DoctorTarget;
  readonly clock: Clock;
  readonly limits: Limits;
  /** The database has refused a question. */
  refused(error: unknown): void;
}

async function carryOut(check: Check<Question>, { target, clock, limits, refused }: Ground): Promise<DiagnosisResult> {
  const { id, title, means, todo, guide, question } = check;
  const askedMs = clock.now();
  let found: Finding;
  try {
    const facts = await askDoctor(target, question);
    found = check.judge(facts, { limits, askedMs, answeredMs: clock.now() });
  } catch (error) {
    if (!isUnseen(error)) throw error;
    refused(error);
    found = { status: "unseen", finding: `Cannot see: ${errorMessage(error)}` };
  }
  return { id, title, ...found, means, todo, guide };
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
