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
