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

-- Which jobs do the dead hold? They are locked in the order of their ids, or one is told that others are at it.
create fragment find_jobs_of_dead() as $$
if not :{try_sweep_lock()} then
  kind := 'busy';
  return next;
  return;
end if;

found_ids := array(
  select jobs.id from :"schema"._private_jobs as jobs
  where jobs.locked_by = any(dead)
    and (oldest is null or jobs.locked_at < oldest)
    and (chosen is null or jobs.id = any(chosen))
    and (skip is null or jobs.id <> all(skip))
  order by jobs.id limit quantity + 1
);
select array_agg(locked.id), array_agg(locked.locked_by) into job_ids, holders
from (
  select jobs.id, jobs.locked_by from :"schema"._private_jobs as jobs
  where jobs.id = any(found_ids[:quantity]) and jobs.locked_by = any(dead)
    and (oldest is null or jobs.locked_at < oldest)
  order by jobs.id for update skip locked
) as locked;
$$;

-- Which of these jobs are unlocked, all at once or one by one, each trial with this beginning?
create fragment recover_in_trials(beginning) as $$
if job_ids is not null then
  perform :"schema"._howdah_ask_deferred_v1(true);
  loop
    part := :{rows_of_trial(job_ids)};
    why_state := null;
    :{beginning}
      with change as (
        select job.id, given.action, given.run_at, given.new_attempts, given.message
        from :"schema"._private_jobs as job
        left join unnest(chosen, actions, run_ats, new_attempts, messages)
          as given(id, action, run_at, new_attempts, message) on given.id = job.id
        where job.id = any(part)
      ), :{updated_jobs(
        jobs, :{recovered_job()}, from change where jobs.id = change.id, :{id_and_holder(jobs)}
      )}
      select coalesce(array_agg(updated.id), '{}'), count(updated.locked_by) into written, kept from updated;
      -- Whatever else such a trigger has changed must not come about either.
      :{refuse_kept_rows()}
    exception when others or query_canceled or assert_failure then
      get stacked diagnostics
        why_state = returned_sqlstate, why = message_text, raised_at = pg_exception_context;
      -- A cancel or a timeout is for the whole call; one that a trigger has raised is like any other error.
      if trial = 1 or (
        why_state = '57014' and quantity > 1 and split_part(coalesce(raised_at, ''), E'\n', 1) !~ '\mRAISE\M'
      ) then
        raise;
      end if;
      if cardinality(part) = 1 then
        refused := refused || part;
        states := states || why_state;
        reasons := reasons || why;
      end if;
    end;
    if why_state is null then
      freed := freed || written;
    end if;
    exit when :{last_trial(job_ids, why_state)};
    trial := trial + 1;
  end loop;
  perform :"schema"._howdah_ask_deferred_v1(false);
end if;
$$;

-- What has become of each job, and is there more to do?
create fragment answer_of_recovery() as $$
return query
select
  'recovered'::text, held.id, held.worker, tasks.identifier, jobs.attempts, jobs._howdah_exhausted,
  null::text, null::text
from unnest(job_ids, holders) as held(id, worker)
left join :"schema"._private_jobs as jobs on jobs.id = held.id
left join :"schema"._private_tasks as tasks on tasks.id = jobs.task_id
where held.id = any(freed);

return query
select
  'refused'::text, given.id, held.worker, tasks.identifier, null::smallint, null::boolean, given.state, given.reason
from unnest(refused, states, reasons) as given(id, state, reason)
join unnest(job_ids, holders) as held(id, worker) on held.id = given.id
left join :"schema"._private_jobs as jobs on jobs.id = given.id
left join :"schema"._private_tasks as tasks on tasks.id = jobs.task_id;

if cardinality(freed) + cardinality(refused) < cardinality(found_ids) then
  kind := 'left';
  return next;
end if;
$$;
