import type { TestDatabase } from "./database.ts";

/** A queue as its rules have shaped it. */
export interface QueueShape {
  readonly width: number | null;
  readonly share: number | null;
  readonly pool: number | null;
  /** Whether it waits until it may be given another shape. */
  readonly waits: boolean;
  /** Whether it follows the rules that are stored now. */
  readonly isCurrent: boolean;
  readonly lockedBy: string | null;
  readonly lanes: readonly number[];
  readonly heldLanes: readonly number[];
  /** Microseconds a token and the most tokens of each part of its bucket. */
  readonly buckets: readonly (readonly [number | null, number | null])[];
}

/** The shape of a queue; `undefined` without a row. */
export async function shapeOf(database: TestDatabase, name: string): Promise<QueueShape | undefined> {
  const [row] = await database.sql(
    `select queue._howdah_width as width, queue._howdah_share as share, queue._howdah_pool_id as pool,
       queue._howdah_rules_revision = -1 as waits,
       queue._howdah_rules_revision = (select revision from howdah._howdah_rules_state) as "isCurrent",
       queue.locked_by as "lockedBy",
       array(select lane::integer from howdah._howdah_lanes where owner_id = queue.id order by 1) as lanes,
       array(
         select lane::integer from howdah._howdah_lanes where owner_id = queue.id and locked_at is not null order by 1
       ) as "heldLanes",
       coalesce((
         select json_agg(json_build_array(token_us, burst) order by stripe)
         from howdah._howdah_buckets where owner_id = queue.id
       ), '[]') as buckets
     from howdah._private_job_queues as queue where queue_name = $1`,
    [name],
  );
  return row as QueueShape | undefined;
}

/** What a queue looks like that nothing was said about. */
export const SERIAL = { width: null, waits: false, lockedBy: null, lanes: [], buckets: [] };

/** What the rows of a queue with rules are locked by. */
export const LANES = "_howdah_lanes";

/** Makes queues by adding a job to each, an hour ago. Returns their ids. */
export async function addTo(database: TestDatabase, ...names: string[]): Promise<number[]> {
  const rows = await database.sql(
    `select (howdah.add_job('t', queue_name => name, run_at => now() - interval '1 h')).job_queue_id as id
     from unnest($1::text[]) as name`,
    [names],
  );
  return rows.map((row) => Number(row["id"]));
}

/** Locks a lane and the first free job of its queue, as a claim does. Returns the claim's time in microseconds, and the job. */
export async function holdLane(
  database: TestDatabase,
  { queueId, lane, workerId = "w" }: { readonly queueId: number; readonly lane: number; readonly workerId?: string },
): Promise<{ readonly claimedAt: string; readonly jobId: string }> {
  const [row] = await database.sql(
    `with job as (
       update howdah._private_jobs set locked_at = now(), locked_by = $3, attempts = attempts + 1
       where id = (
         select id from howdah._private_jobs where job_queue_id = $1 and locked_at is null order by run_at, id limit 1
       )
       returning id
     )
     update howdah._howdah_lanes set locked_at = now(), locked_by = $3, job_id = (select id from job)
     where owner_id = $1 and lane = $2
     returning howdah._howdah_us(locked_at)::text as "claimedAt", job_id::text as "jobId"`,
    [queueId, lane, workerId],
  );
  return row as { claimedAt: string; jobId: string };
}

/** How many tokens the bucket of an owner has, with parts of one. */
export async function tokensOf(database: TestDatabase, ownerId: number): Promise<number> {
  const [row] = await database.sql(
    `select sum(1 + extract(epoch from clock_timestamp() - greatest(
       next_at, clock_timestamp() - (burst - 1) * token_us * interval '1 microsecond'
     )) * 1000000 / token_us)::float8 as tokens
     from howdah._howdah_buckets where owner_id = $1`,
    [ownerId],
  );
  return Number(row?.["tokens"]);
}

/** Takes everything away, and begins with the ids at 1 again. */
export async function emptyFlow(database: TestDatabase): Promise<void> {
  await database.sql(`
    set lock_timeout = '5s';
    truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers, howdah._howdah_lanes,
      howdah._howdah_buckets, howdah._howdah_pools, howdah._howdah_rules restart identity;
    update howdah._howdah_rules_state set revision = 0, swept_at = '-infinity';
    reset lock_timeout`);
}
