-- Releases and renewals that know of lanes. What a lane needs to be exact is what a
-- queue needs: it is freed by whom it was locked, under the claim that has locked it,
-- and not before the last job of that claim is released.

set local search_path = pg_catalog, pg_temp;

-- As _howdah_release_v1, whose first sixteen parameters and answers these are, for
-- jobs of queues with rules, too.
--
--   lane_owners, lanes, lane_lasts, lane_times
--                         lanes whose chain ends here: of queues, or with minus the
--                         id as owner of pools; the last open member of each; and the
--                         claim time of the lock of this very lane. As for queues,
--                         a lane is free only when that member is no longer ours.
--                         One that its owner has no longer is deleted
--   park_queues, park_untils
--                         queues with rules of which no job starts before that time
--                         (microseconds). An earlier time than the one that is known
--                         changes nothing
--   kept_ids              ids to delete of completed jobs that become history, if
--                         their task keeps it or they are awaited, with, in parallel:
--   kept_results          what the handlers returned, as JSON; null for nothing
--   kept_errors           why a result is missing; null
--   kept_starts           when the handlers were called (microseconds), or null
--   attempt_numbers       parallel to changed: the number of the attempt if that
--                         failed, else null; with, in parallel:
--   attempt_starts        when the handler was called, and
--   stacks                the stack of its error; messages has the message
--
-- Answers `awaited` of a completed job that keeps nothing and has come to be awaited
-- since it was claimed: it is ours and unchanged, and is to be sent again with its
-- result among those that are kept.
--
-- A lane that is still locked because its last member is still ours answers with
-- that member, busy.
--
-- Beside a claim: never touches a job, queue or lane that is not ours.
-- Beside a change of rules, a pause or a call that holds the queue or its lanes:
-- waits 100 ms, then fails with 55P03, and the caller repeats it.
-- Jobs first, then queues, then lanes, each in their order.
-- If the answer is lost, repeated: the fence of each lane is its own claim, and a park
-- only grows.
create function :"schema"._howdah_release_v2(
  worker text, claim_times bigint[], completed bigint[],
  changed bigint[], refunds boolean[], finals boolean[], delays bigint[], messages text[], payloads text[],
  end_queues integer[], end_lasts bigint[], end_times bigint[], patient boolean,
  interruptions boolean[] default null, transactions xid8[] default null, registered boolean default false,
  lane_owners integer[] default null, lanes smallint[] default null, lane_lasts bigint[] default null,
  lane_times bigint[] default null,
  park_queues integer[] default null, park_untils bigint[] default null,
  kept_ids bigint[] default null, kept_results text[] default null, kept_errors text[] default null,
  kept_starts bigint[] default null,
  attempt_numbers smallint[] default null, attempt_starts bigint[] default null, stacks text[] default null
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
  awaited bigint[];
  unlocked integer;
  kept record;
  ended_owners integer[];
  ended_lanes smallint[];
begin
  :{delete_unkept()}
  :{delete_kept()}
  :{change_kept()}
  :{record_failures()}
  :{unlock_ended_queues()}
  :{park_queues()}
  :{unlock_ended_lanes()}
end
$$;

alter function :"schema"._howdah_release_v2 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;

-- As _howdah_renew_v1, and locks these lanes anew: of queues, or with minus the id
-- as owner of pools.
--
--   another worker      cannot: the fence
--   a change of rules   has the lanes locked for a moment: they are stepped over, and
--                       the next renewal finds them
--   no commit           nothing is renewed; the next one does it
--   commit, answer lost both times count
--   the row is gone     nothing happens
--
-- A job that is stepped over keeps its time, and its lane gets a new one:
-- recovery compares the worker, never the times of the two.
create function :"schema"._howdah_renew_v2(
  worker text, job_ids bigint[], queue_ids integer[], claim_times bigint[], renewed bigint,
  lane_owners integer[] default null, lanes smallint[] default null
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
  perform :"schema"._howdah_renew_v1(worker, job_ids, queue_ids, claim_times, renewed);
  if cardinality(lane_owners) > 0 then
    with own as materialized (
      select held.owner_id, held.lane
      from unnest(lane_owners, lanes) as given(owner_id, lane)
      join :"schema"._howdah_lanes as held on held.owner_id = given.owner_id and held.lane = given.lane
      where :{held_by(held, worker, times)}
      order by held.owner_id, held.lane for update of held skip locked
    )
    update :"schema"._howdah_lanes as held
    set locked_at = :"schema"._howdah_at(renewed)
    from own
    where held.owner_id = own.owner_id and held.lane = own.lane;
  end if;
end
$$;

-- As before, but for a job of a queue with rules: that one is not locked by the
-- worker of the job.
create or replace function :"schema"._howdah_control_v1(job_ids bigint[])
returns table (kind text, id bigint, name text, at bigint, worker text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
#variable_conflict use_column
begin
  return query
  select 'q', queue.id::bigint, queue.queue_name, :"schema"._howdah_us(queue._howdah_paused_until), null::text
  from :"schema"._private_job_queues as queue
  where queue._howdah_paused_until is not null and queue._howdah_paused_until > now()
  union all
  select 't', null, paused.identifier, :"schema"._howdah_us(paused.paused_until), null
  from :"schema"._howdah_paused_tasks as paused
  where paused.paused_until > now()
  union all
  select 'c', job.id, job._howdah_cancelled, :"schema"._howdah_us(job.locked_at), job.locked_by
  from :"schema"._private_jobs as job
  where job.id = any(job_ids) and job._howdah_cancelled is not null and job.locked_at is not null
  union all
  select 'l', job.id, null, :"schema"._howdah_us(job.locked_at), job.locked_by
  from :"schema"._private_jobs as job
  left join :"schema"._private_job_queues as queue on queue.id = job.job_queue_id
  where job.id = any(job_ids) and job.locked_at is not null
    and (job.job_queue_id is null or queue.locked_by = job.locked_by or queue._howdah_width is not null)
  union all
  select 'a', null, null, :"schema"._howdah_us(clock_timestamp()), null;
end
$$;

-- No job of this queue is claimed until then, or until it is resumed. The queue
-- need not exist. Jobs that run go on. Returns the end of the pause.
--
-- A claim that has locked the queue, or something that its jobs need to start, is
-- waited for; its jobs go back when the worker learns of the pause. A claim that comes
-- later sees it. Of two calls the one that commits last counts. May be repeated. The
-- row cannot go before this transaction ends, and clean-up spares it while the pause
-- lasts.
create or replace function :"schema"._howdah_pause_queue_v1(queue_name text, until timestamptz default null)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  paused record;
begin
  perform :"schema"._howdah_ensure_names_v1('{}', array[queue_name]);
  update :"schema"._private_job_queues as queue
  set _howdah_paused_until = coalesce(until, 'infinity')
  where queue.queue_name = _howdah_pause_queue_v1.queue_name
  returning queue.id, queue._howdah_paused_until as until, queue._howdah_width as width into paused;
  if paused.width is not null then
    perform :"schema"._howdah_lock_gates_v1(array[paused.id]);
  end if;
  perform :"schema"._howdah_notify_pauses_v1();
  return paused.until;
end
$$;
