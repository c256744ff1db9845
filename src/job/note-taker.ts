import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage, storableText } from "../runtime/error-message.ts";
import { asLogged } from "../runtime/log-line.ts";
import type { LogFields } from "../runtime/logger.ts";
import type { ClaimedJob } from "./claimed-job.ts";

/** Takes what handlers note of their jobs while they run. */
export interface NoteTaker {
  /** How far a job is. Throws `HOWDAH_PROGRESS_INVALID` for a value that cannot be kept. */
  progress(job: ClaimedJob, value: unknown): void;
  /** A line for the log of a job, which is kept if its task says so. Never throws. */
  log(job: ClaimedJob, message: string, fields?: LogFields): void;
}

/** The most bytes of a progress, as JSON. */
export const MAX_PROGRESS_BYTES = 8_192;

/**
 * A progress as JSON, as `JSON.stringify` writes it. Throws
 * `HOWDAH_PROGRESS_INVALID` for what that cannot write, and for more than
 * {@link MAX_PROGRESS_BYTES}.
 */
export function encodeProgress(value: unknown): string {
  const text = toJson(value);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_PROGRESS_BYTES) return text;
  throw new HowdahError(
    "HOWDAH_PROGRESS_INVALID",
    `A progress must have at most ${MAX_PROGRESS_BYTES} bytes as JSON; found ${bytes}.`,
  );
}

function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch (error) {
    throw new HowdahError("HOWDAH_PROGRESS_INVALID", `JSON cannot hold the progress: ${errorMessage(error)}`, error);
  }
  if (text !== undefined) return text;
  throw new HowdahError(
    "HOWDAH_PROGRESS_INVALID",
    `A progress must be a value that JSON can hold; found ${describeValue(value)}.`,
  );
}

/** What is kept of a line. */
export interface KeptLine {
  readonly message: string;
  /** A JSON object; null for none. */
  readonly fields: string | null;
}

/** The longest message of a line that is kept, in characters; more is cut. */
export const MAX_LINE_LENGTH = 2_000;

/** The most bytes of the fields of a line, as JSON. */
export const MAX_FIELDS_BYTES = 4_096;

/** A line as it is kept. What JSON cannot write of its fields is text, and fields beyond the limit are left out. Never throws. */
export function toKeptLine(message: unknown, fields: LogFields | undefined): KeptLine {
  const text = typeof message === "string" ? message : asLogged(message);
  return { message: storableText(text, MAX_LINE_LENGTH), fields: toFields(fields) };
}

function toFields(fields: LogFields | undefined): string | null {
  if (typeof fields !== "object" || fields === null) return null;
  const written: string[] = [];
  let bytes = 2;
  for (const [name, value] of entriesOf(fields)) {
    const property = `${JSON.stringify(storableText(name))}:${fieldJson(value)}`;
    bytes += Buffer.byteLength(property) + 1;
    if (bytes > MAX_FIELDS_BYTES) break;
    written.push(property);
  }
  return written.length === 0 ? null : `{${written.join(",")}}`;
}

function entriesOf(fields: LogFields): [string, unknown][] {
  try {
    return Object.entries(fields).filter(([, value]) => value !== undefined);
  } catch {
    // A getter or proxy of the handler's own.
    return [];
  }
}

function fieldJson(value: unknown): string {
  try {
    if (!(value instanceof Error)) {
      const text = JSON.stringify(value) as string | undefined;
      if (text !== undefined) return text;
    }
  } catch {
    // A bigint, a cycle, a proxy: said as the log says it.
  }
  return JSON.stringify(storableText(asLogged(value)));
}
