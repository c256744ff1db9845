import type { PreviewRequest } from "../../../../src/admin/contract/bulk-views.ts";
import { address } from "../../api/api.ts";
import { type Condition, payloadJson, readAge } from "../../filter/filter.ts";

/** What a list of jobs is asked for. */
export interface JobQuery {
  readonly conditions: readonly Condition[];
  /** Where the page begins; undefined for the first. */
  readonly after: string | undefined;
  /** Which ages are meant: by this time. */
  readonly now: number;
}

/** How many jobs a page has. */
const PAGE_SIZE = 50;

/** The path of the API that answers it. */
export function jobsPath({ conditions, after, now }: JobQuery): string {
  const backward = isNewestFirst(conditions) || undefined;
  return address("jobs", { ...filterOf(conditions, now), backward, after, limit: PAGE_SIZE });
}

/** What waits is listed as it will run; all else with the newest first. */
export function isNewestFirst(conditions: readonly Condition[]): boolean {
  const valueOf = (name: string): string | undefined => conditions.find((one) => one.name === name)?.value;
  const state = valueOf("state");
  return state !== "ready" && state !== "scheduled" && valueOf("queue") === undefined;
}

/** The conditions as the API has them. */
export function filterOf(conditions: readonly Condition[], now: number): NonNullable<PreviewRequest["filter"]> {
  const valueOf = (name: string): string | undefined => conditions.find((one) => one.name === name)?.value;
  const [since, until] = timesOf(valueOf("age"), now);
  const [failedSince, failedUntil] = timesOf(valueOf("failed"), now);
  const priority = valueOf("priority");
  const filter = {
    state: valueOf("state") as "ready" | undefined,
    task: valueOf("task"),
    queueName: valueOf("queue"),
    jobKey: valueOf("key"),
    workerId: valueOf("worker"),
    priority: priority === undefined ? undefined : Number(priority),
    error: valueOf("error"),
    payload: payloadJson(conditions),
    since,
    until,
    failedSince,
    failedUntil,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** Since when and until when, by an age. */
function timesOf(given: string | undefined, now: number): readonly (string | undefined)[] {
  const age = readAge(given ?? "");
  if (age === undefined) return [];
  const time = new Date(now - age.ms).toISOString();
  return age.isOlder ? [undefined, time] : [time];
}
