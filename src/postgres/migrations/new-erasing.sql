-- Erasing what belongs to keys: the jobs of one person, and everything that was kept of
-- them.

set local search_path = pg_catalog, pg_temp;

-- Erases what there is of these keys: jobs that no worker runs, failed ones too, without
-- a trace in the history; the history of those that ended, up to batch_size of them;
-- failed attempts, lines of logs and progress of both; and what keeps the keys from being
-- added again. Jobs that run are cancelled.
--
-- Answers how many of each were deleted, the ids of those that run, and whether there is
-- more of the history: then it is called again.
--
--   concurrently with adds with these keys   they wait for each other
--   concurrently with a release              waits for it; a job that runs on is told to stop
--   a transaction that holds a job for long  after 300 ms it fails with 55P03, so that adds
--                                            of these keys do not wait behind it for longer
--   no commit                                nothing has happened
--   commit, answer lost                      said again, it finds nothing more, and the counts
--                                            are lost
create function :"schema"._howdah_erase_v1(
  erased_keys text[], batch_size integer,
  out jobs bigint, out history bigint, out attempts bigint, out lines bigint, out running bigint[], out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set lock_timeout = '300ms'
as $$
declare
  gone bigint[];
  awaited bigint[];
  past bigint[];
begin
  perform :"schema"._howdah_lock_keys_v1(erased_keys);
  gone := array(
    select job.id from :"schema"._private_jobs as job
    where job.key = any(erased_keys) and (:{unlocked_or_forgotten(job)})
    order by job.id for update
  );
  with :{deleted_jobs(job, job.id = any(gone), :{ended_columns(job)})}
  select array_agg(deleted.id), array_agg(deleted.id) filter (where deleted._howdah_awaited)
  into gone, awaited from deleted;
  perform :"schema"._howdah_notify_done_v1(awaited);

  running := array(select job.id from :"schema"._private_jobs as job where job.key = any(erased_keys) order by job.id);
  perform from :"schema"._howdah_cancel_jobs_v1(running, 'Erased');
  running := array(select job.id from :"schema"._private_jobs as job where job.id = any(running) order by job.id);

  delete from :"schema"._howdah_recent as recent where recent.key = any(erased_keys);
  with ended as (
    select old.keep, old.finished_at, old.id from :"schema"._howdah_history as old
    where old.key = any(erased_keys) limit batch_size
  ), deleted as (
    delete from :"schema"._howdah_history as old
    using ended
    where old.keep = ended.keep and old.finished_at = ended.finished_at and old.id = ended.id
    returning old.id
  )
  select array_agg(deleted.id) into past from deleted;

  jobs := coalesce(cardinality(gone), 0);
  history := coalesce(cardinality(past), 0);
  more := history >= batch_size;
  gone := gone || past;
  delete from :"schema"._howdah_attempts as attempt where attempt.job_id = any(gone);
  get diagnostics attempts = row_count;
  delete from :"schema"._howdah_job_logs as line where line.job_id = any(gone);
  get diagnostics lines = row_count;
  delete from :"schema"._howdah_progress as progress where progress.job_id = any(gone);
end
$$;
