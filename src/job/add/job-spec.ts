import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import { unknownNameHint } from "../../runtime/options.ts";
import type { JobKeyMode, JobSpec } from "../job.ts";
import { JOB_PEER_NAMES } from "../peer-names.ts";
import type { UniqueChoice } from "../read-unique.ts";
import { checkRunAt, checkRunIn, checkTimeout } from "./check-run-at.ts";
import { readUniqueChoice } from "./unique-rule.ts";

/** A checked {@link JobSpec}; null leaves the choice to the database. */
export interface CheckedSpec {
  readonly queueName: string | null;
  /** A time as PostgreSQL reads it, or a delay, see `run-times.ts`. */
  readonly runAt: string | null;
  readonly maxAttempts: number | null;
  readonly jobKey: string | null;
  readonly jobKeyMode: JobKeyMode;
  readonly priority: number | null;
  readonly flags: readonly string[] | null;
  readonly timeoutMs: number | null;
  /** Its result is kept. */
  readonly awaited?: boolean | undefined;
  /** How its key is found, and what becomes of it when that is taken. */
  readonly unique?: UniqueChoice | undefined;
}

/** The keys of a {@link JobSpec}. */
const SPEC_KEYS: readonly string[] = [
  "queueName",
  "runAt",
  "runIn",
  "maxAttempts",
  "jobKey",
  "jobKeyMode",
  "unique",
  "debounce",
  "priority",
  "flags",
  "timeout",
  "awaited",
];

const JOB_KEY_MODES: readonly unknown[] = ["replace", "preserve_run_at", "unsafe_dedupe"];

/** The limits of the `smallint` columns. */
const SMALLEST = -32_768;
const LARGEST = 32_767;

/** The longest text of each kind that the tables hold, in characters. */
export const MAX_LENGTH = { identifier: 128, queueName: 128, jobKey: 512 } as const;

const NO_SPEC: CheckedSpec = {
  queueName: null,
  runAt: null,
  maxAttempts: null,
  jobKey: null,
  jobKeyMode: "replace",
  priority: null,
  flags: null,
  timeoutMs: null,
};

/**
 * Checks how and when a job is to run. `subject` names the job in messages.
 * Throws `HOWDAH_OPTION_UNKNOWN` for a key that a spec does not have and
 * `HOWDAH_JOB_INVALID` for a value that is not allowed.
 */
export function checkJobSpec(spec: unknown, subject: string): CheckedSpec {
  if (spec === undefined) return NO_SPEC;
  if (checkShape(spec, subject) === 0) return NO_SPEC;
  const given = spec as Record<keyof JobSpec, unknown>;
  const { queueName, runAt, runIn, maxAttempts, jobKey, jobKeyMode, priority, flags, timeout, awaited } = given;
  const invalid = (name: string, value: unknown, allowed: string): HowdahError =>
    new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`${name}\` of ${subject} is ${describeValue(value)}; it has to be ${allowed}.`,
    );

  const smallint = (name: string, value: unknown, lowest: number): number | null => {
    if (value === undefined) return null;
    if (Number.isInteger(value) && (value as number) >= lowest && (value as number) <= LARGEST) return value as number;
    throw invalid(name, value, `an integer from ${lowest} to ${LARGEST}`);
  };
  const name = (key: "queueName" | "jobKey", value: unknown): string | null =>
    value === undefined ? null : checkName(value, { name: key, subject, max: MAX_LENGTH[key] });

  if (jobKeyMode !== undefined && !JOB_KEY_MODES.includes(jobKeyMode))
    throw invalid("jobKeyMode", jobKeyMode, `one of ${JOB_KEY_MODES.map(describeValue).join(", ")}`);
  if (jobKeyMode !== undefined && jobKey === undefined)
    throw new HowdahError("HOWDAH_JOB_INVALID", `\`jobKeyMode\` of ${subject} is given without a \`jobKey\`.`);

  if (awaited !== undefined && typeof awaited !== "boolean") throw invalid("awaited", awaited, "true or false");

  const unique =
    given.unique === undefined && given.debounce === undefined ? undefined : readUniqueChoice(given, subject);
  const due = runIn === undefined ? checkRunAt(runAt, subject) : checkRunIn({ runAt, runIn }, subject);
  return {
    queueName: name("queueName", queueName),
    runAt: unique?.runAt ?? due,
    maxAttempts: smallint("maxAttempts", maxAttempts, 1),
    jobKey: name("jobKey", jobKey),
    jobKeyMode: (jobKeyMode as JobKeyMode | undefined) ?? "replace",
    priority: smallint("priority", priority, SMALLEST),
    flags: checkFlags(flags, subject),
    timeoutMs: checkTimeout(timeout, subject),
    awaited: awaited === true,
    unique,
  };
}

/**
 * Checks a name that PostgreSQL has to store: not empty, at most `max`
 * characters, none of which its `text` cannot hold. Throws `HOWDAH_JOB_INVALID`.
 */
export function checkName(value: unknown, { name, subject, max }: NameToCheck): string {
  const problem = problemOf(value, max);
  if (problem === undefined) return value as string;
  throw new HowdahError("HOWDAH_JOB_INVALID", `\`${name}\` of ${subject} ${problem}.`);
}

/** What {@link checkName} needs to know to say what is wrong. */
export interface NameToCheck {
  readonly name: string;
  readonly subject: string;
  /** In characters, not in UTF-16 units: the database counts these. */
  readonly max: number;
}

function problemOf(value: unknown, max: number): string | undefined {
  if (typeof value !== "string") return `is ${describeValue(value)}; it has to be a string`;
  if (value === "") return "is empty";
  // Counting characters is slow, and never needed when there are few units.
  const length = value.length > max ? [...value].length : value.length;
  if (length > max) return `has ${length} characters; at most ${max} are allowed`;
  if (value.includes("\0")) return "has a NUL character, which PostgreSQL cannot store";
  if (/\p{Surrogate}/u.test(value)) return "has half of a surrogate pair, which PostgreSQL cannot store";
  return undefined;
}

/** How many keys there are. */
function checkShape(spec: unknown, subject: string): number {
  if (typeof spec !== "object" || spec === null || Array.isArray(spec))
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `The spec of ${subject} is ${describeValue(spec)}; it has to be an object.`,
    );
  const keys = Object.keys(spec);
  for (const key of keys) {
    if (!SPEC_KEYS.includes(key)) throw unknownKey(key, subject);
  }
  return keys.length;
}

function unknownKey(key: string, subject: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_UNKNOWN",
    `Unknown job option \`${key}\` of ${subject}${unknownNameHint(key, { known: SPEC_KEYS, hints: JOB_PEER_NAMES })}`,
  );
}

function checkFlags(flags: unknown, subject: string): readonly string[] | null {
  if (flags === undefined) return null;
  if (!Array.isArray(flags))
    throw new HowdahError(
      "HOWDAH_JOB_INVALID",
      `\`flags\` of ${subject} is ${describeValue(flags)}; it has to be an array.`,
    );
  const checked = flags.map((flag, index) =>
    checkName(flag, { name: `flags[${index}]`, subject, max: Number.POSITIVE_INFINITY }),
  );
  return checked.length === 0 ? null : checked;
}
