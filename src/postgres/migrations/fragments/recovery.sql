-- What the functions that recover have in common, and the rules of
-- _howdah_recover_v1. They read and set the variables of the function.

-- May this session sweep now? One of them does at a time.
create fragment try_sweep_lock() as $$
pg_try_advisory_xact_lock(1752135525, hashtext(:'schema'))
$$;

-- Which rows does this trial change: all; then, when that was refused, none, and each by itself?
create fragment rows_of_trial(ids) as $$
case trial when 0 then :{ids} when 1 then '{}' else :{ids}[trial - 1:trial - 1] end
$$;

-- Is it known of each row whether it can be changed? A single one has been tried with the first trial.
create fragment last_trial(ids, state) as $$
trial = 0 and :{state} is null
or trial > 0 and cardinality(:{ids}) = 1
or trial > cardinality(:{ids})
$$;

-- Has a row been kept as it was, without an error? Then it counts as refused.
create fragment refuse_kept_rows() as $$
if kept > 0 or cardinality(written) < cardinality(part) then
  raise exception using errcode = 'HWKPT', message = 'a trigger, rule or policy keeps the row as it is';
end if;
$$;

-- Which columns tell whether a row was unlocked?
create fragment id_and_holder(row) as $$
:{row}.id, :{row}.locked_by
$$;

-- Which of the queues can be unlocked, all at once or one by one?
create fragment try_to_unlock_queues() as $$
part := :{rows_of_trial(queue_ids)};
state := null;
begin
  with updated as (
    update :"schema"._private_job_queues as queues set locked_at = null, locked_by = null
    where queues.id = any(part)
    returning queues.id, queues.locked_by
  )
  select coalesce(array_agg(updated.id), '{}'), count(updated.locked_by) into written, kept from updated;
  :{refuse_kept_rows()}
exception when others or assert_failure then
  get stacked diagnostics state = returned_sqlstate, message = message_text;
  if trial = 1 then
    raise;
  end if;
  if cardinality(part) = 1 then
    id := part[1];
    worker := holders[array_position(queue_ids, id)];
    return next;
  end if;
end;
if state is null then
  freed := freed || written;
end if;
exit when :{last_trial(queue_ids, state)};
trial := trial + 1;
$$;
