-- Two roles with just the rights they need, for a schema called howdah.
-- Run it as the owner of the schema, after `howdah migrate` and again after
-- every upgrade; it may be repeated. docs/guides/database-roles.md explains it.

do $$
begin
  if to_regrole('howdah_producer') is null then
    create role howdah_producer nologin;
  end if;
  if to_regrole('howdah_worker') is null then
    create role howdah_worker nologin;
  end if;
end
$$;

grant usage on schema howdah to howdah_producer, howdah_worker;

-- Both may see which release the schema belongs to, all jobs, and what keeps them from running: pauses, and what
-- workers say of themselves, which has no payloads.
grant select on howdah._howdah_migrations, howdah.migrations to howdah_producer, howdah_worker;
grant select on
  howdah.jobs, howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks, howdah._private_workers,
  howdah._howdah_paused_tasks
  to howdah_producer, howdah_worker;

-- Both may see the rules of queues, and what of them is in use: a queue that is named for the first time gets the
-- shape that they say, by a function that runs with the rights of the owner.
grant select on
  howdah._howdah_rules, howdah._howdah_rules_state, howdah._howdah_pools, howdah._howdah_lanes, howdah._howdah_buckets
  to howdah_producer, howdah_worker;
grant execute on function howdah._howdah_add_queues_v1 to howdah_producer, howdah_worker;

-- Both may see what finished jobs were, and failed attempts.
grant select on howdah._howdah_history, howdah._howdah_attempts to howdah_producer, howdah_worker;

-- A producer adds jobs. It changes waiting ones only by adding with their keys, through functions that run with the
-- rights of the owner: it has no right to update, lock or delete a job.
revoke update on howdah._private_jobs from howdah_producer;
grant insert (id, identifier) on howdah._private_tasks to howdah_producer;
grant insert (id, queue_name) on howdah._private_job_queues to howdah_producer;
grant insert (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
  on howdah._private_jobs to howdah_producer;
grant execute on function
  howdah._howdah_add_keyed_jobs_v1, howdah._howdah_touch_keyed_job_v1, howdah._howdah_add_unique_jobs_v1,
  howdah._howdah_mark_awaited_v1
  to howdah_producer, howdah_worker;

-- A worker adds jobs too, claims and releases them, keeps its registration and
-- recovers what dead workers held.
grant insert (id, identifier),
  update (_howdah_keep, _howdah_keep_payload, _howdah_keep_result, _howdah_dead_letter)
  on howdah._private_tasks to howdah_worker;
grant insert (id, queue_name),
  update (
    locked_at, locked_by, _howdah_paused_until, _howdah_parked_until, _howdah_width, _howdah_share, _howdah_pool_id,
    _howdah_rules_revision
  )
  on howdah._private_job_queues to howdah_worker;
grant insert, update, delete on howdah._private_jobs to howdah_worker;
grant select, insert, update, delete on howdah._private_workers to howdah_worker;
grant select, update on howdah._howdah_sweeper to howdah_worker;
grant select, insert, update on howdah._private_known_crontabs to howdah_worker;

-- Workers read the pauses of tasks, and may pause and resume tasks and queues.
grant select, insert, update, delete on howdah._howdah_paused_tasks to howdah_worker;

-- Workers take lanes and tokens, declare rules, and give queues the shape that these say.
grant insert, update, delete on howdah._howdah_rules, howdah._howdah_pools, howdah._howdah_lanes, howdah._howdah_buckets
  to howdah_worker;
grant update on howdah._howdah_rules_state to howdah_worker;

-- Jobs that end become history, and failed attempts are recorded.
grant insert, update, delete on howdah._howdah_history, howdah._howdah_attempts to howdah_worker;

-- Partitions of the history are made and dropped by a function that runs with the rights of the owner: a worker may
-- neither create nor drop tables.
grant execute on function howdah._howdah_tend_history_v1 to howdah_worker;

-- Bulk changes of jobs by a filter are stored with how far they came.
grant select, insert, update, delete on howdah._howdah_operations to howdah_worker;

-- Keys that are kept for longer than their jobs: a caller that cancels or removes a job lets its key be added again.
grant select, insert, update, delete on howdah._howdah_recent to howdah_worker;

-- What people change through the admin API is recorded.
grant select, insert, update, delete on howdah._howdah_audit to howdah_worker;

-- Both may see how far jobs are and what their handlers have logged; workers write it.
grant select on howdah._howdah_progress, howdah._howdah_job_logs to howdah_producer;
grant select, insert, update, delete on howdah._howdah_progress, howdah._howdah_job_logs to howdah_worker;
grant select, update on howdah._howdah_notes_sweep to howdah_worker;

-- Both may see how the jobs did over time; workers count it.
grant select on howdah._howdah_samples, howdah._howdah_task_samples to howdah_producer;
grant select, insert, update, delete on howdah._howdah_samples, howdah._howdah_task_samples to howdah_worker;

-- Workers add the jobs of stored schedules, and may change them. Producers that manage schedules need the same
-- right.
grant select, insert, update, delete on howdah._howdah_schedules to howdah_worker;
