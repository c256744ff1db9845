-- How finished jobs are kept. They read the rows that the statement has deleted, and
-- those for releases the variables of their functions.

-- Which of the deleted jobs are kept, and with what?
create fragment recorded_jobs(state, started_at, result, error) as $$
recorded as (
  insert into :"schema"._howdah_history (
    keep, finished_at, id, task, queue_name, state, attempts, max_attempts, priority, created_at, run_at, started_at,
    worker, key, payload, result, error
  )
  select
    coalesce(task._howdah_keep, 1), statement_timestamp(), ended.id, task.identifier, queue.queue_name, :{state},
    ended.attempts, ended.max_attempts, ended.priority, ended.created_at, ended.run_at, :{started_at},
    ended.locked_by, ended.key, case when task._howdah_keep_payload then ended.payload end, :{result}, :{error}
  from deleted as ended
  join :"schema"._private_tasks as task on task.id = ended.task_id
  left join :"schema"._private_job_queues as queue on queue.id = ended.job_queue_id
  where task._howdah_keep is not null or ended._howdah_awaited
)
$$;

-- When did an attempt begin, by a worker that reckons a little late?
create fragment start_of(us) as $$
case when :{us} is not null then least(:"schema"._howdah_at(:{us}), statement_timestamp()) end
$$;

-- Which result is stored of a job that has this one?
create fragment result_to_keep(result) as $$
case when task._howdah_keep_result or ended._howdah_awaited then :{result}::json end
$$;

-- Does no client wait for the end of the job?
create fragment not_awaited(job) as $$
:{job}._howdah_awaited is not true
$$;

-- Which completed jobs does a release keep, by their ids, and what of each?
create fragment kept_by_release() as $$
unnest(kept_ids, kept_results, kept_errors, kept_starts) as given(id, result, error, started_us)
$$;

-- What of a job is written into history, or says whether it is?
create fragment ended_columns(job) as $$
:{job}.id, :{job}.task_id, :{job}.job_queue_id, :{job}.payload, :{job}.priority, :{job}.run_at, :{job}.attempts,
:{job}.max_attempts, :{job}.last_error, :{job}.created_at, :{job}.key, :{job}.locked_by, :{job}._howdah_awaited,
:{job}._howdah_cancelled
$$;

-- What is written besides of a job that its release keeps?
create fragment kept_columns() as $$
:{ended_columns(jobs)}, given.result, given.error, given.started_us
$$;

-- Which jobs are completed and kept by a release?
create fragment delete_and_record(condition) as $$
:{deleted_jobs_of(
  jobs, :{kept_by_release()}, jobs.id = given.id and :{condition} and :{held_by(jobs, worker, times)}, :{kept_columns()}
)}, :{recorded_jobs(
  'c', :{start_of(ended.started_us)}, :{result_to_keep(ended.result)}, ended.error
)}
$$;

-- Which of the completed jobs that keep nothing are deleted, and why are the others not? One that has come to be
-- awaited stays: its worker is asked for its result.
create fragment delete_unkept() as $$
if cardinality(completed) > 0 then
  :{step_over_locked(completed)}
  with :{deleted_jobs(
    jobs, jobs.id = any (free) and :{not_awaited(jobs)} and :{held_by(jobs, worker, times)}, jobs.id
  )}
  select coalesce(array_agg(deleted.id), '{}') into done from deleted;
  if cardinality(done) < cardinality(completed) then
    return query
    select left_over.id, case
      when left_over.status = 'kept' and exists (
        select from :"schema"._private_jobs as jobs where jobs.id = left_over.id and jobs._howdah_awaited
      ) then 'awaited'
      else left_over.status
    end, left_over.run_at, left_over.released_at
    from :"schema"._howdah_unreleased_v1(worker, times, completed, done, free, null, registered) as left_over;
  end if;
end if;
$$;

-- Which of the completed jobs that are kept become history, and why do the others not?
create fragment delete_kept() as $$
if cardinality(kept_ids) > 0 then
  free := kept_ids;
  :{step_over_locked(kept_ids)}
  -- Each id is compared with each, so only when there is a reason.
  with :{delete_and_record((patient or given.id = any (free)))}
  select coalesce(array_agg(deleted.id), '{}'), array_agg(deleted.id) filter (where deleted._howdah_awaited)
  into done, awaited
  from deleted;
  if awaited is not null then
    perform :"schema"._howdah_notify_done_v1(awaited);
  end if;
  if cardinality(done) < cardinality(kept_ids) then
    return query
    select * from :"schema"._howdah_unreleased_v1(worker, times, kept_ids, done, free, null, registered);
  end if;
end if;
$$;

-- Do all of the completed jobs that are kept become history?
create fragment delete_all_kept() as $$
if cardinality(kept_ids) > 0 then
  with :{delete_and_record(true)}
  select count(*), array_agg(deleted.id) filter (where deleted._howdah_awaited) into deleted, awaited from deleted;
  if deleted < cardinality(kept_ids) then
    raise exception 'Not all of the completed jobs could be kept.' using errcode = 'HWPRT';
  end if;
  if awaited is not null then
    perform :"schema"._howdah_notify_done_v1(awaited);
  end if;
end if;
$$;

-- Which of the changed jobs had a failed attempt, and which have failed for good?
create fragment record_failures() as $$
if cardinality(changed) > 0 then
  if attempt_numbers is not null then
    insert into :"schema"._howdah_attempts (job_id, at, attempt, worker, started_at, error, stack)
    select
      given.id, statement_timestamp(), given.attempt, worker, :{start_of(given.started_us)},
      left(given.message, 8192), left(given.stack, 16384)
    from unnest(changed, attempt_numbers, attempt_starts, messages, stacks)
      as given(id, attempt, started_us, message, stack)
    where given.attempt is not null
      and (cardinality(kept.ids) = cardinality(changed) or given.id = any (kept.ids))
    on conflict do nothing;
  end if;
  if true = any (kept.exhausted) then
    perform :"schema"._howdah_failed_for_good_v1(array(
      select back.id from unnest(kept.ids, kept.exhausted) as back(id, exhausted) where back.exhausted
    ));
  end if;
end if;
$$;

-- Which of these jobs, whose rows are locked, leave the table by a call, and what of them is kept? Those who wait are told.
create fragment end_jobs_by_call(columns, state, error) as $$
with :{deleted_jobs(job, job.id = any(job_ids), :{columns})}, :{recorded_jobs(:{state}, null, null, :{error})}, told as materialized (
  select :"schema"._howdah_notify_done_v1(array_agg(ended.id)) from deleted as ended where ended._howdah_awaited
)
$$;

-- Are all told who wait for the deleted jobs? An outer join would be optimised away.
create fragment after_all_told() as $$
cross join (select count(*) from told) as all_told
$$;

-- Which of these jobs have failed for good, and what follows?
create fragment tell_of_failed(ids) as $$
if exists (
  select from :"schema"._private_jobs as job where job.id = any(:{ids}) and job._howdah_exhausted
) then
  perform :"schema"._howdah_failed_for_good_v1(array(
    select job.id from :"schema"._private_jobs as job where job.id = any(:{ids}) and job._howdah_exhausted
  ));
end if;
$$;

-- Which of these jobs are cancelled, as by cancel_locked_jobs, and what of those that wait is kept?
create fragment cancel_and_record_jobs() as $$
return query
with :{deleted_jobs(job, :{waiting_to_cancel()}, :{ended_columns(job)})}, :{recorded_jobs('x', null, null, reason)}, told as materialized (
  select :"schema"._howdah_notify_done_v1(array_agg(ended.id)) from deleted as ended where ended._howdah_awaited
)
select deleted.id, false from deleted :{after_all_told()} order by deleted.id;

:{tell_running_jobs()}
$$;

-- Which of the attempts of dead workers count? Those of a job whose handler is known to have been called.
create fragment record_deaths() as $$

:{record_counted_attempts(
  left join unnest(chosen, actions, messages) as given(id, action, message) on given.id = jobs.id,
  jobs.id = any(part) and (
    jobs._howdah_detached or oldest is not null or given.action = 'fail' or jobs._howdah_recoveries < 0
  ),
  coalesce(given.message, 'The worker died while it ran this job')
)}
$$;

-- Which of the attempts of the workers that a call declares dead count?
create fragment record_deaths_by_call() as $$
:{record_counted_attempts(
  , jobs.id = any(job_ids) and (jobs._howdah_detached or jobs._howdah_recoveries < 0),
  'The worker died while it ran this job'
)}
$$;

-- Which attempts, that are not given back, are recorded with their jobs?
create fragment record_counted_attempts(given, condition, message) as $$
insert into :"schema"._howdah_attempts (job_id, at, attempt, worker, error)
select
  jobs.id, statement_timestamp(), jobs.attempts, jobs.locked_by, :{message}
from :"schema"._private_jobs as jobs :{given}
where :{condition}
on conflict do nothing;
$$;
