-- Limits, rates, pools and turns: rules that a queue follows instead of running its
-- jobs one at a time. docs/internals/flow-control.md explains how they hold.

set local search_path = pg_catalog, pg_temp;

-- What follows from the rules of a queue, so that a claim reads one row. The row of a
-- queue with rules is locked for good, at a time that never comes, by
-- _howdah_lanes: workers that know nothing of rules leave it alone.
--
--   _howdah_width           null: one job at a time, without rules. 0: no limit.
--                           Otherwise the number of its lanes
--   _howdah_pool_id         a job of it also needs what this pool gives
--   _howdah_share           how many jobs it may run in its turn; null: 1
--   _howdah_parked_until    a handler was told to wait until then; apart from pauses,
--                           which people begin and end
--   _howdah_rules_revision  of the stored rules that it follows; -1: waits until it
--                           may be given another shape, and is not claimed
alter table :"schema"._private_job_queues
  add column _howdah_width smallint,
  add column _howdah_pool_id integer,
  add column _howdah_share smallint,
  add column _howdah_parked_until timestamptz,
  add column _howdah_rules_revision integer not null default 0;

-- A lane lets one job of its owner run: a queue, or minus the id of a pool. It is
-- locked, fenced and recovered as a queue is; job_id is the last job of the claim
-- that locked it.
create table :"schema"._howdah_lanes (
  owner_id integer not null,
  lane smallint not null,
  locked_at timestamptz,
  locked_by text,
  job_id bigint,
  constraint _howdah_lanes_pkey primary key (owner_id, lane),
  constraint _howdah_lanes_lane_check check (lane between 1 and 1000)
);

-- A part of the tokens that the jobs of an owner need to start, so that claims at the
-- same moment need not wait for each other. Without a rate its columns are null:
-- then it is only locked, by which claims and changes of rules meet.
create table :"schema"._howdah_buckets (
  owner_id integer not null,
  stripe smallint not null,
  -- When the next token is there, if it is not there already.
  next_at timestamptz not null default '-infinity',
  -- Microseconds from token to token, and how many it holds.
  token_us bigint,
  burst integer,
  constraint _howdah_buckets_pkey primary key (owner_id, stripe),
  constraint _howdah_buckets_rate_check check (
    (token_us is null) = (burst is null)
    and token_us between 1 and 16 * 86400000000 and burst between 1 and 10000
    and token_us::numeric * burst <= 366 * 86400000000.0
  )
);

-- A limit in total over the queues whose rules name it.
create table :"schema"._howdah_pools (
  id integer generated always as identity (sequence name :"schema"._howdah_pools_id_seq),
  name text not null,
  width smallint not null,
  token_us bigint,
  burst integer,
  updated_at timestamptz not null default now(),
  constraint _howdah_pools_pkey primary key (id),
  constraint _howdah_pools_name_key unique (name),
  constraint _howdah_pools_name_check check (length(name) between 1 and 128),
  constraint _howdah_pools_width_check check (width between 0 and 1000),
  constraint _howdah_pools_rate_check check (
    (token_us is null) = (burst is null)
    and token_us between 1 and 86400000000 and burst between 1 and 10000
    and token_us::numeric * burst <= 366 * 86400000000.0
  )
);

-- The rules as they were given: for a queue of this name, or for all whose names
-- begin with what stands before an asterisk at its end. The longest pattern that
-- fits counts.
create table :"schema"._howdah_rules (
  pattern text not null,
  -- As in the row of a queue. Null with a rate: one lane.
  width smallint,
  token_us bigint,
  burst integer,
  share smallint,
  pool text,
  -- By whom it is declared with each start; null: set by a call. And marks of what was
  -- declared in its place before, the newest first.
  declared_by text,
  declared_before text[],
  updated_at timestamptz not null default now(),
  constraint _howdah_rules_pkey primary key (pattern),
  constraint _howdah_rules_pattern_check check (
    length(pattern) between 1 and 129 and position('*' in left(pattern, -1)) = 0
  ),
  constraint _howdah_rules_width_check check (
    width between 0 and case when right(pattern, 1) = '*' then 100 else 1000 end
  ),
  constraint _howdah_rules_share_check check (share between 1 and 100),
  constraint _howdah_rules_rate_check check (
    (token_us is null) = (burst is null)
    and token_us between 1 and 86400000000 and burst between 1 and 10000
    and token_us::numeric * burst <= 366 * 86400000000.0
  )
);

-- How often the stored rules have changed: one row, with a key as every table has.
create table :"schema"._howdah_rules_state (
  id boolean not null default true,
  revision integer not null default 0,
  -- When queues were last compared with the rules.
  swept_at timestamptz not null default '-infinity',
  constraint _howdah_rules_state_pkey primary key (id),
  constraint _howdah_rules_state_id_check check (id)
);

insert into :"schema"._howdah_rules_state default values;

-- As for queues: small tables whose rows are updated again and again.
alter table :"schema"._howdah_lanes set (
  fillfactor = 40, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_limit = 2000
);

alter table :"schema"._howdah_buckets set (
  fillfactor = 40, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_limit = 2000
);
