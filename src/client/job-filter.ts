import { HowdahError } from "../errors.ts";
import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { JOB_STATES, type JobState } from "../job/job.ts";
import type * as queries from "../postgres/queries/job-selection.ts";
import { custom, integer, oneOf, string } from "../runtime/option-kinds.ts";
import { invalidOption, type Option, type OptionPlace, type OptionsOf } from "../runtime/options.ts";
import { readTime } from "./option-readers.ts";

/** Which jobs are meant: those that pass all of it. What is left out does not matter. */
export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  /** The worker that runs it; jobs that it holds in memory are found, too. */
  readonly workerId?: string | undefined;
  /** -32768 to 32767. */
  readonly priority?: number | undefined;
  /** A part of the last error, in its case. */
  readonly error?: string | undefined;
  /**
   * What the payload contains, as `@>` of PostgreSQL has it: `{ account: 17 }`
   * finds `{ "account": 17, "to": "Ada" }`. Payloads that `jsonb` cannot hold are not found.
   */
  readonly payload?: unknown;
  /** Not created before this time. */
  readonly since?: Date | string | undefined;
  /** Created before this time. */
  readonly until?: Date | string | undefined;
  /** Failed for good, and not before this time: the last attempt counts, by when it began. Goes with the state `failed` only. */
  readonly failedSince?: Date | string | undefined;
  /** The same, before this time. */
  readonly failedUntil?: Date | string | undefined;
}

/** Ids of ours are shorter, those of other implementations may be longer. */
const WORKER_ID_LENGTH = 512;

/** How a {@link JobFilter} is read. */
export const FILTER_OPTIONS = {
  state: oneOf(JOB_STATES),
  task: storableName(MAX_LENGTH.identifier),
  queueName: storableName(MAX_LENGTH.queueName),
  jobKey: storableName(MAX_LENGTH.jobKey),
  workerId: storableName(WORKER_ID_LENGTH),
  priority: integer({ min: -32_768, max: 32_767 }),
  error: custom(readText),
  payload: custom(readJson),
  since: custom(readTime),
  until: custom(readTime),
  failedSince: custom(readTime),
  failedUntil: custom(readTime),
};

/** A filter as statements take it. Throws `HOWDAH_OPTION_INVALID` for times of failures of jobs in another state. */
export function toFilter(read: OptionsOf<typeof FILTER_OPTIONS>): queries.JobSelection {
  const given = Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined));
  if (read.failedSince === undefined && read.failedUntil === undefined) return given;
  if (read.state === undefined || read.state === "failed") return { ...given, state: "failed" };
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `\`failedSince\` and \`failedUntil\` go with jobs that failed for good, not with the state ${JSON.stringify(read.state)}.`,
  );
}

/** A name, or a part of one, as PostgreSQL can store it. */
export function storableName(maxLength: number): Option<string | undefined> {
  const { suffix, read } = string({ maxLength });
  return {
    suffix,
    read(given, place) {
      const text = read(given, place);
      return text === undefined ? undefined : readText(text, place);
    },
  };
}

function readText(given: unknown, place: OptionPlace): string {
  if (typeof given === "string" && given !== "" && !UNSTORED.test(given)) return given;
  throw invalidOption(place, "must be a text that is not empty and that PostgreSQL can store", given);
}

function readJson(given: unknown, place: OptionPlace): string {
  const text = stringify(given);
  if (text !== undefined && !UNSTORED_ESCAPE.test(text)) return text;
  throw invalidOption(
    place,
    "must be a value that JSON can hold, without `undefined`, with texts that PostgreSQL can store",
    given,
  );
}

/** Undefined for what JSON has no form for. */
function stringify(given: unknown): string | undefined {
  try {
    return JSON.stringify(given, (_, value: unknown) => kept(value));
  } catch {
    return undefined;
  }
}

/** JSON would leave it out, or write null: then other jobs would be meant, all of them perhaps. */
function kept(value: unknown): unknown {
  const isLost = value === undefined || typeof value === "function" || typeof value === "symbol";
  if (isLost || (typeof value === "number" && !Number.isFinite(value))) throw new TypeError("not JSON");
  return value;
}

/** Characters that PostgreSQL cannot store: then no job has them. */
const UNSTORED = /[\0\p{Surrogate}]/u;

/** The same in JSON, where a backslash before it makes it a text of six characters. */
const UNSTORED_ESCAPE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;
