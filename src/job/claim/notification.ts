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
  return { count, at: readInteger(said["at"]), queueIds: readIds(said["queues"]) };
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

function readInteger(value: unknown): string | undefined {
  if (typeof value === "string" && /^-?\d{1,19}$/.test(value)) return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined;
}

function readIds(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((id): id is number => Number.isSafeInteger(id)) : [];
}
