import { START } from "../../postgres/position.ts";
import type { Announcement } from "./claimer.ts";

/** The channel on which every implementation announces jobs, of all schemas of the database. */
export const JOBS_CHANNEL = "jobs:insert";

/** What a notification says. */
export interface Notification extends Announcement {
  /** How many jobs, at least 0. */
  readonly count: number;
}

/**
 * Reads the payload of a notification; `null` when it is about another schema
 * or takes jobs away. Other implementations say only how many, or nothing at
 * all, which counts as one job that may have been due at any time.
 */
export function readNotification(payload: string, schema: string): Notification | null {
  const said = parse(payload);
  if (typeof said["schema"] === "string" && said["schema"] !== schema) return null;
  const count = typeof said["count"] === "number" ? said["count"] : 1;
  if (!(count > 0)) return null;
  return { count, at: readMicros(said["at"]), queueIds: readIds(said["queues"]) };
}

function parse(payload: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(payload);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Some senders notify with an empty payload.
    return {};
  }
}

/** The earliest time of PostgreSQL's calendar; what is before it is `-infinity`. */
const FIRST_MICROS = -210_866_803_200_000_000n;
const MAX_BIGINT = 2n ** 63n - 1n;
const MAX_INTEGER = 2 ** 31 - 1;

/**
 * Anybody may notify, and what cannot be sent back to the database would fail
 * every claim. A number that JSON.parse rounded is further away than any job,
 * or so long ago that only the beginning of time is early enough.
 */
function readMicros(value: unknown): string | undefined {
  const micros = toBigInt(value);
  if (micros === undefined || micros > MAX_BIGINT) return undefined;
  return micros < FIRST_MICROS ? START.at : String(micros);
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) return BigInt(value);
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : undefined;
}

function readIds(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter(isQueueId) : [];
}

function isQueueId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= MAX_INTEGER;
}
