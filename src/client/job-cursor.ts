import type { JobPlace, Way } from "../postgres/queries/job-pages.ts";
import { invalidOption, type OptionPlace } from "../runtime/options.ts";

/** Where a page of jobs begins: behind a position of one way, or with its first job. */
export interface JobCursor {
  readonly way: Way;
  readonly after: JobPlace | undefined;
}

/** Writes a cursor as the text that a caller gives back. */
export function writeCursor({ way, after }: JobCursor): string {
  const place = after === undefined ? [] : [after.priority, after.runAt, after.id];
  return Buffer.from(JSON.stringify([way, ...place])).toString("base64url");
}

/** Reads the text of a cursor. Throws `HOWDAH_OPTION_INVALID` for any other text. */
export function readCursor(given: unknown, place: OptionPlace): JobCursor {
  const cursor = typeof given === "string" && given.length <= LONGEST ? parse(given) : undefined;
  if (cursor) return cursor;
  throw invalidOption(place, "must be the `next` of a page", given);
}

/** Far more than a cursor takes. */
const LONGEST = 200;

/** The times and ids that PostgreSQL has: 64 bits. */
const INTEGER = /^-?\d{1,19}$/;

function parse(text: string): JobCursor | undefined {
  const [way, ...place] = parts(text);
  if (typeof way !== "string" || !WAYS.has(way)) return undefined;
  if (place.length === 0) return { way: way as Way, after: undefined };
  const [priority, runAt, id] = place;
  if (place.length !== 3 || !isPriority(priority) || !isInteger(runAt) || !isInteger(id)) return undefined;
  return { way: way as Way, after: { priority, runAt, id } };
}

function parts(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return Array.isArray(value) ? (value as readonly unknown[]) : [];
  } catch {
    return [];
  }
}

function isPriority(value: unknown): value is number {
  return Number.isInteger(value) && Math.abs((value as number) + 0.5) < 32_768;
}

function isInteger(value: unknown): value is string {
  return typeof value === "string" && INTEGER.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value);
}

const WAYS: ReadonlySet<string> = new Set<Way>(["id", "key", "failed", "queue", "ready", "scheduled", "running"]);
