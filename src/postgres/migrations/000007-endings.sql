-- How jobs end: released by their worker, completed within a transaction, or ended
-- by a call. The statements that do it are pieces of fragments/endings.sql, which
-- recoveries use, too: a job that is unlocked without a further attempt has failed
-- for good.

set local search_path = pg_catalog, pg_temp;

-- Why these ids were not released: busy, kept, lost, taken or gone. Those of
-- `free` were not locked by anybody, or were waited for. `transactions`, parallel
-- to `ids`, or null: the one in which the handler has completed the job. One that
-- this server has not begun yet was lost with the server before it, and
-- pg_xact_status raises an error for it. A worker that is `registered` and has no
-- row has been swept.
create function :"schema"._howdah_unreleased_v1(
  worker text, times timestamptz[], ids bigint[], released bigint[], free bigint[], transactions xid8[],
  registered boolean
)
returns table (id bigint, status text, run_at bigint, released_at bigint)
language sql stable
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{nested_loops()}
as $$
  select
    asked.id,
    case
      when jobs.id is not null then
        case
          when jobs.locked_by is distinct from $1 or jobs.locked_at <> all ($2) then 'lost'
          when asked.id = any ($5) then 'kept'
          else 'busy'
        end
      when case
        when asked.within < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status(asked.within) = 'committed'
      end then 'done'
      when asked.within is not null or coalesce(
        (
          select holder._howdah_swept > 0
            or holder._howdah_unlocked_at >= (select min(given.at) from unnest($2) as given(at))
          from :"schema"._private_workers as holder where holder.id = $1
        ), $7 and not exists (select from :"schema"._private_workers as holder where holder.id = $1)
      ) then 'taken'
      else 'gone'
    end,
    case when not jobs._howdah_exhausted then :"schema"._howdah_us(jobs.run_at) end,
    :"schema"._howdah_us(jobs._howdah_released_at)
  from unnest($3, $6) as asked(id, within)
  left join :"schema"._private_jobs as jobs on jobs.id = asked.id
  where asked.id <> all ($4)
$$;

-- Ends claims: deletes completed jobs, changes the others, unlocks queues.
--
--   worker, claim_times   the fence: only rows locked by this worker at one of
--                         these times (microseconds) are touched, so the call
--                         may be repeated after a lost answer
--   completed             ids to delete
--   changed               ids to unlock and keep, with, in parallel:
--   refunds               give the attempt back (never to a detached job)
--   finals                use up all attempts
--   delays                milliseconds from max(now, run_at) to the new run_at;
--                         null keeps run_at
--   messages, payloads    new last_error and payload; null keeps them
--   end_queues, end_lasts, end_times
--                         queues whose chain ends here, the last open member of
--                         each, and the claim time of its lock. A queue is
--                         unlocked only when that member is no longer ours
--   patient               wait for locked rows, at most lock_timeout; false:
--                         step over them, they come back as busy
--   interruptions         parallel to changed, or null: the handler was called
--                         and did not get to the end, which counts as a recovery
--                         does: once the job is marked nothing is refunded
--   transactions          parallel to changed, or null: the one in which the
--                         handler has completed the job, which has been rolled
--                         back if the row is still there
--   registered            the worker has registered, and is swept if it is no
--                         longer
--
-- A job that is kept loses its mark (a negative number of recoveries): its
-- worker has outlived it.
--
-- Answers one row for each changed job (released, with its new run_at, which is
-- null when it has no attempt left) and for each id that was not released:
--
--   busy    locked by another transaction
--   kept    ours and unchanged, though nothing locks it: a trigger, rule or policy
--           of the user's lets it neither go nor change
--   lost    is not ours any more, locked by others or not; with run_at, and with the
--           newest claim that a release has ended (released_at). A release sets
--           that to its own claim and nothing ever sets it back, so one that is
--           repeated knows: it was carried out if it finds its own claim there; it
--           was not if it finds an older one, or none
--   done    no such row: the handler's transaction has committed
--   taken   no such row, and others may have removed it: the worker was swept or
--           unlocked since, or the handler's transaction has not committed
--   gone    no such row
--
-- A queue that is still locked because its last member is still ours answers with
-- that member, busy.
--
-- Beside a claim: never touches a row that is not ours. Beside a user's keyed
-- add or remove of a running job: waits 100 ms, then fails with 55P03, and the
-- caller repeats it with patient false. Jobs first, then queues, as everywhere.
create function :"schema"._howdah_release_v1(
  worker text, claim_times bigint[], completed bigint[],
  changed bigint[], refunds boolean[], finals boolean[], delays bigint[], messages text[], payloads text[],
  end_queues integer[], end_lasts bigint[], end_times bigint[], patient boolean,
  interruptions boolean[] default null, transactions xid8[] default null, registered boolean default false
)
returns table (id bigint, status text, run_at bigint, released_at bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
:{pinned_plan()}
as $$
#variable_conflict use_column
declare
  times constant timestamptz[] := :{times_of(claim_times)};
  free bigint[] := completed;
  done bigint[];
  unlocked integer;
  kept record;
begin
  :{delete_completed()}
  :{change_kept()}
  :{unlock_ended_queues()}
end
$$;

-- Completes a running job as part of the caller's own transaction: the job is
-- gone if and when that commits.
--
--   job, worker, claim_times   the fence, as in a release: the claim has to be
--                              this worker's still, of one of these times
--   within                     the transaction, as a statement before this one
--                              has read it
--   earlier                    the transaction of an earlier call for the same
--                              claim, or null. Asked again in the same one it
--                              does nothing; after a rollback to a savepoint it
--                              completes the job once more
--
-- Raises HWLST when the claim is not this worker's any more, or the job has been
-- completed by another transaction. It is raised and not returned, because the
-- transaction must not commit what was done for a job that runs elsewhere.
-- Raises 25P01 when the statement before belonged to another transaction: then
-- none has begun, and the job would be gone before the caller has committed
-- anything.
--
-- The queue stays locked. Its row would be held until the caller commits, and a
-- queue that is free while its handler goes on could run two jobs at once. The
-- worker unlocks it as ever, when the handler has ended.
--
--   another worker           cannot: the fence. A claim and a sweep step over
--                            the row while the transaction is open
--   this worker's release    comes when the handler has ended, steps over the
--                            row while the transaction is open, then finds it
--                            gone, or still its own
--   a user's call            waits for the transaction, or this waits for it,
--                            as long as the caller's lock_timeout allows
--   no commit                the connection ended, or the process: the row is as
--                            it was, and the worker or a sweep releases it
--   commit, answer lost      the row is gone, which is what the worker looks at
--   the row is gone          HWLST
create function :"schema"._howdah_complete_v1(job bigint, worker text, claim_times bigint[], within xid8, earlier xid8)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{index_scans()}
set jit = off
as $$
declare
  completed bigint;
begin
  if within is distinct from pg_current_xact_id() then
    raise exception 'A job is completed within a transaction, and none has begun.' using errcode = '25P01';
  end if;
  with :{deleted_jobs(jobs, jobs.id = job and :{held_by(jobs, worker, :{times_of(claim_times)})}, jobs.id)}
  select deleted.id into completed from deleted;
  -- What this transaction has deleted it does not see: a row that is there belongs to others.
  if not found and (
    earlier is distinct from within
    or exists (select from :"schema"._private_jobs as jobs where jobs.id = job)
  ) then
    raise exception 'Job % does not belong to worker % any more.', job, worker using errcode = 'HWLST';
  end if;
end
$$;

-- Cancels jobs. One that waits is deleted. One that is locked is marked with the
-- reason, loses its further attempts, and its worker is told to stop it;
-- whatever ends its lock, it does not run again. Jobs that have failed for good
-- are left alone. Answers one row for each job that was cancelled.
--
--   a claim at the same moment    either has the row locked, and this waits for
--                                 its end and then marks the job; or finds the
--                                 row locked and steps over it
--   a release at the same moment  the first lock of the row counts: a completed job
--                                 is gone and not answered, one that goes back
--                                 waits and is deleted, one marked before stays
--                                 as failed with the reason
--   a keyed add                   waits for this, then finds no job or one that
--                                 gives up its key
--   no commit                     nothing has happened, no worker is told
--   commit, answer lost           said again, it answers the running ones once
--                                 more and tells their workers again
create function :"schema"._howdah_cancel_jobs_v1(job_ids bigint[], reason text)
returns table (id bigint, signalled boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  running bigint[];
begin
  perform from (
    select job.id from :"schema"._private_jobs as job where job.id = any(job_ids) order by job.id for update
  ) as locked;

  :{cancel_locked_jobs()}
end
$$;

-- Takes the job with this key away. One that runs is not interrupted: it loses
-- its key and gets no further attempt.
create function :"schema".remove_job(job_key text) returns :"schema"._private_jobs
language plpgsql strict
set search_path = pg_catalog, pg_temp
as $$
declare
  job :"schema"._private_jobs;
  deleted_id bigint;
begin
  perform :"schema"._howdah_lock_keys_v1(array[job_key]);
  select * into job from :"schema"._private_jobs as stored where stored.key = job_key for update;
  if not found then
    return null;
  end if;

  if :{unlocked_or_forgotten(job)} then
    with :{deleted_jobs(stored, stored.id = job.id, stored.id)}
    select deleted.id into deleted_id from deleted;
    perform pg_notify('jobs:insert', format(
      '{"r":%s,"count":-1,"schema":%s}', random(), to_json(:'schema'::text)
    ));
    return job;
  end if;

  :{detach_jobs(stored, stored.id = job.id)}
  returning * into job;
  return job;
end
$$;

create function :"schema".complete_jobs(job_ids bigint[]) returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);
  return query
  with :{deleted_jobs(job, job.id = any(job_ids), job.*)}
  select * from deleted order by deleted.id;
end
$$;

create function :"schema".permanently_fail_jobs(job_ids bigint[], error_message text default null)
returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);
  return query
  with :{updated_jobs(job, :{failed_job(job)}, where job.id = any(job_ids), job.*)}
  select * from updated order by updated.id;
end
$$;

-- Deletes up to batch_size jobs that failed for good and returns how many.
-- Call it again while it returns batch_size.
create function :"schema"._howdah_delete_exhausted_v1(batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  exhausted_ids bigint[];
  quantity integer;
begin
  exhausted_ids := array(
    select exhausted.id from :"schema"._private_jobs as exhausted
    where exhausted._howdah_exhausted
    order by exhausted.id
    limit batch_size
    for update skip locked
  );
  with :{deleted_jobs(job, job.id = any(exhausted_ids), job.id)}
  select count(*) into quantity from deleted;
  return quantity;
end
$$;
