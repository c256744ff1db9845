-- Waiting for the ends of jobs, and for what their handlers have returned.

set local search_path = pg_catalog, pg_temp;

-- Notes of jobs that their ends are awaited: what releases them keeps their results, and
-- notifies the clients that wait. Of these jobs all, or those for which `which` is true.
-- Answers the ids as they were given.
--
-- Runs with the rights of the schema's owner, so that who may add a job may also wait
-- for it. It changes nothing else of any job.
--
--   beside a claim or a release of such a job, or a user's transaction that has locked
--   it: steps over the row; the next call finds it, or that it has ended
create function :"schema"._howdah_mark_awaited_v1(job_ids bigint[], which boolean[] default null) returns bigint[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
begin
  update :"schema"._private_jobs as job
  set _howdah_awaited = true
  where job.id = any (array(
    select found.id from :"schema"._private_jobs as found
    where found.id = any (array(
      select given.id from unnest(job_ids, which) as given(id, chosen) where which is null or given.chosen
    )) and :{not_awaited(found)}
    order by found.id
    for no key update skip locked
  ));
  return job_ids;
end
$$;
revoke execute on function :"schema"._howdah_mark_awaited_v1 from public;

-- Notes that these jobs are awaited, and answers what became of those that have ended:
-- c completed, f failed for good, x cancelled, r removed, u unknown: there is no such
-- job, and nothing is kept of it. A job that has not ended has no row. `error` says why
-- it failed or was cancelled, or why the result of a completed job is missing.
--
-- Jobs are looked up before history: a job that ends meanwhile is in one of both.
create function :"schema"._howdah_await_v1(job_ids bigint[])
returns table (id bigint, state "char", result text, error text, task text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
#variable_conflict use_column
declare
  gone bigint[];
begin
  perform :"schema"._howdah_mark_awaited_v1(job_ids);
  gone := :"schema"._howdah_gone_jobs_v1(job_ids);
  return query
  select
    job.id, (case when job._howdah_cancelled is null then 'f' else 'x' end)::"char", null::text, job.last_error,
    task.identifier
  from :"schema"._private_jobs as job
  left join :"schema"._private_tasks as task on task.id = job.task_id
  where job.id = any (job_ids) and job._howdah_exhausted;
  if cardinality(gone) > 0 then
    return query
    select
      given.id, coalesce(ended.state, 'u'), ended.result::text, ended.error, ended.task
    from unnest(gone) as given(id)
    left join lateral (
      select history.state, history.result, history.error, history.task
      from :"schema"._howdah_history as history
      where history.id = given.id
      order by history.finished_at desc limit 1
    ) as ended on true;
  end if;
end
$$;
