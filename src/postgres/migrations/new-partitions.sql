-- Partitions of the history: made before they are needed, dropped when what they hold
-- has been kept for long enough.

set local search_path = pg_catalog, pg_temp;

-- When the history is looked after next. A row, so that one worker does it at a time.
create table :"schema"._howdah_history_state (
  id boolean not null default true,
  next_at timestamptz not null default timestamptz 'epoch',
  constraint _howdah_history_state_pkey primary key (id),
  constraint _howdah_history_state_id_check check (id)
);
insert into :"schema"._howdah_history_state default values;

-- The time that one partition spans of what is kept for this number of days, which `at`
-- falls into: an hour, a day, a week or a month, in UTC; or the one `ahead` of that.
create function :"schema"._howdah_history_span_v1(
  kept smallint, at timestamptz, ahead integer, out since timestamptz, out until timestamptz
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    (first.since + ahead * first.length) at time zone 'UTC',
    (first.since + (ahead + 1) * first.length) at time zone 'UTC'
  from (
    select date_trunc(unit.name, at at time zone 'UTC') as since, ('1 ' || unit.name)::interval as length
    from (select case kept when 1 then 'hour' when 7 then 'day' when 30 then 'week' else 'month' end as name) as unit
  ) as first
$$;

-- The partitions of what is kept for this number of days, but for the one that takes
-- the rest.
create function :"schema"._howdah_history_partitions_v1(kept smallint)
returns table (name text, since timestamptz, until timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
as $$
  select part.relname::text, (part.bounds)[1]::timestamptz, (part.bounds)[2]::timestamptz
  from (
    select class.relname, regexp_match(
      pg_get_expr(class.relpartbound, class.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)'
    ) as bounds
    from pg_inherits as part
    join pg_class as class on class.oid = part.inhrelid
    where part.inhparent = to_regclass(format('%I.%I', :'schema', '_howdah_history_' || kept))
  ) as part
  where part.bounds is not null
$$;

-- Makes a partition for this time, and moves into it what the one that takes the rest
-- has of it. Where that is more than a transaction may take long for, the partition begins in two
-- minutes. Answers its name; null when it would be over by then.
--
--   concurrently with a release   a partition for later locks nothing that it needs. One for
--                                 the present waits for those that write there, and they for it
--   concurrently with a reader    waits for those that read the rest, and they for it
--   no commit                     nothing was made
--
-- Called with a short lock_timeout.
create function :"schema"._howdah_make_partition_v1(kept smallint, since timestamptz, until timestamptz) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
  parent constant text := format('%I.%I', :'schema', '_howdah_history_' || kept);
  rest constant text := format('%I.%I', :'schema', '_howdah_history_' || kept || '_rest');
  name constant text := format(
    '_howdah_history_%s_%s', kept, to_char(since, case kept when 1 then 'YYYYMMDDHH24' else 'YYYYMMDD' end)
  );
  part constant text := format('%I.%I', :'schema', name);
  most constant integer := 20000;
  begins timestamptz := since;
  found bigint;
begin
  -- A row that is on its way to the rest would be refused there once the partition is attached.
  if since <= now() + interval '1 minute' then
    execute format('lock table %s in share row exclusive mode', parent);
  end if;
  execute format(
    'select count(*) from (select from %s where finished_at >= $1 and finished_at < $2 limit %s) as few', rest, most + 1
  ) into found using begins, until;
  if found > most then
    begins := date_trunc('minute', now()) + interval '2 minutes';
    execute format(
      'select count(*) from (select from %s where finished_at >= $1 and finished_at < $2 limit %s) as few', rest, most + 1
    ) into found using begins, until;
  end if;
  if begins >= until or found > most then
    return null;
  end if;
  execute format('create table %s (like %s)', part, parent);
  if found > 0 then
    execute format(
      'with moved as (delete from %s where finished_at >= $1 and finished_at < $2 returning *) insert into %s select * from moved',
      rest, part
    ) using begins, until;
  end if;
  execute format('alter table %s attach partition %s for values from (%L) to (%L)', parent, part, begins, until);
  return name;
end
$$;

-- Does the next thing that the history needs, and answers what it was; null when there
-- is nothing to do for next_ms: another caller does it, or has done so a moment ago,
-- which does not count `at_once`. In this order:
--
--   dropped    a partition of which everything has been kept for long enough
--   emptied    the same, when a transaction has to do with its neighbours for long
--   deleted    some rows without a partition that have been kept for long enough
--   made       a partition for what tasks keep now, or soon
--
-- Each call is a transaction of its own, so that no lock is held for two of them. Runs
-- with the rights of the schema's owner, because only an owner makes and drops tables.
--
--   concurrently with a release    to drop a partition it waits for 100 ms at most for those
--                                  that keep jobs for the same time, and they for it; a partition
--                                  for later is made without them
--   concurrently with a reader     the same
--   whatever keeps a table locked  it is left for the next call, a minute later
--   concurrently with another call that one does it; this answers at once
--   no commit                      the next call does it
create function :"schema"._howdah_tend_history_v1(
  at_once boolean default false, out done text, out next_ms double precision
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  now_due timestamptz;
  part record;
  span record;
  kept smallint;
  used smallint[];
  made text;
  quantity integer;
  is_used boolean := false;
begin
  next_ms := 60000;
  select state.next_at into now_due from :"schema"._howdah_history_state as state for update skip locked;
  if now_due is null then
    return;
  end if;
  -- A time far in the future is one of before a clock was set back.
  if not at_once and now_due > now() and now_due < now() + interval '1 hour' then
    next_ms := extract(epoch from now_due - now()) * 1000;
    return;
  end if;

  :{drop_old_partition()}
  :{delete_old_rest()}
  :{make_next_partition()}

  if not is_used then
    next_ms := 600000;
  end if;
  update :"schema"._howdah_history_state set next_at = now() + next_ms * interval '1 millisecond';
end
$$;

revoke execute on function :"schema"._howdah_tend_history_v1 from public;
