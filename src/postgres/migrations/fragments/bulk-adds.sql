-- Parts of the functions behind bulk adds, which read their variables.

-- How are all jobs of the arrays inserted, in their order?
create fragment insert_of_arrays() as $$
-- Rows of these functions come in their order, one by one, and are inserted so:
-- nothing is collected or sorted first. Nothing here may be distinct or ordered.
with added as (
  insert into :"schema"._private_jobs as job
    (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
  select
    case
      -- Most jobs that come together are of one task, which is looked up once.
      when cardinality(identifiers) = 1 then :{task_id(identifiers[1])}
      else :{task_id(spec.identifier)}
    end,
    case when spec.queue_name is not null then :{queue_id(spec.queue_name)} end,
    :{with_defaults(spec.payload, spec.priority, spec.run_at, spec.max_attempts)},
    spec.flags,
    spec.timeout
  from (
    select
      unnest(identifiers) as identifier,
      unnest(payloads) as payload,
      unnest(queue_names) as queue_name,
      unnest(run_ats) as run_at,
      unnest(max_attempts) as max_attempts,
      unnest(priorities) as priority,
      unnest(flag_sets) as flags,
      unnest(timeouts) as timeout
  ) as spec
  returning job.id, job.job_queue_id, job.run_at, job.created_at, job.flags
)
select
  array_agg(added.id),
  :"schema"._howdah_us(min(added.created_at)),
  array_agg(:"schema"._howdah_us(added.run_at)) filter (where with_times),
  json_agg(added.flags) filter (where with_flags),
  count(*) filter (where added.run_at <= soon),
  :"schema"._howdah_us(min(added.run_at)),
  array_agg(added.job_queue_id) filter (where added.job_queue_id is not null and added.run_at <= soon)
into ids, created_at, run_times, stored_flags, due_count, due_at, due_queue_ids
from added
$$;

-- What is said when a trigger has kept one of the jobs from being stored, or removed it?
create fragment refuse_dropped_jobs() as $$
if patience_ms is not null then
  raise exception using
    errcode = 'HWALN',
    message = 'A trigger has kept one of the jobs from being stored: each has to be added alone';
end if;
if cardinality(ids) = cardinality(payloads) then
  perform :"schema"._howdah_stored_jobs_v1(ids, payloads);
end if;
raise exception using
  errcode = 'HWDRP',
  message = :"schema"._howdah_dropped_v1(:"schema"._howdah_dropped_places_v1(
    identifiers, payloads, queue_names, run_ats, max_attempts, priorities, flag_sets, timeouts
  ));
$$;

-- How do workers hear of those that are due?
create fragment notify_of_due() as $$
if notify and due_count > 0 then
  perform :"schema"._howdah_notify_v1(
    due_count, :"schema"._howdah_at(due_at), array(select distinct id from unnest(due_queue_ids) as id)
  );
end if;
$$;
