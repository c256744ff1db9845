import { START } from "../../postgres/position.ts";

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
  const queueIds = readIds(said["queues"]);
  return { count, at: readMicros(said["at"]), queueIds, jobIds: readJobIds(said["ids"], count, queueIds.length) };
}

/** What a notification says. */
export interface Notification extends Announcement {
  /** How many jobs, at least 0. */
  readonly count: number;
}

/** What a notification, or the worker's own release, says about new work. */
export interface Announcement {
  /** How many jobs; left out when it is about queues that have become free. */
  readonly count?: number | undefined;
  /** The earliest `run_at` in microseconds; left out when the sender did not say. */
  readonly at?: string | undefined;
  /** Queues that have jobs, or have become free. */
  readonly queueIds?: readonly number[] | undefined;
  /** The jobs, when this is all there is to it and none of them is in a queue. */
  readonly jobIds?: readonly string[] | undefined;
}

/** The channel on which every implementation announces jobs, of all schemas of the database. */
export const JOBS_CHANNEL = "jobs:insert";

function parse(payload: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(payload);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Some senders notify with an empty payload.
    return {};
  }
}

/**
 * Rounded by JSON.parse, a time before the year 1685, such as `-infinity`, can
 * only be taken for the beginning of time.
 */
function readMicros(value: unknown): string | undefined {
  if (typeof value !== "number") return undefined;
  if (Number.isSafeInteger(value)) return String(value);
  return value < 0 ? START.at : undefined;
}

const MAX_QUEUE_ID = 2 ** 31 - 1;

function readIds(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter(isQueueId) : [];
}

/** Only when they are all there is to it: as many as were counted, and no queues. */
function readJobIds(value: unknown, count: number, queueCount: number): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length !== count || queueCount > 0) return undefined;
  return value.every((id) => Number.isSafeInteger(id) && id > 0) ? value.map(String) : undefined;
}

/** Anybody may notify, and an id that is out of range would fail the claim that asks for it. */
function isQueueId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= MAX_QUEUE_ID;
}
