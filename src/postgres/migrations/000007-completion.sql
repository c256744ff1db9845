-- True inside of the transaction with this id; otherwise raises 25P01, before the
-- statement that asks has done anything. Statements of an application's
-- transaction ask so when they are sent: none may have begun, or it has ended
-- meanwhile, and the connection may even be in the next one, which then fails.
create function :"schema"._howdah_within_v1(transaction_id xid8) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if transaction_id is distinct from pg_current_xact_id() then
    raise exception 'The statement is not part of the transaction that it was meant for.' using errcode = '25P01';
  end if;
  return true;
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
begin
  if within is distinct from pg_current_xact_id() then
    raise exception 'A job is completed within a transaction, and none has begun.' using errcode = '25P01';
  end if;
  delete from :"schema"._private_jobs as jobs
  where jobs.id = job and :{held_by(jobs, worker, :{times_of(claim_times)})};
  -- What this transaction has deleted it does not see: a row that is there is somebody else's.
  if not found and (
    earlier is distinct from within
    or exists (select from :"schema"._private_jobs as jobs where jobs.id = job)
  ) then
    raise exception 'Job % does not belong to worker % any more.', job, worker using errcode = 'HWLST';
  end if;
end
$$;
