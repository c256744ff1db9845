import type { JobAnswer, JobPageAnswer } from "../../../src/admin/contract/job-views.ts";
import { address, type Api } from "../api/api.ts";
import type { Order } from "./what-if-state.ts";

/** What a page of the API has at most, and what is kept before jobs are removed. */
const PAGE = 500;
const MOST = 10_000;

/**
 * The jobs of an order as lines of JSON: with their payloads where they are
 * given by their ids, without where a filter finds them, and 10,000 at most.
 * Rejects with a problem when the API does.
 */
export async function rowsOf(
  api: Api,
  { ids, filter }: Order,
): Promise<{ readonly lines: string; readonly count: number }> {
  const rows = ids ? await jobsById(api, ids) : await jobsByFilter(api, filter ?? {});
  return { lines: rows.map((row) => `${JSON.stringify(row)}\n`).join(""), count: rows.length };
}

/** Hands a text to the browser as a file. */
export function saveAs(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

async function jobsById(api: Api, ids: readonly string[]): Promise<unknown[]> {
  const jobs: unknown[] = [];
  for (const id of ids) jobs.push((await api.get<JobAnswer>(`jobs/${id}`)).job);
  return jobs;
}

async function jobsByFilter(api: Api, filter: NonNullable<Order["filter"]>): Promise<unknown[]> {
  const rows: unknown[] = [];
  for (let after: string | undefined; rows.length < MOST;) {
    const page: JobPageAnswer = await api.get(address("jobs", { ...filter, after, limit: PAGE }));
    rows.push(...page.jobs);
    if (page.next === null) break;
    after = page.next;
  }
  return rows.slice(0, MOST);
}
