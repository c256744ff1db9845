-- Dead letters: a job that tells of another one, which has failed for good.

set local search_path = pg_catalog, pg_temp;

-- Adds a job for each of these jobs, which have just failed for good, whose task names
-- one that gets its dead letters, and notifies workers. Not for one that was cancelled:
-- someone wanted that. Nor where the letter would be of a letter of its own task, as
-- when two workers name each other's tasks: it would go round for ever.
--
--   no commit            neither has the job failed nor is there a letter
--   commit, answer lost  a call that is repeated finds a job that had failed before, for
--                        which this is not called
create function :"schema"._howdah_add_letters_v1(job_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
as $$
declare
  letters record;
begin
  select
    array_agg(task._howdah_dead_letter order by job.id) as identifiers,
    array_agg(:{letter_of(job, task, queue)} order by job.id) as payloads
  into letters
  from :"schema"._private_jobs as job
  join :"schema"._private_tasks as task on task.id = job.task_id
  left join :"schema"._private_job_queues as queue on queue.id = job.job_queue_id
  where job.id = any(job_ids) and job._howdah_cancelled is null
    and task._howdah_dead_letter is not null and task._howdah_dead_letter <> task.identifier
    and not (:{comes_from(job, task._howdah_dead_letter)});
  if letters.identifiers is not null then
    perform :"schema"._howdah_add_job_ids_v1(
      letters.identifiers, letters.payloads, null, null, null, null, null, null, null
    );
  end if;
end
$$;
