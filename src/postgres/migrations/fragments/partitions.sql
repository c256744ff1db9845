-- What the history needs, one after another. They read and set the variables of
-- _howdah_tend_history_v1, and return from it when they have done something.

-- For how many days can history be kept?
create fragment kept_days() as $$
unnest('{1,7,30,365}'::smallint[]) as days(kept)
$$;

-- Is there a partition of which everything has been kept for long enough? The table is dropped, or only its rows
-- when others use its neighbours for long.
create fragment drop_old_partition() as $$
select old.name into part
from :{kept_days()}
cross join lateral :"schema"._howdah_history_partitions_v1(days.kept) as old
where old.until <= now() - days.kept * interval '1 day'
order by old.until
limit 1;
if found then
  begin
    execute format('drop table %I.%I', :'schema', part.name);
    done := 'dropped ' || part.name;
    next_ms := 0;
    return;
  exception when lock_not_available or dependent_objects_still_exist then
    is_used := true;
  end;
  if pg_relation_size(format('%I.%I', :'schema', part.name)) > 0 then
    begin
      execute format('truncate only %I.%I', :'schema', part.name);
      done := 'emptied ' || part.name;
      next_ms := 0;
      return;
    exception when lock_not_available then
      null;
    end;
  end if;
end if;
$$;

-- Which rows without a partition have been kept for long enough?
create fragment delete_old_rest() as $$
for kept in select days.kept from :{kept_days()} loop
  execute format(
    'delete from %1$I.%2$I where ctid = any(array('
    'select old.ctid from %1$I.%2$I as old where old.keep = $1 and old.finished_at < $2 '
    'order by old.finished_at limit 5000 for update skip locked))',
    :'schema', '_howdah_history_' || kept || '_rest'
  ) using kept, now() - kept * interval '1 day';
  get diagnostics quantity = row_count;
  if quantity > 0 then
    done := format('deleted %s', quantity);
    next_ms := 0;
    return;
  end if;
end loop;
$$;

-- Which partition is the first one that will be needed soon, for what tasks keep or is there?
create fragment make_next_partition() as $$
used := array(
  select days.kept from :{kept_days()}
  where exists (select from :"schema"._private_tasks as task where task._howdah_keep = days.kept)
    or exists (select from :"schema"._howdah_history as old where old.keep = days.kept)
);
is_used := is_used or cardinality(used) > 0;
for ahead in 0..4 loop
  foreach kept in array used loop
    continue when ahead > case kept when 1 then 4 when 7 then 2 else 1 end;
    select * into span from :"schema"._howdah_history_span_v1(kept, now(), ahead);
    continue when exists (
      select from :"schema"._howdah_history_partitions_v1(kept) as made where made.until = span.until
    );
    begin
      made := :"schema"._howdah_make_partition_v1(kept, span.since, span.until);
      if made is not null then
        done := 'made ' || made;
        next_ms := 0;
        return;
      end if;
    -- A table of that name is a partition that an operator has detached: what belongs there goes to the rest.
    exception when lock_not_available or insufficient_privilege or duplicate_table then
      null;
    end;
  end loop;
end loop;
$$;
