import type { Executor, Row } from "../driver.ts";
import { quoteLiteral, type Schema } from "../schema.ts";
import { stateConditions } from "./job-columns.ts";
import { heldIsComplete, heldJobs, PLAIN, QUEUED } from "./running-jobs.ts";

/** Counts the jobs of a small table, all of them; `undefined` for a table that is too large for that. */
export async function countAllJobs({ executor, schema }: CountTarget): Promise<StateCounts | undefined> {
  const small = `case when ${isSmall(schema)} then 100 else 0 end`;
  const text = `
select ${isSmall(schema)}, pg_catalog.count(*), ${STATE_COUNTS}, ${schema.of("_howdah_us")}(pg_catalog.now())
from (select * from ${sampled(schema, small)} limit ${MAX_COUNTED + 1}) as job`;
  const [[wasSmall, all, ...counts] = []] = (await executor.query({ name: "count_jobs", text })).rows;
  return wasSmall === "t" && Number(all) <= MAX_COUNTED ? toStateCounts(counts) : undefined;
}

/**
 * Counts the jobs through their indexes: exactly as far as there are few, and
 * with the sizes of the indexes beyond that.
 */
export async function countIndexedJobs({ executor, schema }: CountTarget): Promise<IndexedCounts> {
  const jobs = schema.of("_private_jobs");
  const few = (from: string, where: string): string =>
    `(select pg_catalog.count(*) from (select from ${from} where ${where} limit ${CAP + 1}) as job)`;
  const level = (condition: string): string => `(select pg_catalog.count(*) from (
    select from level cross join lateral (
      select from ${jobs} as job
      where ${PLAIN} and job.priority operator(pg_catalog.=) level.priority and ${condition} limit ${CAP + 1}
    ) as job limit ${CAP + 1}
  ) as job)`;
  const us = schema.of("_howdah_us");
  const sizes = INDEXES.map((index) => sizeOf(schema, index));
  const text = `
with recursive ${heldJobs(schema)}
select ${level(DUE)}, ${level(LATER)}, ${few(`${jobs} as job`, `${QUEUED} and ${DUE}`)}, ${few(`${jobs} as job`, `${QUEUED} and ${LATER}`)},
  ${few(`${jobs} as job`, "job._howdah_exhausted")},
  (select pg_catalog.count(*) from held), (select pg_catalog.count(*) from held as job where ${LATER}), ${heldIsComplete(schema)},
  ${sizes.join(", ")}, ${us}(pg_catalog.now()), (select pg_catalog.sum(told.locked) from told),
  (select ${us}(pg_catalog.min(told.last_heartbeat_at)) from told),
  (select pg_catalog.count(*) from held where coalesce(held.locked_by, '') operator(pg_catalog.<>) all (array(select told.id from told)))`;
  const [row = []] = (await executor.query({ name: "count_indexed_jobs", text })).rows;
  const [plainDue, plainLater, queuedDue, queuedLater, failed, held, heldLater] = row.slice(0, 7).map(Number);
  const [plain = null, queued = null, exhausted = null] = row.slice(8, 11).map((size) => size && Number(size));
  return {
    plain: { due: plainDue ?? 0, later: plainLater ?? 0, estimate: plain || null },
    queued: { due: queuedDue ?? 0, later: queuedLater ?? 0, estimate: queued || null },
    failed: { counted: failed ?? 0, estimate: exhausted || null },
    held: {
      all: held ?? 0,
      later: heldLater ?? 0,
      isComplete: row[7] === "t",
      told: Number(row[12] ?? 0),
      toldAt: row[13] ?? null,
      untold: Number(row[14]),
    },
    asOf: row[11] ?? "0",
  };
}

/** Estimates what {@link countIndexedJobs} counts, on some pages of the table. */
export async function samplePartsOfJobs({ executor, schema }: CountTarget): Promise<SampledParts> {
  const parts = [`${PLAIN} and ${DUE}`, `${PLAIN} and ${LATER}`, `${QUEUED} and ${DUE}`, `${QUEUED} and ${LATER}`];
  const counts = [...parts, "job._howdah_exhausted"].map((part) => `pg_catalog.count(*) filter (where ${part})`);
  const share = shareOf(schema, SAMPLED_PAGES);
  const text = `select ${share}, ${counts.join(", ")} from ${sampled(schema, share)}`;
  const [row = []] = (await executor.query({ name: "sample_jobs", text })).rows;
  const [percentage = 100, ...found] = row.map(Number);
  const [plainDue = 0, plainLater = 0, queuedDue = 0, queuedLater = 0, failed = 0] = found.map(
    (count) => (count * 100) / percentage,
  );
  return {
    plain: { due: plainDue, later: plainLater },
    queued: { due: queuedDue, later: queuedLater },
    failed,
  };
}

/**
 * Counts the jobs of each task, or of each queue, the largest groups first; on
 * some pages of a table that is large, but for those that run.
 */
export async function countGroups({ executor, schema }: CountTarget, by: GroupName): Promise<GroupCounts> {
  const { column, table, name } = GROUPS[by];
  const share = `case when ${isSmall(schema)} then 100 else ${shareOf(schema, GROUP_PAGES)} end`;
  const text = `
with recursive ${heldJobs(schema)},
counted as materialized (
  select job.${column} as id, pg_catalog.count(*) as jobs, ${STATE_COUNTS} from ${sampled(schema, share)}
  where job.${column} is not null group by job.${column}
  order by 2 desc, 1 limit ${MOST_GROUPS}
)
select ${isSmall(schema)}, ${share}, coalesce(named.${name}, ''), counted.ready, counted.scheduled,
  case when ${isSmall(schema)} then counted.running
    else (select pg_catalog.count(*) from held where held.${column} operator(pg_catalog.=) counted.id) end,
  counted.failed, ${schema.of("_howdah_us")}(pg_catalog.now())
from counted left join ${schema.of(table)} as named on named.id operator(pg_catalog.=) counted.id
order by counted.jobs desc, counted.id`;
  const { rows } = await executor.query({ name: `count_by_${by}`, text });
  const [wasSmall = "t", percentage = "100"] = rows[0] ?? [];
  return {
    groups: rows.map(([, , named, ...counts]) => ({
      name: named ?? "",
      counts: toStateCounts(counts, Number(percentage) / 100),
    })),
    isExact: wasSmall === "t",
  };
}

/** Where jobs are counted. */
export interface CountTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** How many jobs there are in each state. */
export interface StateCounts {
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly failed: number;
  /** Microseconds since 1970. */
  readonly asOf: string;
}

/** What the indexes say. No number that was counted is larger than {@link CAP} and one. */
export interface IndexedCounts {
  readonly plain: PartCounts;
  readonly queued: PartCounts;
  readonly failed: { readonly counted: number; readonly estimate: number | null };
  readonly held: HeldCounts;
  /** Microseconds since 1970. */
  readonly asOf: string;
}

/** Jobs that are locked. */
export interface HeldCounts {
  /** Those that were found. */
  readonly all: number;
  /** How many of these are not due. */
  readonly later: number;
  /** Whether there are no others. */
  readonly isComplete: boolean;
  /** How many workers say that they hold. */
  readonly told: number;
  /** The oldest of their last heartbeats, in microseconds since 1970; null when none says anything. */
  readonly toldAt: string | null;
  /** How many were found that others hold, which say nothing. */
  readonly untold: number;
}

/** Jobs that may still run, those that are locked among them. */
export interface PartCounts {
  /** Counted. */
  readonly due: number;
  /** Counted. */
  readonly later: number;
  /** Of both together, by the size of their index; null for an index whose rows were never counted. */
  readonly estimate: number | null;
}

/** Estimates of jobs that may still run, those that are locked among them, and of failed ones. */
export interface SampledParts {
  readonly plain: Pick<PartCounts, "due" | "later">;
  readonly queued: Pick<PartCounts, "due" | "later">;
  readonly failed: number;
}

/** What jobs can be counted by. */
export type GroupName = "task" | "queue";

/** The largest groups of jobs. */
export interface GroupCounts {
  readonly groups: readonly { readonly name: string; readonly counts: StateCounts }[];
  /** Whether the whole table was read. */
  readonly isExact: boolean;
}

/** What is counted through an index one by one, at most. */
export const CAP = 10_000;

/** A count for each state, with its name. */
const STATE_COUNTS = (["ready", "scheduled", "running", "failed"] as const)
  .map((state) => `pg_catalog.count(*) filter (where ${stateConditions[state]}) as ${state}`)
  .join(", ");
const DUE = "job.run_at operator(pg_catalog.<=) pg_catalog.now()";
const LATER = "job.run_at operator(pg_catalog.>) pg_catalog.now()";

/** The most jobs that are counted one by one, and the pages of a table of which that is tried: 128 MB. */
const MAX_COUNTED = 100_000;
const SMALL_PAGES = 16_384;

/** The pages that estimates are made of: 4 and 16 MB, so that they cost the same however large the table is. */
const SAMPLED_PAGES = 500;
const GROUP_PAGES = 2_000;
const MOST_GROUPS = 100;
const GROUPS = {
  task: { column: "task_id", table: "_private_tasks", name: "identifier" },
  queue: { column: "job_queue_id", table: "_private_job_queues", name: "queue_name" },
} as const;

/** The indexes whose sizes count: of the jobs without a queue, of those in queues, of those that failed. */
const INDEXES = ["_howdah_ready", "_howdah_due", "_howdah_failed"];

/**
 * The rows that an index has: as many on a page as when they were last counted,
 * on the pages that it has now, as the planner has it. Null when they never were.
 */
function sizeOf(schema: Schema, name: string): string {
  return `(
  select (pg_catalog.pg_relation_size(index.oid) operator(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.float8
    operator(pg_catalog.*) index.reltuples operator(pg_catalog./) index.relpages)::pg_catalog.int8
  from pg_catalog.pg_class as index
  where index.oid operator(pg_catalog.=) ${quoteLiteral(schema.of(name))}::pg_catalog.regclass
    and index.reltuples operator(pg_catalog.>) 0 and index.relpages operator(pg_catalog.>) 10
)`;
}

/** Is the table so small that all of it can be read? */
function isSmall(schema: Schema): string {
  return `(${pagesOf(schema)} operator(pg_catalog.<=) ${SMALL_PAGES})`;
}

/** The rows on a part of the pages, called `job`: page after page, whatever the planner holds of that. */
function sampled(schema: Schema, percentage: string): string {
  return `${schema.of("_private_jobs")} as job tablesample pg_catalog.system (${percentage})`;
}

/** The part of the table that this number of pages is, in percent. */
function shareOf(schema: Schema, pages: number): string {
  return `least(100, ${pages * 100}::pg_catalog.float8 operator(pg_catalog./) greatest(1, ${pagesOf(schema)}))`;
}

function pagesOf(schema: Schema): string {
  return `(pg_catalog.pg_relation_size(${quoteLiteral(schema.of("_private_jobs"))})
    operator(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8)`;
}

/** Counts on a part of the pages, scaled up; the jobs that run are never counted so. */
function toStateCounts([ready, scheduled, running, failed, asOf]: Row, share = 1): StateCounts {
  const scaled = (count: Row[number] | undefined): number => Math.round(Number(count) / share);
  return {
    ready: scaled(ready),
    scheduled: scaled(scheduled),
    running: Number(running),
    failed: scaled(failed),
    asOf: asOf ?? "0",
  };
}
