import type { Schema } from "../schema.ts";
import { filterConditions, type FilterConditions, type JobSelection, Values } from "./job-selection.ts";
import { heldJobs, levels, PLAIN, QUEUED } from "./running-jobs.ts";

/**
 * Writes the statement for one page of the jobs that pass a filter: its jobs in
 * the order of the way, one more than asked for when there are more, each with a
 * place; then, without a place, where a search ended that found too few.
 */
export function writePage(schema: Schema, filter: JobSelection, { page, what }: PageOrder): WrittenPage {
  const { way, isBackward, limit } = page;
  const { keys, serves } = SCANS[way];
  const values = new Values();
  const conditions = filterConditions(schema, filter, values);
  const rest = Object.entries(conditions).flatMap(([name, condition]) =>
    (serves as readonly string[]).includes(name) ? [] : [condition],
  );
  const isSearch = rest.length > 0 && way !== "key" && way !== "running";
  const window = conditions.payload === undefined ? WINDOW : PAYLOAD_WINDOW;
  const scan: Scan = {
    schema,
    order: keys.map((key) => `${KEYS[key].column}${isBackward ? " desc" : ""}`).join(", "),
    bounds: boundsOf(schema, page, values),
    conditions,
    // Nothing but the rows of the page, or as many as a search looks at; few pass a condition on the key or the lock.
    limit: rest.length === 0 ? limit + 1 : window,
  };
  const source = sourceOf(way, scan);
  const text = `
with recursive ${source.tables}page as materialized (
  select job.*, pg_catalog.row_number() over () as place from (
    select job.* from (${source.of("job.*")}) as job${rest.length === 0 ? "" : `\n    where ${rest.join("\n      and ")}`}
    order by ${scan.order} limit ${limit + 1}
  ) as job
)
select ${what.columns}, job.place, null, null, null
from page as job${what.joins}${isSearch ? `\nunion all\n${edgeOf(schema, source, { limit, window, width: what.width })}` : ""}
order by ${what.width + 1}`;
  return { text, values: values.cells, isSearch };
}

/** Which page, and what to select of its jobs. */
interface PageOrder {
  readonly page: PageRequest;
  readonly what: Selected;
}

/** Which page of a list. */
export interface PageRequest {
  readonly way: Way;
  /** Where the page before ended; `undefined` for the first. */
  readonly after?: JobPlace | undefined;
  /** The largest id that counts. */
  readonly newestId?: string | undefined;
  readonly isBackward: boolean;
  readonly limit: number;
}

/**
 * The index that a list goes through, and so its order:
 *
 *   id        the primary key
 *   key       the index of the keys, with one job at most
 *   failed    the jobs that failed for good, by id
 *   queue     the jobs of one queue that may still run: priority, due time, id
 *   members   the same by id: all of them are sorted for each page
 *   ready     by due time and id: one scan for each priority of the jobs without
 *   scheduled   a queue and one for those of all queues, merged
 *   running   what is locked, by id
 */
export type Way = "id" | "key" | "failed" | "queue" | "members" | "ready" | "scheduled" | "running";

/** Where a job stands in the order of a way. Times are microseconds since 1970. */
export interface JobPlace {
  readonly priority: number;
  readonly runAt: string;
  readonly id: string;
}

/** What to select of each job. */
interface Selected {
  readonly columns: string;
  readonly joins: string;
  /** How many columns these are. */
  readonly width: number;
}

/** A statement for one page. */
export interface WrittenPage {
  readonly text: string;
  readonly values: Values["cells"];
  /** Whether it looks at jobs that do not pass the filter. */
  readonly isSearch: boolean;
}

/** The ways that a list of the jobs that pass this filter takes, one after another. */
export function waysOf(filter: JobSelection): readonly Way[] {
  const { state, queueName, jobKey, workerId, ...others } = filter;
  if (jobKey !== undefined) return ["key"];
  // What a worker holds runs.
  if (workerId !== undefined) return [state === undefined || state === "running" ? "running" : "id"];
  if (state === "running" || state === "failed") return [state];
  if (queueName !== undefined) return state === undefined ? ["queue", "failed"] : ["queue"];
  const isPlain = Object.values(others).every((value) => value === undefined);
  return state !== undefined && isPlain ? [state] : ["id"];
}

/** The ways through the same jobs in orders that no change of a job alters: by id. */
export function waysById(filter: JobSelection): readonly Way[] {
  const { state, queueName, jobKey } = filter;
  if (jobKey !== undefined) return ["key"];
  if (state === "failed") return ["failed"];
  if (queueName === undefined) return ["id"];
  return state === undefined && filter.isOpen !== true ? ["members", "failed"] : ["members"];
}

/** The rows that one page looks at, at most, where no index serves the filter. */
const WINDOW = 50_000;

/** The same where each payload is read as JSON, which takes several times as long as the rest of a row. */
const PAYLOAD_WINDOW = 20_000;

const KEYS = {
  priority: { column: "job.priority", type: "pg_catalog.int2" },
  runAt: { column: "job.run_at", type: "" },
  id: { column: "job.id", type: "pg_catalog.int8" },
} as const;

type Key = keyof typeof KEYS;

/** The order of each way, and the parts of a filter that its index serves. */
const SCANS: Readonly<
  Record<Way, { readonly keys: readonly Key[]; readonly serves: readonly (keyof JobSelection)[] }>
> = {
  id: { keys: ["id"], serves: [] },
  key: { keys: ["id"], serves: ["jobKey"] },
  failed: { keys: ["id"], serves: ["state"] },
  queue: { keys: ["priority", "runAt", "id"], serves: ["queueName", "priority"] },
  members: { keys: ["id"], serves: ["queueName"] },
  ready: { keys: ["runAt", "id"], serves: ["state"] },
  scheduled: { keys: ["runAt", "id"], serves: ["state"] },
  running: { keys: ["id"], serves: ["state"] },
};

interface Scan {
  readonly schema: Schema;
  readonly order: string;
  /** Behind the end of the page before, and not beyond the newest id; each with its "and". */
  readonly bounds: string;
  readonly conditions: FilterConditions;
  /** How many rows to look at. */
  readonly limit: number;
}

interface Source {
  /** Tables that it needs, each followed by a comma. */
  readonly tables: string;
  /** A select of these columns of its rows, in order. */
  of(columns: string): string;
}

/** The rows that a page looks at. */
function sourceOf(way: Way, scan: Scan): Source {
  const { schema, order, bounds, conditions, limit } = scan;
  const jobs = schema.of("_private_jobs");
  const select = (columns: string, where: string): string =>
    `select ${columns} from ${jobs} as job where ${where}${bounds} order by ${order} limit ${limit}`;
  const plain = (where: string): Source => ({ tables: "", of: (columns) => select(columns, where) });
  switch (way) {
    case "id":
      return plain("true");
    case "key":
      return plain(conditions.jobKey ?? "false");
    case "failed":
      return plain("job._howdah_exhausted");
    case "queue":
      return plain([...ofQueue(conditions), ...(conditions.priority ? [conditions.priority] : [])].join(" and "));
    case "members":
      return membersOf(scan);
    case "running": {
      const where = "job.id operator(pg_catalog.=) any (array(select held.id from held)) and job.locked_at is not null";
      return { tables: `${heldJobs(schema)},\n`, of: (columns) => select(columns, where) };
    }
    case "ready":
    case "scheduled": {
      const where = `${PLAIN} and job.priority operator(pg_catalog.=) level.priority and ${conditions.state}`;
      const of = (columns: string): string => `
      (select job.* from level cross join lateral (${select(columns, where)}) as job)
      union all (${select(columns, `${QUEUED} and ${conditions.state}`)})`;
      return { tables: `${levels(schema)},\n`, of };
    }
  }
}

function ofQueue({ queueName = "false" }: FilterConditions): string[] {
  return [queueName, "not job._howdah_exhausted"];
}

/** The ids of a queue are read from its index and sorted: its jobs are few beside those that the primary key has. */
function membersOf({ schema, bounds, conditions, limit }: Scan): Source {
  const jobs = schema.of("_private_jobs");
  const where = `${ofQueue(conditions).join(" and ")}${bounds}`;
  return {
    tables: `member as materialized (
  select job.id from ${jobs} as job where ${where} order by job.priority, job.run_at, job.id
),\n`,
    of: (columns) => `
      select ${columns} from (select member.id from member order by member.id limit ${limit}) as member
      cross join lateral (select * from ${jobs} as job where job.id operator(pg_catalog.=) member.id) as job order by member.id`,
  };
}

/** The last row that a full window has, where it held too few jobs that pass the filter. */
function edgeOf(schema: Schema, source: Source, { limit, window, width }: EdgeOrder): string {
  return `select ${"null, ".repeat(width + 1)}edge.priority::pg_catalog.text, ${schema.of("_howdah_us")}(edge.run_at)::pg_catalog.text, edge.id::pg_catalog.text
from (select * from (${source.of("job.priority, job.run_at, job.id")}) as job offset ${window - 1} limit 1) as edge
where (select pg_catalog.count(*) from page) operator(pg_catalog.<=) ${limit}`;
}

interface EdgeOrder {
  readonly limit: number;
  readonly window: number;
  /** How many columns the page has before its place. */
  readonly width: number;
}

function boundsOf(schema: Schema, { way, after, newestId, isBackward }: PageRequest, values: Values): string {
  const newest =
    newestId === undefined ? "" : ` and job.id operator(pg_catalog.<=) ${values.add(newestId)}::pg_catalog.int8`;
  if (after === undefined) return newest;
  const { keys } = SCANS[way];
  const cells = keys.map((key) => {
    const cell = values.add(String(after[key]));
    return key === "runAt" ? `${schema.of("_howdah_at")}(${cell}::pg_catalog.int8)` : `${cell}::${KEYS[key].type}`;
  });
  const columns = keys.map((key) => KEYS[key].column);
  const operator = `operator(pg_catalog.${isBackward ? "<" : ">"})`;
  if (keys.length === 1) return `${newest} and ${columns[0]} ${operator} ${cells[0]}`;
  return `${newest} and row(${columns.join(", ")}) ${operator} row(${cells.join(", ")})`;
}
