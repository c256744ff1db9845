-- What the functions that recover have in common, and the rules of
-- _howdah_recover_v1. They read and set the variables of the function.

-- May this session sweep now? One of them does at a time.
create fragment try_sweep_lock() as $$
pg_try_advisory_xact_lock(1752135525, hashtext(:'schema'))
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
locked_at = null,
locked_by = null,
updated_at = now(),
_howdah_recoveries = :{one_more_recovery(jobs)}
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
