import type { TestDatabase } from "./database.ts";

/** What rules make of a queue or of a pool. */
export interface Shape {
  /** 0: as many as there are. */
  readonly width: number;
  readonly rate?: Rate | undefined;
  readonly share?: number;
  /** The id of its pool. */
  readonly poolId?: number;
}

/** A bucket, full to begin with. */
export interface Rate {
  readonly tokenUs: number;
  readonly burst: number;
  /** Its parts. Default 1. */
  readonly stripes?: number;
}

/** Gives the queues whose names are like this (`%` stands for anything) a shape, by writing their rows, lanes and buckets. */
export async function shapeQueues(database: TestDatabase, like: string, shape: Shape): Promise<void> {
  const { width, share = null, poolId = null } = shape;
  await database.sql("insert into howdah._howdah_rules (pattern, width) values ($1, 1) on conflict do nothing", [
    like.replace("%", "*"),
  ]);
  const rows = await database.sql(
    `update howdah._private_job_queues
     set _howdah_width = $2, _howdah_share = $3, _howdah_pool_id = $4, locked_at = '2999-01-01', locked_by = '_howdah_lanes'
     where queue_name like $1 returning id`,
    [like, width, share, poolId],
  );
  await giveGates(
    database,
    rows.map((row) => Number(row["id"])),
    shape,
  );
}

/** Makes a pool and returns its id. */
export async function createPool(database: TestDatabase, shape: Shape): Promise<number> {
  const { width, rate } = shape;
  const [row] = await database.sql(
    `insert into howdah._howdah_pools (name, width, token_us, burst)
     select 'p' || count(*), $1, $2, $3 from howdah._howdah_pools returning id`,
    [width, rate?.tokenUs ?? null, rate?.burst ?? null],
  );
  const id = Number(row?.["id"]);
  await giveGates(database, [-id], shape);
  return id;
}

async function giveGates(
  database: TestDatabase,
  ownerIds: readonly number[],
  { width, rate }: Pick<Shape, "width" | "rate">,
): Promise<void> {
  await database.sql("delete from howdah._howdah_lanes where owner_id = any ($1)", [ownerIds]);
  await database.sql("delete from howdah._howdah_buckets where owner_id = any ($1)", [ownerIds]);
  await database.sql(
    `insert into howdah._howdah_lanes (owner_id, lane)
     select owner, lane from unnest($1::int[]) as owner cross join generate_series(1, $2) as lane`,
    [ownerIds, width],
  );
  if (!rate && width > 0) return;
  const stripes = rate ? (rate.stripes ?? 1) : 4;
  await database.sql(
    `insert into howdah._howdah_buckets (owner_id, stripe, token_us, burst)
     select owner, stripe, $3::bigint * $2, $4::int / $2 + case when stripe <= $4::int % $2 then 1 else 0 end
     from unnest($1::int[]) as owner cross join generate_series(1, $2) as stripe`,
    [ownerIds, stripes, rate?.tokenUs ?? null, rate?.burst ?? null],
  );
}

/** Removes all jobs, queues, rules and pools. */
export async function emptyRules(database: TestDatabase): Promise<void> {
  // A test that failed may have left a transaction open: the next one must fail, not wait.
  await database.sql(`
    set lock_timeout = '5s';
    truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_lanes, howdah._howdah_buckets,
      howdah._howdah_rules, howdah._howdah_pools restart identity;
    reset lock_timeout`);
}

/** These jobs are over: their rows are gone, and their lanes are free. */
export async function endJobs(database: TestDatabase, jobIds: readonly (string | number)[]): Promise<void> {
  await database.sql(
    `with gone as (delete from howdah._private_jobs where id = any ($1) returning id)
     update howdah._howdah_lanes set locked_at = null, locked_by = null, job_id = null
     where job_id = any ($1) and exists (select from gone)`,
    [jobIds],
  );
}

/** Queues and pools of which more runs than they let, or runs without a lane: none, unless a claim is wrong. */
export async function overfull(database: TestDatabase): Promise<string[]> {
  const rows = await database.sql(`
    with running as (
      select queues.id, queues._howdah_width as width, queues._howdah_pool_id as pool_id, count(jobs.id)::int as jobs
      from howdah._private_job_queues as queues
      left join howdah._private_jobs as jobs on jobs.job_queue_id = queues.id and jobs.locked_at is not null
      group by queues.id
    ), owner as (
      select id, coalesce(width, 1) as width, jobs, width is not null as has_lanes from running
      union all
      select -pools.id, pools.width, coalesce(sum(running.jobs), 0)::int, true
      from howdah._howdah_pools as pools left join running on running.pool_id = pools.id group by pools.id
    )
    select format('%s: %s jobs on %s lanes of %s', owner.id, owner.jobs, held.lanes, owner.width) as line
    from owner
    cross join lateral (
      select count(*)::int as lanes from howdah._howdah_lanes as lanes
      where lanes.owner_id = owner.id and lanes.locked_at is not null
    ) as held
    where owner.width > 0 and (owner.jobs > owner.width or (owner.has_lanes and owner.jobs <> held.lanes))`);
  return rows.map((row) => String(row["line"]));
}
