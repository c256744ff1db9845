import type { z } from "zod";
import { HowdahError, isHowdahError, type HowdahErrorCode } from "../errors.ts";
import type { Problem } from "./contract/component.ts";

/** What someone is told of an error: for one that is not theirs, no more than that. */
export function toProblem(error: unknown, instance?: string): Problem {
  const known = isHowdahError(error) ? KINDS[error.code] : undefined;
  const code = isHowdahError(error) ? error.code : "HOWDAH_UNEXPECTED";
  const [status, title] = known ?? [500, "Internal error"];
  const isTold = isHowdahError(error) && known !== undefined && !PRIVATE.has(code);
  const detail = isTold ? error.message : (SAID[status] ?? "Internal server error.");
  const fields = error instanceof RequestError ? error.fields : undefined;
  return {
    type: `urn:howdah:error:${code.toLowerCase()}`,
    title,
    status,
    detail,
    code,
    ...(instance === undefined ? {} : { instance }),
    ...(fields === undefined ? {} : { fields }),
  };
}

/** A request that is not as it must be, with the places. */
export class RequestError extends HowdahError {
  readonly fields: Problem["fields"];

  constructor(message: string, fields?: Problem["fields"]) {
    super("HOWDAH_ADMIN_REQUEST_INVALID", message);
    this.fields = fields;
  }
}

/** Reads a part of a request. Throws a {@link RequestError}. */
export function readPart<S extends z.ZodType>(schema: S, given: unknown, part: string): z.output<S> {
  const read = schema.safeParse(given);
  if (read.success) return read.data;
  const fields = read.error.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message }));
  const [first] = fields;
  const place = first && first.path !== "" ? `: ${first.path}` : "";
  throw new RequestError(`The ${part} of the request is not as it must be${place}: ${first?.message ?? ""}.`, fields);
}

/** The error for a path without anything. */
export function notFound(what: string): HowdahError {
  return new HowdahError("HOWDAH_ADMIN_NOT_FOUND", what);
}

/** The status and the title of each error that a request can meet; all others are internal. */
const KINDS: { readonly [Code in HowdahErrorCode]?: readonly [status: number, title: string] } = {
  HOWDAH_ADMIN_REQUEST_INVALID: [400, "Invalid request"],
  HOWDAH_ADMIN_UNAUTHENTICATED: [401, "Not signed in"],
  HOWDAH_ADMIN_FORBIDDEN: [403, "Not allowed"],
  HOWDAH_ADMIN_READ_ONLY: [403, "Read-only"],
  HOWDAH_DATABASE_FORBIDDEN: [403, "Not allowed by the database"],
  HOWDAH_ADMIN_CROSS_ORIGIN: [403, "From another site"],
  HOWDAH_ADMIN_NOT_FOUND: [404, "Not found"],
  HOWDAH_ADMIN_TOO_LARGE: [413, "Too large"],
  HOWDAH_ADMIN_PREVIEW_EXPIRED: [409, "Look again"],
  HOWDAH_ADMIN_BUSY: [429, "Too many live streams"],
  HOWDAH_ADMIN_PAGE_MISSING: [503, "Not built"],
  HOWDAH_OPTION_INVALID: [400, "Invalid request"],
  HOWDAH_OPTION_UNKNOWN: [400, "Invalid request"],
  HOWDAH_JOB_INVALID: [400, "Invalid job"],
  HOWDAH_JOB_KEY_MODE_UNSUPPORTED: [400, "Invalid job"],
  HOWDAH_PAYLOAD_INVALID: [400, "Invalid payload"],
  HOWDAH_BATCH_EMPTY: [400, "Invalid payload"],
  HOWDAH_TASK_UNKNOWN: [400, "Unknown task"],
  HOWDAH_CRON_INVALID: [400, "Invalid schedule"],
  HOWDAH_JOB_UNKNOWN: [404, "Job not found"],
  HOWDAH_OPERATION_UNKNOWN: [404, "Operation not found"],
  HOWDAH_SCHEDULE_UNKNOWN: [404, "Schedule not found"],
  HOWDAH_JOB_SKIPPED: [409, "Not added"],
  HOWDAH_JOB_REFUSED: [409, "Not added"],
  HOWDAH_JOB_DROPPED: [409, "Not added"],
  HOWDAH_QUERY_TIMEOUT: [504, "The database was too slow"],
  HOWDAH_DATABASE_UNREACHABLE: [503, "Database away"],
  HOWDAH_CONNECTION_LOST: [503, "Database away"],
  HOWDAH_CONNECTIONS_EXHAUSTED: [503, "No free connection"],
  HOWDAH_CLIENT_CLOSED: [503, "Shutting down"],
};

/** Errors whose messages may name hosts and statements. */
const PRIVATE: ReadonlySet<string> = new Set<HowdahErrorCode>([
  "HOWDAH_QUERY_TIMEOUT",
  "HOWDAH_DATABASE_UNREACHABLE",
  "HOWDAH_CONNECTION_LOST",
  "HOWDAH_CONNECTIONS_EXHAUSTED",
  "HOWDAH_DATABASE_FORBIDDEN",
]);

/** What is said instead. */
const SAID: Readonly<Record<number, string>> = {
  403: "The database role of this server lacks a right for this. The owner of the schema can grant it: see docs/guides/database-roles.md.",
  500: "Internal server error. The log of the server has the cause under the id of this request.",
  503: "The database cannot be reached at the moment. Try again in a few seconds.",
  504: "The database did not answer in time. Try again, or ask for less: a narrower filter, a shorter page.",
};
