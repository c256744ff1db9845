-- What operations on many jobs write into a row.

-- What becomes of a job that is put back? It starts afresh: what happened to it before no longer counts, unless a
-- worker may still be running it.
create fragment retried_job(job) as $$
run_at = now() + case when spread_ms > 0 then random() * spread_ms else 0 end * interval '1 millisecond',
attempts = 0,
max_attempts = coalesce(most_attempts, :{job}.max_attempts),
updated_at = now(),
_howdah_detached = :{job}._howdah_detached and :{job}.locked_at is not null,
_howdah_recoveries = 0,
_howdah_cancelled = case when :{job}.locked_at is not null then :{job}._howdah_cancelled end
$$;
