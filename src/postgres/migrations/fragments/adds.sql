-- What the ways to add a job have in common.

-- Which id has the task with this name? There may be two in repeatable read, see _howdah_ensure_names_v1.
create fragment task_id(identifier) as $$
(select task.id from :"schema"._private_tasks as task where task.identifier = :{identifier} limit 1)
$$;

-- Which id has the queue with this name? There may be two in repeatable read, see _howdah_ensure_names_v1.
create fragment queue_id(queue_name) as $$
(select queue.id from :"schema"._private_job_queues as queue where queue.queue_name = :{queue_name} limit 1)
$$;

-- What does a job have of which nothing was said?
create fragment with_defaults(payload, priority, run_at, max_attempts) as $$
coalesce(:{payload}, '{}'),
coalesce(:{priority}, 0),
coalesce(:{run_at}, now()),
coalesce(:{max_attempts}, 25)
$$;

-- How is a job answered as _howdah_job_v1, but for whether it was changed?
create fragment job_columns(job) as $$
:{job}.id, :{job}.job_queue_id, :{job}.payload, :{job}.priority, :{job}.run_at, :{job}.attempts,
:{job}.max_attempts, :{job}.last_error, :{job}.created_at, :{job}.updated_at, :{job}.key, :{job}.revision,
:{job}.flags, :{job}.locked_at, :{job}.locked_by, :{job}._howdah_timeout_ms
$$;

-- Has a trigger changed something of a new job without a key that the caller takes
-- for known? The arguments of the function say what was given. Queue, time and
-- flags are asked for apart, where they need to be. A new column belongs here.
create fragment differs(stored, identifier) as $$
:{stored}.payload::text <> coalesce(payload, '{}')::text
or :{stored}.priority <> coalesce(priority, 0)
or :{stored}.max_attempts <> coalesce(max_attempts, 25)
or :{stored}.attempts <> 0
or :{stored}.revision <> 0
or :{stored}.key is not null
or :{stored}.last_error is not null
or :{stored}.locked_at is not null
or :{stored}.locked_by is not null
or :{stored}.updated_at <> :{stored}.created_at
or :{stored}._howdah_timeout_ms is distinct from timeout_ms
or :{stored}.task_id is distinct from :{task_id(:{identifier})}
$$;

-- Has the task a row? If not it gets one. What _howdah_ensure_names_v1 does, for one name.
create fragment ensure_task(identifier) as $$
insert into :"schema"._private_tasks (identifier)
select identifier
where not exists (select from :"schema"._private_tasks as task where task.identifier = :{identifier})
on conflict do nothing;
$$;

-- How is one job added that has a key?
create fragment add_one_by_key() as $$
if job_key is not null then
  if job_key_mode not in ('replace', 'preserve_run_at', 'unsafe_dedupe') then
    raise exception using
      errcode = 'GWBKM',
      message = 'Invalid job_key_mode value, expected ''replace'', ''preserve_run_at'' or ''unsafe_dedupe''.';
  end if;
  if job_key_mode = 'unsafe_dedupe' then
    job.id := :"schema"._howdah_touch_keyed_job_v1(job_key);
    job_key_mode := 'replace';
  end if;
  if job.id is null then
    job.id := (:"schema"._howdah_add_job_ids_v1(
      array[identifier], array[payload], array[queue_name], array[run_at], array[max_attempts], array[job_key],
      array[priority], array[:"schema"._howdah_flag_set_v1(flags)], array[job_key_mode], notify, array[timeout_ms]
    ))[1];
  end if;
  select
    :{job_columns(stored)}, true
  into job
  from :"schema"._private_jobs as stored where stored.id = job.id;
  return job;
end if;
$$;

-- How is one job without a key stored, whose task and queue have rows, and announced?
create fragment store_one_without_key() as $$
insert into :"schema"._private_jobs as stored
  (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
values (
  :{task_id(_howdah_add_job_v1.identifier)},
  :{queue_id(_howdah_add_job_v1.queue_name)},
  :{with_defaults(payload, priority, run_at, max_attempts)},
  case when flags is not null then :"schema"._howdah_flag_set_v1(flags) end,
  timeout_ms
)
returning
  :{job_columns(stored)},
  -- The time and the flags are told anyway.
  :{differs(stored, _howdah_add_job_v1.identifier)}
    or stored.job_queue_id is distinct from :{queue_id(_howdah_add_job_v1.queue_name)}
into job;

if notify and job.run_at <= :{soon(clock_timestamp())} then
  perform :"schema"._howdah_notify_v1(
    1, job.run_at, array_remove(array[job.job_queue_id], null),
    case when job.job_queue_id is null then array[job.id] end
  );
end if;
return job;
$$;
