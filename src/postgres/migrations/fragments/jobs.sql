-- What is asked of a row of jobs or queues, each once: claims, releases and
-- clean-up have to agree. Conditions are joined by "and" and have no "or" that is
-- not in parentheses.

-- Is it in the index of the jobs without a queue that may still run?
create fragment in_ready_index(job) as $$
:{job}.job_queue_id is null and not :{job}._howdah_exhausted
$$;

-- Is it in the index of the jobs of all queues that may still run?
create fragment in_due_index(job) as $$
:{job}.job_queue_id is not null and not :{job}._howdah_exhausted
$$;

-- Is it in the index of this queue's jobs that may still run?
create fragment in_queue_index(job, queue_id) as $$
:{job}.job_queue_id = :{queue_id} and not :{job}._howdah_exhausted
$$;

-- Which priority has the queue after the one of this level, by one index probe?
create fragment next_priority(queue_id) as $$
(
  select jobs.priority from :"schema"._private_jobs as jobs
  where :{in_queue_index(jobs, :{queue_id})} and jobs.priority > level.priority
  order by jobs.priority limit 1
)
$$;

-- Does the worker run such jobs: of this task, and without a flag that it leaves alone?
create fragment runnable(job, tasks, forbidden) as $$
:{job}.task_id = any (:{tasks}) and (:{forbidden} is null or (:{job}.flags ?| :{forbidden}) is not true)
$$;

-- Is the job none of those that could not be locked a moment ago?
create fragment not_skipped(job, skip) as $$
(:{skip} is null or :{job}.id <> all (:{skip}))
$$;

-- May the worker claim this job, if it is due?
create fragment claimable(job, tasks, forbidden, skip) as $$
:{job}.locked_at is null and :{runnable(:{job}, :{tasks}, :{forbidden})}
and :{not_skipped(:{job}, :{skip})}
$$;

-- What does a claim write into a job? None of it is part of an index.
create fragment claim_of(job, worker, at) as $$
attempts = :{job}.attempts + 1, locked_by = :{worker}, locked_at = :{at}
$$;

-- Is the row still locked by this worker, under a claim of one of these times? This is the fence.
create fragment held_by(row, worker, times) as $$
:{row}.locked_by = :{worker} and :{row}.locked_at = any (:{times})
$$;

-- Is the queue not paused at this moment?
create fragment not_paused(queue, at) as $$
(:{queue}._howdah_paused_until is null or :{queue}._howdah_paused_until <= :{at})
$$;

-- How often has a worker been lost with this job, counting now? The number is positive: the suspicion is over.
create fragment one_more_recovery(job) as $$
least(abs(:{job}._howdah_recoveries::integer) + 1, 32767)
$$;
