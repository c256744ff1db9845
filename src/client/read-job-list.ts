import { toJob } from "../job/row.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import type { Job } from "../job/job.ts";
import { HowdahError } from "../errors.ts";
import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { type PageRequest, type JobPlace, type Way, waysOf } from "../postgres/queries/job-pages.ts";
import { type JobPage, listJobs } from "../postgres/queries/list-jobs.ts";
import { type JobCursor, writeCursor } from "./job-cursor.ts";

/** Reads one page: goes the ways of the filter until the page is full, or a search has looked at enough. */
export async function readJobList(
  target: CountTarget,
  filter: JobSelection,
  request: JobListRequest,
): Promise<JobList> {
  const { isBackward, limit, withPayloads = true } = request;
  const ways = waysOf(filter);
  let cursor = checkedStart(request.after, ways);
  const jobs: Job[] = [];
  let searched: SearchedJobs | undefined;
  for (;;) {
    const left: PageRequest = { ...cursor, isBackward, limit: limit - jobs.length };
    const page = await listJobs(target, filter, { ...left, withPayloads });
    jobs.push(...page.records.map((record) => toJob(record)));
    const next = cursorBehind(page, cursor.way, ways);
    if (page.isSearch) searched = { from: searched?.from ?? cursor.after?.id ?? null, to: next?.after?.id ?? null };
    const isEnough = jobs.length === limit || page.searchedTo !== undefined;
    if (next === undefined || isEnough) return { jobs, next: next && writeCursor(next), searched };
    cursor = next;
  }
}

/** Which page to read. */
export interface JobListRequest {
  readonly isBackward: boolean;
  readonly after: JobCursor | undefined;
  readonly limit: number;
  /** Default true. */
  readonly withPayloads?: boolean;
}

/** One page of jobs. */
export interface JobList {
  readonly jobs: Job[];
  /** What to give as `after`, with the same filter, for the next page; `undefined` when this was the last. */
  readonly next: string | undefined;
  /** Which jobs were looked at, where no index serves the filter; else `undefined`. */
  readonly searched: SearchedJobs | undefined;
}

/** A part of a list. */
export interface SearchedJobs {
  /** The id of the job that it begins behind; null for the beginning. */
  readonly from: string | null;
  /** The id of the job that it ends with; null for the end. */
  readonly to: string | null;
}

/** Where the next page begins; `undefined` behind the last one. */
function cursorBehind(
  { records, hasMore, searchedTo }: JobPage,
  way: Way,
  ways: readonly Way[],
): JobCursor | undefined {
  const position: JobPlace | undefined = hasMore ? records.at(-1) : searchedTo;
  if (position !== undefined) return { way, after: position };
  const following = ways[ways.indexOf(way) + 1];
  return following === undefined ? undefined : { way: following, after: undefined };
}

function checkedStart(after: JobCursor | undefined, ways: readonly Way[]): JobCursor {
  const [first = "id"] = ways;
  if (after === undefined) return { way: first, after: undefined };
  if (ways.includes(after.way)) return after;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "ListJobs option `after` is the `next` of a list with another filter: give the filter of the page before.",
  );
}
