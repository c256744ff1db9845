-- The parts of _howdah_release_v1, in their order: jobs first, then queues. They
-- read and set the variables of that function, and so do the last two with those of
-- _howdah_release_completed_v1.

-- Which of the completed jobs are deleted, and why are the others not?
create fragment delete_completed() as $$
if cardinality(completed) > 0 then
  :{step_over_locked(completed)}
  with :{deleted_jobs(jobs, jobs.id = any (free) and :{held_by(jobs, worker, times)}, jobs.id)}
  select coalesce(array_agg(deleted.id), '{}') into done from deleted;
  if cardinality(done) < cardinality(completed) then
    return query
    select * from :"schema"._howdah_unreleased_v1(worker, times, completed, done, free, null, registered);
  end if;
end if;
$$;

-- Which of the jobs that are kept are unlocked and changed, and why are the others not? Workers
-- are notified of those that are due again.
create fragment change_kept() as $$
if cardinality(changed) > 0 then
  free := changed;
  :{step_over_locked(changed)}
  with change as materialized (
    select * from unnest(changed, refunds, finals, delays, messages, payloads, interruptions)
      as given(id, refund, final, delay, message, payload, interrupted)
    -- Each id is compared with each, so only when there is a reason.
    where patient or given.id = any (free)
  ), :{updated_jobs(
    jobs, :{released_job()}, from change where jobs.id = change.id and :{held_by(jobs, worker, times)},
    :{released_columns()}
  )}
  select
    coalesce(array_agg(updated.id), '{}') as ids,
    array_agg(updated.run_at) as run_ats,
    array_agg(updated.exhausted) as exhausted,
    count(*) filter (where updated.due) as due_jobs,
    min(updated.run_at) filter (where updated.due) as due_at,
    array_agg(distinct updated.job_queue_id)
      filter (where updated.due and updated.job_queue_id is not null) as due_queues
  into kept
  from updated;
  return query
  select back.id, 'released'::text, case when not back.exhausted then :"schema"._howdah_us(back.run_at) end, null::bigint
  from unnest(kept.ids, kept.run_ats, kept.exhausted) as back(id, run_at, exhausted);
  if cardinality(kept.ids) < cardinality(changed) then
    return query
    select *
    from :"schema"._howdah_unreleased_v1(worker, times, changed, kept.ids, free, transactions, registered);
  end if;
  if kept.due_jobs > 0 then
    perform :"schema"._howdah_notify_v1(kept.due_jobs, kept.due_at, kept.due_queues);
  end if;
end if;
$$;

-- Which of these jobs can be locked at once, for a caller that does not wait?
create fragment step_over_locked(ids) as $$
if not patient then
  free := array(
    select jobs.id from :"schema"._private_jobs as jobs
    where jobs.id = any (:{ids}) and :{held_by(jobs, worker, times)}
    for update skip locked
  );
end if;
$$;

-- Which queues are unlocked because their chain has ended, and which cannot be yet?
create fragment unlock_ended_queues() as $$
if cardinality(end_queues) > 0 then
  :{unlock_queues_of_chains()}
  get diagnostics unlocked = row_count;
  if unlocked < cardinality(end_queues) then
    return query
    select jobs.id, 'busy'::text, null::bigint, null::bigint
    from :"schema"._private_jobs as jobs
    where jobs.id = any (end_lasts) and :{held_by(jobs, worker, times)};
  end if;
end if;
$$;

-- Are the completed jobs deleted, all of them? One that is awaited has to be kept.
create fragment delete_all_completed() as $$
:{counted_deletion(jobs, jobs.id = any (completed) and :{not_awaited(jobs)} and :{held_by(jobs, worker, times)})};
get diagnostics deleted = row_count;
if deleted < cardinality(completed) then
  raise exception 'Not all of the completed jobs could be deleted.' using errcode = 'HWPRT';
end if;
:{delete_all_kept()}
$$;

-- Which of the queues whose chain has ended are unlocked?
create fragment unlock_queues_of_chains() as $$
update :"schema"._private_job_queues as queues
set locked_at = null, locked_by = null
from unnest(end_queues, end_lasts, end_times) as chain_end(queue_id, last, us)
where queues.id = chain_end.queue_id and queues.locked_by = worker
  and queues.locked_at = :"schema"._howdah_at(chain_end.us)
  and not exists (
    select from :"schema"._private_jobs as jobs
    where jobs.id = chain_end.last and :{held_by(jobs, worker, times)}
  );
$$;
