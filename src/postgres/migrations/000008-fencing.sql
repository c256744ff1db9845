-- What a worker does about the locks it holds while their jobs run: marks a job
-- that may kill it, renews what it has held for long, and looks what is still
-- its own. All of it touches only rows that are locked by this worker at one of
-- the times it knows of, and never waits.

set local search_path = pg_catalog, pg_temp;

-- Marks a job before its handler is called: if the worker dies now, the attempt
-- counts. Answers whether the job still is this worker's.
--
--   another worker      cannot: the fence
--   a user's call       waits 100 ms for it, then fails with 55P03, and the
--                       worker asks again
--   no commit           the worker asks again
--   commit, answer lost the worker asks again: a mark stays a mark
--   the row is gone     false, and the handler is not called
create function :"schema"._howdah_mark_v1(worker text, job_id bigint, claim_times bigint[]) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
:{index_scans()}
as $$
begin
  update :"schema"._private_jobs as job
  set _howdah_recoveries = -abs(job._howdah_recoveries)
  where job.id = job_id and :{held_by(job, worker, :{times_of(claim_times)})};
  return found;
end
$$;

-- Those of these jobs that are not, or no longer, locked by the worker of the
-- same place in `workers` at one of these times. Changes nothing.
create function :"schema"._howdah_lost_v1(job_ids bigint[], workers text[], claim_times bigint[])
returns table (id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{nested_loops()}
as $$
declare
  times constant timestamptz[] := :{times_of(claim_times)};
begin
  return query
  select held.id from unnest(job_ids, workers) as held(id, worker)
  where not exists (
    select from :"schema"._private_jobs as job
    where job.id = held.id and :{held_by(job, held.worker, times)}
  );
end
$$;

-- Locks these jobs and queues anew, as of `renewed`, which the worker already
-- counts among its times: a release that comes before this, after it or instead
-- of it is written all the same. Other implementations take a lock for forgotten
-- after four hours.
--
--   another worker      cannot: the fence
--   a user's call       rows that it has locked are stepped over; the next
--                       renewal finds them
--   no commit           nothing is renewed; the next one does it
--   commit, answer lost both times count
--   the row is gone     nothing happens
--
-- Jobs first, then queues, each in the order of their ids, as everywhere.
create function :"schema"._howdah_renew_v1(
  worker text, job_ids bigint[], queue_ids integer[], claim_times bigint[], renewed bigint
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{nested_loops()}
as $$
declare
  times constant timestamptz[] := :{times_of(claim_times)};
begin
  update :"schema"._private_jobs as job
  set locked_at = :"schema"._howdah_at(renewed)
  where job.id = any (array(
    select own.id from :"schema"._private_jobs as own
    where own.id = any (job_ids) and :{held_by(own, worker, times)}
    order by own.id for update skip locked
  ));
  update :"schema"._private_job_queues as queue
  set locked_at = :"schema"._howdah_at(renewed)
  where queue.id = any (array(
    select own.id from :"schema"._private_job_queues as own
    where own.id = any (queue_ids) and :{held_by(own, worker, times)}
    order by own.id for update skip locked
  ));
end
$$;
