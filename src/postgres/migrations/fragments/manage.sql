-- What clean-up and the calls of an operator have in common.

-- May the row of this queue go: does it have no job, no lock and no pause? Exhausted
-- jobs are asked for apart, because each half has an index and the whole has none.
create fragment unused_queue(queue) as $$
:{queue}.locked_at is null
and :{not_paused(:{queue}, now())}
and not exists (
  select from :"schema"._private_jobs as job where :{in_queue_index(job, :{queue}.id)}
)
and not exists (
  select from :"schema"._private_jobs as job where job.job_queue_id = :{queue}.id and job._howdah_exhausted
)
$$;

-- May the row of this task go: does it have no job, and is it not to be kept?
create fragment unused_task(task) as $$
:{task}.identifier <> all(coalesce(keep, '{}'))
and not exists (select from :"schema"._private_jobs as job where job.task_id = :{task}.id)
$$;

-- Which rows of names can go? They are deleted, up to batch_size of them.
create fragment delete_unused(table, condition) as $$
-- Without a lock first, so that no caller waits when there is nothing to do.
unused := array(
  select candidate.id from :"schema".:{table} as candidate
  where :{condition}
  limit batch_size
);
if cardinality(unused) = 0 then
  return 0;
end if;

lock table :"schema"._private_tasks, :"schema"._private_job_queues in share row exclusive mode;
-- Claims lock queue rows before they change them. Waiting for such a row here
-- would be a deadlock, as the claim then waits for the table.
delete from :"schema".:{table} as unneeded
where unneeded.id = any(array(
  select candidate.id from :"schema".:{table} as candidate
  where candidate.id = any(unused)
    and :{condition}
  order by candidate.id
  for update skip locked
));
get diagnostics deleted = row_count;
return deleted;
$$;

-- Which rows do these workers hold? They are locked in the order of their ids.
create fragment lock_rows_held(table, ids, lock) as $$
select array_agg(locked.id) into :{ids} from (
  select held.id from :"schema".:{table} as held
  where held.locked_by = any(worker_ids) order by held.id :{lock}
) as locked;
$$;
