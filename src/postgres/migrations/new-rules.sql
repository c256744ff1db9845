-- Rules are stored for names, and every queue that a rule fits is given its shape:
-- when the rule is set, when the queue is first named, and by every sweep for those
-- that were missed. What is told a queue is never carried in a call: it is read once
-- the queue is locked, so that of two changes at once the last one counts for all.
--
-- Locks are taken as everywhere, jobs excepted: rows of queues by id, then buckets,
-- then lanes, each by owner and number.

set local search_path = pg_catalog, pg_temp;

-- Locks all that jobs of these owners need to start. Claims hold it for a moment,
-- and are waited for; once it is locked, none is under way, and each that begins
-- sees what the caller has changed.
create function :"schema"._howdah_lock_gates_v1(owners integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
as $$
begin
  perform from (
    select bucket.stripe from :"schema"._howdah_buckets as bucket where bucket.owner_id = any(owners)
    order by bucket.owner_id, bucket.stripe for update
  ) as locked;
  perform from (
    select held.lane from :"schema"._howdah_lanes as held where held.owner_id = any(owners)
    order by held.owner_id, held.lane for update
  ) as locked;
end
$$;

-- Gives owners the lanes and buckets of their shape, which the caller has locked:
-- `widths` null takes all of it away. Free lanes beyond the width go, held ones when
-- they are released. A bucket that changes keeps the tokens that it had, and is full only
-- if the owner is `fresh`.
create function :"schema"._howdah_make_gates_v1(
  owners integer[], widths smallint[], token_uss bigint[], bursts integer[], fresh boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
as $$
begin
  with :{wanted_buckets()}, :{changed_buckets()}, :{tokens_left()}, :{placed_buckets()}, removed as (
    delete from :"schema"._howdah_buckets as bucket
    using changed
    where bucket.owner_id = changed.owner_id and not exists (
      select from wanted where wanted.owner_id = bucket.owner_id and wanted.stripe = bucket.stripe
    )
  ), updated as (
    update :"schema"._howdah_buckets as bucket
    set next_at = placed.next_at, token_us = placed.token_us, burst = placed.burst
    from placed
    where bucket.owner_id = placed.owner_id and bucket.stripe = placed.stripe
  )
  insert into :"schema"._howdah_buckets (owner_id, stripe, next_at, token_us, burst)
  select placed.owner_id, placed.stripe, placed.next_at, placed.token_us, placed.burst
  from placed
  where not exists (
    select from :"schema"._howdah_buckets as bucket
    where bucket.owner_id = placed.owner_id and bucket.stripe = placed.stripe
  )
  order by placed.owner_id, placed.stripe;

  delete from :"schema"._howdah_lanes as held
  using unnest(owners, widths) as given(owner_id, width)
  where held.owner_id = given.owner_id and held.lane > coalesce(given.width, 0) and held.locked_at is null;
  insert into :"schema"._howdah_lanes (owner_id, lane)
  select given.owner_id, number.lane
  from unnest(owners, widths) as given(owner_id, width)
  cross join lateral generate_series(1, given.width) as number(lane)
  order by given.owner_id, number.lane
  on conflict do nothing;
end
$$;

-- Gives these queues the shape that the stored rules say, and answers how many of them
-- have to wait for it: one that gets rules until its lock ends, one that loses them
-- until nothing of it runs. Such a queue is not claimed meanwhile, and every sweep
-- tries again. `fresh`: they were added by this transaction, and no other one sees them yet.
--
--   beside a claim           waits for it, and sees what it has locked; one that comes
--                            later sees what has changed
--   beside a release         waits for it, or it waits 100 ms and is repeated
--   beside another call      waits for it, then reads the rules anew
--   a rule changes meanwhile that call applies it afterwards, and waits for this
--   no commit                nothing has changed; the next sweep does it
--   commit, answer lost      may be repeated
create function :"schema"._howdah_apply_rules_v1(queue_ids integer[], fresh boolean default false) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
as $$
declare
  shapes record;
  shaped integer[];
begin
  if not fresh then
    perform from (
      select queue.id from :"schema"._private_job_queues as queue where queue.id = any(queue_ids)
      order by queue.id for update
    ) as locked;
    perform :"schema"._howdah_lock_gates_v1(queue_ids);
  end if;
  :{read_shapes()}
  if shapes.ids is null then
    return 0;
  end if;
  :{write_shapes()}
  perform :"schema"._howdah_make_gates_v1(
    array_agg(shape.id), array_agg(shape.width), array_agg(shape.token_us), array_agg(shape.burst), fresh
  )
  from unnest(
    shapes.ids, shapes.frees, shapes.were_ruled, shapes.are_ruled, shapes.widths, shapes.token_uss, shapes.bursts
  ) as shape(id, is_free, was_ruled, is_ruled, width, token_us, burst)
  where shape.is_free and (shape.was_ruled or shape.is_ruled)
  having count(*) > 0;
  return cardinality(array_positions(shapes.frees, false));
end
$$;

-- Does it for up to `quantity` queues that this pattern fits, by id, and answers the
-- last of them, null when there was none, and how many have to wait.
create function :"schema"._howdah_apply_pattern_v1(
  pattern text, after integer, quantity integer, out last_id integer, out waiting integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  found_ids constant integer[] := array(
    select queue.id from :"schema"._private_job_queues as queue
    where queue.id > after and case
      when right(pattern, 1) = '*' then starts_with(queue.queue_name, left(pattern, -1))
      else queue.queue_name = pattern
    end
    order by queue.id limit quantity
  );
begin
  last_id := found_ids[cardinality(found_ids)];
  waiting := :"schema"._howdah_apply_rules_v1(found_ids);
end
$$;

-- Stores a rule, and answers what came of it. The caller applies it afterwards.
--
--   set     it is stored, and counts from now on
--   same    it is stored already
--   kept    declared, but another one was set by a call, or is declared by others
--   older   declared, but what the same declarer has said in its place is newer, and
--           not older than ten minutes: both are deployed at the moment
--   no pool there is no pool of this name, and nothing was stored
--
--   two at once          one waits for the other
--   commit, answer lost  may be repeated
create function :"schema"._howdah_set_rules_v1(
  pattern text, width smallint, token_us bigint, burst integer, share smallint, pool text,
  declared_by text default null
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  stored record;
  mark constant text := md5(format('%s %s %s %s %s', width, token_us, burst, share, pool));
begin
  perform from :"schema"._howdah_rules_state for update;
  select * into stored from :"schema"._howdah_rules as rule where rule.pattern = _howdah_set_rules_v1.pattern;
  if stored.pattern is not null then
    if (stored.width, stored.token_us, stored.burst, stored.share, stored.pool)
      is not distinct from (width, token_us, burst, share, pool) then
      -- What an operator has said stays, whatever is declared later.
      if declared_by is null and stored.declared_by is not null then
        update :"schema"._howdah_rules as rule set declared_by = null, declared_before = null
        where rule.pattern = _howdah_set_rules_v1.pattern;
      end if;
      return 'same';
    elsif declared_by is not null and stored.declared_by is distinct from declared_by then
      return 'kept';
    elsif declared_by is not null and mark = any(stored.declared_before)
      and stored.updated_at > now() - interval '10 minutes' then
      return 'older';
    end if;
  end if;
  if pool is not null and not exists (
    select from :"schema"._howdah_pools as known where known.name = pool
  ) then
    return 'no pool';
  end if;
  insert into :"schema"._howdah_rules as rule
    (pattern, width, token_us, burst, share, pool, declared_by)
  values (pattern, width, token_us, burst, share, pool, declared_by)
  on conflict on constraint _howdah_rules_pkey do update set
    width = excluded.width, token_us = excluded.token_us, burst = excluded.burst,
    share = excluded.share, pool = excluded.pool, declared_by = excluded.declared_by, updated_at = now(),
    declared_before = case
      when excluded.declared_by is not null then (array_remove(
        md5(format('%s %s %s %s %s', rule.width, rule.token_us, rule.burst, rule.share, rule.pool))
          || coalesce(rule.declared_before, '{}'),
        mark
      ))[:5]
    end;
  update :"schema"._howdah_rules_state set revision = revision + 1;
  return 'set';
end
$$;

-- Takes a rule away. True when there was one. The caller applies it afterwards.
create function :"schema"._howdah_remove_rules_v1(pattern text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_found boolean;
begin
  perform from :"schema"._howdah_rules_state for update;
  delete from :"schema"._howdah_rules as rule where rule.pattern = _howdah_remove_rules_v1.pattern;
  is_found := found;
  if is_found then
    update :"schema"._howdah_rules_state set revision = revision + 1;
  end if;
  return is_found;
end
$$;

-- Makes or changes a pool. True when something has changed. It counts for all queues
-- of the pool at once.
--
--   beside a claim       waits for it; one that comes later sees what has changed
--   two at once          one waits for the other
--   commit, answer lost  may be repeated
create function :"schema"._howdah_set_pool_v1(name text, width smallint, token_us bigint, burst integer)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  pool_id integer;
begin
  perform from :"schema"._howdah_rules_state for update;
  if exists (
    select from :"schema"._howdah_pools as pool where pool.name = _howdah_set_pool_v1.name
      and (pool.width, pool.token_us, pool.burst) is not distinct from (width, token_us, burst)
  ) then
    return false;
  end if;
  update :"schema"._howdah_pools as pool
  set width = _howdah_set_pool_v1.width, token_us = _howdah_set_pool_v1.token_us,
    burst = _howdah_set_pool_v1.burst, updated_at = now()
  where pool.name = _howdah_set_pool_v1.name
  returning pool.id into pool_id;
  if found then
    perform :"schema"._howdah_lock_gates_v1(array[-pool_id]);
    perform :"schema"._howdah_make_gates_v1(array[-pool_id], array[width], array[token_us], array[burst], false);
  else
    insert into :"schema"._howdah_pools as pool (name, width, token_us, burst)
    values (name, width, token_us, burst)
    returning pool.id into pool_id;
    perform :"schema"._howdah_make_gates_v1(array[-pool_id], array[width], array[token_us], array[burst], true);
  end if;
  return true;
end
$$;

-- Takes a pool away, and answers whether it is gone now, was unknown, or is used: by a
-- rule that names it, or by a queue that is not given its new shape yet.
create function :"schema"._howdah_remove_pool_v1(name text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  gone integer;
begin
  perform from :"schema"._howdah_rules_state for update;
  select pool.id into gone from :"schema"._howdah_pools as pool where pool.name = _howdah_remove_pool_v1.name for update;
  if not found then
    return 'unknown';
  end if;
  if exists (select from :"schema"._howdah_rules as rule where rule.pool = _howdah_remove_pool_v1.name)
    or exists (select from :"schema"._private_job_queues as queue where queue._howdah_pool_id = gone) then
    return 'used';
  end if;
  perform :"schema"._howdah_lock_gates_v1(array[-gone]);
  -- Also those that are held: nothing is left for them to limit.
  delete from :"schema"._howdah_lanes as held where held.owner_id = -gone;
  delete from :"schema"._howdah_buckets as bucket where bucket.owner_id = -gone;
  delete from :"schema"._howdah_pools as pool where pool.id = gone;
  return 'gone';
end
$$;

-- Gives a shape to queues that were missed when their rule was set, whose lock
-- another one has ended, or that wait for it; up to `quantity` of them, unless a worker of this
-- schema has done so within `interval_ms`. Answers how many were looked at. What no rule
-- fits only notes that it has been compared.
--
--   beside anything else  steps over rows of queues that are locked at this moment, and
--                         waits for claims of those that it changes
--   commit, answer lost   the next sweep goes on
create function :"schema"._howdah_sweep_rules_v1(interval_ms bigint default null, quantity integer default 200)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  current_revision integer;
  has_rules constant boolean := exists (select from :"schema"._howdah_rules);
  to_shape integer[];
  to_note integer[];
begin
  -- A time in the future is one of before a clock was set back.
  update :"schema"._howdah_rules_state as state set swept_at = now()
  where state.revision > 0 and (
    interval_ms is null or state.swept_at < :{ms_ago(interval_ms)} or state.swept_at > now() + interval '1 minute'
  )
  returning state.revision into current_revision;
  if not found then
    return 0;
  end if;

  with missed as materialized (
    select queue.id, queue.queue_name, queue._howdah_width, queue._howdah_rules_revision as revision
    from :"schema"._private_job_queues as queue
    where (
        queue._howdah_rules_revision <> current_revision
        and (has_rules or queue._howdah_width is not null or queue._howdah_rules_revision = -1)
      )
      or queue._howdah_width is not null and queue.locked_by is distinct from :{holder_of_lanes()}
  ), :{fitting_rules(missed)}
  select
    (array_agg(missed.id order by missed.revision = -1, random()) filter (
      where fitting.pattern is not null or missed._howdah_width is not null or missed.revision = -1
    ))[:quantity],
    (array_agg(missed.id) filter (
      where fitting.pattern is null and missed._howdah_width is null and missed.revision <> -1
    ))[:10 * quantity]
  into to_shape, to_note
  from missed join fitting on fitting.id = missed.id;

  update :"schema"._private_job_queues as queue set _howdah_rules_revision = current_revision
  where queue.id = any(array(
      select free.id from :"schema"._private_job_queues as free
      where free.id = any(to_note) and free._howdah_width is null and free._howdah_rules_revision >= 0
      order by free.id for update skip locked
    ));
  perform :"schema"._howdah_apply_rules_v1(array(
    select free.id from :"schema"._private_job_queues as free
    where free.id = any(to_shape) order by free.id for update skip locked
  ));
  return coalesce(cardinality(to_shape), 0) + coalesce(cardinality(to_note), 0);
end
$$;

-- Takes all rules and pools away, for those who go back to a release that knows nothing
-- of them: queues that have rules do not run there. Answers how many queues cannot be
-- given back yet, because something of them still runs: then it is called again.
create function :"schema"._howdah_drop_rules() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  waiting integer;
begin
  update :"schema"._howdah_rules_state set revision = revision + 1;
  delete from :"schema"._howdah_rules;
  waiting := :"schema"._howdah_apply_rules_v1(array(
    select queue.id from :"schema"._private_job_queues as queue
    where queue._howdah_width is not null or queue._howdah_rules_revision = -1
    order by queue.id
  ));
  if waiting = 0 then
    delete from :"schema"._howdah_lanes;
    delete from :"schema"._howdah_buckets;
    delete from :"schema"._howdah_pools;
  end if;
  return waiting;
end
$$;

-- Adds those of these queues that are not there, and gives them the shape that a
-- stored rule says. Runs with the rights of the schema's owner: who adds jobs may not
-- say how many of them run at once.
--
--   beside an add of the same queue   one waits for the other's end; that one shapes it
--   beside a change of a rule         the snapshot counts; the next sweep sees what it
--                                     has missed
--   no commit                         leaves nothing
create function :"schema"._howdah_add_queues_v1(names text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  added_ids integer[];
begin
  with added as (
    insert into :"schema"._private_job_queues (queue_name)
    select name from unnest(names) as name
    where name is not null
    group by name
    having not exists (select from :"schema"._private_job_queues as queue where queue.queue_name = name)
    order by name collate "C"
    on conflict do nothing
    returning id
  )
  select array_agg(added.id) into added_ids from added;
  if added_ids is not null then
    perform :"schema"._howdah_apply_rules_v1(added_ids, true);
  end if;
end
$$;

revoke execute on function :"schema"._howdah_add_queues_v1 from public;

-- As before, and gives new queues the shape that a stored rule says. What this
-- transaction puts back, because its snapshot is from before a clean-up, the next sweep
-- compares with the rules.
create or replace function :"schema"._howdah_ensure_names_v1(identifiers text[], queue_names text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into :"schema"._private_tasks (identifier)
  select name from unnest(identifiers) as name
  group by name
  having not exists (select from :"schema"._private_tasks as task where task.identifier = name)
  order by name collate "C"
  on conflict do nothing;

  if queue_names is not null then
    :{add_queues_with_rules(queue_names)}
  end if;
  insert into :"schema"._private_job_queues (queue_name)
  select name from unnest(queue_names) as name
  where name is not null
  group by name
  having not exists (select from :"schema"._private_job_queues as queue where queue.queue_name = name)
  order by name collate "C"
  on conflict do nothing;

  -- In repeatable read, a row that this transaction sees may have been cleaned
  -- up since its snapshot. Inserting it once more under its old id does nothing
  -- while it is there, and puts it back when it is gone. In that case the
  -- transaction sees both, which is why every look-up of an id has a limit.
  if current_setting('transaction_isolation') <> 'read committed' then
    insert into :"schema"._private_tasks (id, identifier) overriding system value
    select task.id, task.identifier from :"schema"._private_tasks as task
    where task.identifier = any(identifiers)
    order by task.identifier collate "C"
    on conflict do nothing;

    insert into :"schema"._private_job_queues (id, queue_name) overriding system value
    select queue.id, queue.queue_name from :"schema"._private_job_queues as queue
    where queue.queue_name = any(queue_names)
    order by queue.queue_name collate "C"
    on conflict do nothing;
  end if;
end
$$;

-- As before, and gives a new queue the shape that a stored rule says.
create or replace function :"schema"._howdah_add_job_v1(
  identifier text,
  payload json,
  queue_name text,
  run_at timestamptz,
  max_attempts integer,
  job_key text,
  priority integer,
  flags text[],
  job_key_mode text,
  notify boolean default true,
  timeout_ms integer default null
) returns :"schema"._howdah_job_v1
language plpgsql
set search_path = pg_catalog, pg_temp
:{add_plan()}
as $$
#variable_conflict use_variable
declare
  job :"schema"._howdah_job_v1;
begin
  :{add_one_by_key()}

  -- What _howdah_ensure_names_v1 does, for one name of each kind.
  :{ensure_task(_howdah_add_job_v1.identifier)}
  if queue_name is not null then
    :{add_queues_with_rules(array[queue_name])}
    insert into :"schema"._private_job_queues (queue_name)
    select queue_name
    where not exists (
      select from :"schema"._private_job_queues as queue where queue.queue_name = _howdah_add_job_v1.queue_name
    )
    on conflict do nothing;
  end if;
  if current_setting('transaction_isolation') <> 'read committed' then
    perform :"schema"._howdah_ensure_names_v1(array[identifier], array[queue_name]);
  end if;

  :{store_one_without_key()}
end
$$;

-- Deletes up to batch_size queues that no job uses, no worker holds and that are
-- neither paused nor parked, and returns how many; otherwise like
-- _howdah_clean_up_tasks_v1. One with rules goes only while all tokens are there, for
-- it comes back with all that it may hold; its lanes and buckets go with it.
create or replace function :"schema"._howdah_clean_up_queues_v1(batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set lock_timeout = '1s'
as $$
declare
  unused integer[];
  free integer[];
  deleted integer;
begin
  -- Without a lock first, so that no caller waits when there is nothing to do.
  unused := array(
    select candidate.id from :"schema"._private_job_queues as candidate
    where :{unused_queue_with_rules(candidate)}
    limit batch_size
  );
  if cardinality(unused) = 0 then
    return 0;
  end if;

  lock table :"schema"._private_tasks, :"schema"._private_job_queues in share row exclusive mode;
  -- Claims lock rows before they change them. Waiting for such a row here would be a
  -- deadlock, as the claim then waits for the table.
  free := array(
    select candidate.id from :"schema"._private_job_queues as candidate
    where candidate.id = any(unused) order by candidate.id for update skip locked
  );
  :{keep_free_gates(free, _howdah_buckets, stripe)}
  :{keep_free_gates(free, _howdah_lanes, lane)}
  -- Looked at once more, now that nothing can change.
  with gone as (
    delete from :"schema"._private_job_queues as candidate
    where candidate.id = any(free) and :{unused_queue_with_rules(candidate)}
    returning candidate.id
  ), buckets as (
    delete from :"schema"._howdah_buckets as bucket using gone where bucket.owner_id = gone.id
  ), held_lanes as (
    delete from :"schema"._howdah_lanes as held using gone where held.owner_id = gone.id
  )
  select count(*) into deleted from gone;
  return deleted;
end
$$;
