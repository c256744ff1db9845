-- How a job ends: its row leaves the table, or it stays and has failed for good,
-- unlocked and without a further attempt. The first two pieces are the only
-- statements that can bring that about, which a test holds: whatever has to happen
-- at the end of a job is written into them, and into the third, which only removes
-- rows of which nothing else is asked. Then follows what they and the ones that take
-- attempts away write into a row. Those for releases and recoveries read the
-- variables of their functions.

-- Which jobs leave the table?
create fragment deleted_jobs(job, condition, columns) as $$
deleted as (
  delete from :"schema"._private_jobs as :{job}
  where :{condition}
  returning :{columns}
)
$$;

-- Which jobs are unlocked, or get other attempts, and wait now or have failed for good?
create fragment updated_jobs(job, change, condition, columns) as $$
updated as (
  update :"schema"._private_jobs as :{job}
  set
    :{change}
  :{condition}
  returning :{columns}
)
$$;

-- Which jobs leave the table, of those that something else is given for?
create fragment deleted_jobs_of(job, given, condition, columns) as $$
deleted as (
  delete from :"schema"._private_jobs as :{job}
  using :{given}
  where :{condition}
  returning :{columns}
)
$$;

-- Which jobs leave the table, when it is enough to count them?
create fragment counted_deletion(job, condition) as $$
delete from :"schema"._private_jobs as :{job}
where :{condition}
$$;

-- Which jobs give up their key, and every further attempt? One that runs goes on; it ends with its lock.
create fragment detach_jobs(job, condition) as $$
update :"schema"._private_jobs as :{job}
set
  key = null,
  attempts = :{job}.max_attempts,
  updated_at = now(),
  _howdah_detached = :{job}._howdah_detached or :{job}.locked_at is not null
where :{condition}
$$;

-- Which jobs are cancelled while they run? They get no further attempt, and end with their lock.
create fragment cancel_running_jobs(job, condition) as $$
update :"schema"._private_jobs as :{job}
set
  _howdah_cancelled = coalesce(:{job}._howdah_cancelled, reason),
  last_error = coalesce(:{job}._howdah_cancelled, reason),
  attempts = :{no_attempt_left(:{job})},
  updated_at = now(),
  _howdah_detached = true
where :{condition}
$$;

-- How many attempts has a job used that gets no further one? Those that it had are kept.
create fragment no_attempt_left(job) as $$
greatest(:{job}.attempts, :{job}.max_attempts)
$$;

-- What is an unlocked row?
create fragment unlocked_row() as $$
locked_at = null,
locked_by = null
$$;

-- What becomes of a job that is kept?
create fragment released_job() as $$
attempts = case
  when change.final then :{no_attempt_left(jobs)}
  when jobs._howdah_detached or change.interrupted and jobs._howdah_recoveries < 0 then jobs.attempts
  when change.refund then greatest(0, jobs.attempts - 1)
  else jobs.attempts
end,
_howdah_recoveries = case
  when change.interrupted then :{one_more_recovery(jobs)}
  else abs(jobs._howdah_recoveries)
end,
run_at = case
  when change.delay is null then jobs.run_at
  else greatest(now(), jobs.run_at) + change.delay * interval '1 millisecond'
end,
-- Why it was cancelled says more than how its handler took it.
last_error = coalesce(jobs._howdah_cancelled, change.message, jobs.last_error),
payload = coalesce(change.payload::json, jobs.payload),
_howdah_released_at = greatest(jobs._howdah_released_at, jobs.locked_at),
:{unlocked_row()}
$$;

-- What becomes of a job whose worker is dead?
create fragment recovered_job() as $$
attempts = case
  when change.new_attempts is not null and not jobs._howdah_detached then change.new_attempts
  when jobs._howdah_detached or oldest is not null then jobs.attempts
  when change.action = 'reschedule' then greatest(0, jobs.attempts - 1)
  when change.action = 'fail' or jobs._howdah_recoveries < 0 then jobs.attempts
  else greatest(0, jobs.attempts - 1)
end,
run_at = case
  when change.action = 'reschedule' then :"schema"._howdah_at(change.run_at)
  when change.action = 'fail' or jobs._howdah_recoveries < 0
    then greatest(jobs.run_at, now()) + exp(least(jobs.attempts, 10)) * interval '1 second'
  when jobs.job_queue_id is not null or delay_ms = 0 then jobs.run_at
  else greatest(jobs.run_at, now() + delay_ms * (0.5 + random() / 2) * interval '1 millisecond')
end,
last_error = coalesce(
  jobs._howdah_cancelled,
  change.message,
  case
    when jobs._howdah_recoveries < 0 then format(
      'The worker died while it ran this job; %s had died with it before',
      abs(jobs._howdah_recoveries::integer)
    )
    else 'Job recovered after worker interruption'
  end
),
:{unlocked_row()},
updated_at = now(),
_howdah_recoveries = :{one_more_recovery(jobs)}
$$;

-- What becomes of a job that a call of an operator recovers? None is refunded that was removed or replaced
-- while it ran, or whose handler had started although its workers keep dying.
create fragment job_recovered_by_call(job) as $$
attempts = case
  when :{job}._howdah_detached or :{job}._howdah_recoveries < 0 then :{job}.attempts
  else greatest(0, :{job}.attempts - 1)
end,
:{unlocked_row()},
run_at = greatest(:{job}.run_at, now() + recovery_delay),
last_error = coalesce(:{job}._howdah_cancelled, 'Job recovered after worker interruption'),
updated_at = now(),
_howdah_recoveries = :{one_more_recovery(:{job})}
$$;

-- What becomes of a job that is told to have failed for good?
create fragment failed_job(job) as $$
last_error = coalesce(error_message, 'Manually marked as failed'),
attempts = :{job}.max_attempts,
updated_at = now(),
_howdah_detached = :{job}._howdah_detached or :{job}.locked_at is not null
$$;

-- What becomes of a job that is rescheduled? New attempts start it afresh: what happened to it before no
-- longer counts, unless a worker may still be running it.
create fragment rescheduled_job(job) as $$
run_at = coalesce(reschedule_jobs.run_at, :{job}.run_at),
priority = coalesce(reschedule_jobs.priority, :{job}.priority),
attempts = coalesce(reschedule_jobs.attempts, :{job}.attempts),
max_attempts = coalesce(reschedule_jobs.max_attempts, :{job}.max_attempts),
updated_at = now(),
_howdah_detached = :{job}._howdah_detached and (reschedule_jobs.attempts is null or :{job}.locked_at is not null),
_howdah_recoveries = case when reschedule_jobs.attempts is null then :{job}._howdah_recoveries else 0 end,
_howdah_cancelled = case when :{job}.locked_at is not null then :{job}._howdah_cancelled end
$$;

-- What does a release answer of a job that it keeps?
create fragment released_columns() as $$
jobs.id, jobs.run_at, jobs.job_queue_id, jobs._howdah_exhausted as exhausted,
not jobs._howdah_exhausted and jobs.run_at <= :{soon(now())} as due
$$;

-- Which of these jobs, whose rows are locked, are cancelled: deleted while they wait, told to stop while they run?
create fragment cancel_locked_jobs() as $$
return query
with :{deleted_jobs(job, :{waiting_to_cancel()}, job.id)}
select deleted.id, false from deleted order by deleted.id;

:{tell_running_jobs()}
$$;

-- Which of the jobs that are cancelled have not been started, and may be?
create fragment waiting_to_cancel() as $$
job.id = any(job_ids) and job.locked_at is null and job.attempts < job.max_attempts
$$;

-- Which of the jobs that are cancelled run? They are told to stop.
create fragment tell_running_jobs() as $$
with marked as (
  :{cancel_running_jobs(job, job.id = any(job_ids) and job.locked_at is not null)}
  returning job.id, job.locked_by
), numbered as (
  -- A notification holds 8,000 bytes.
  select marked.*, (row_number() over (partition by marked.locked_by order by marked.id) - 1) / 200 as part
  from marked
), told as materialized (
  select pg_notify('howdah:control', json_build_object(
    'schema', :'schema', 'worker', numbered.locked_by, 'cancelled', json_agg(numbered.id::text)
  )::text)
  from numbered
  where length(numbered.locked_by) <= 200
  group by numbered.locked_by, numbered.part
)
select array_agg(marked.id order by marked.id) into running
from marked
-- An outer join would be optimised away, and no worker told.
cross join (select count(*) from told) as all_told;

return query select unnest(running), true;
$$;
