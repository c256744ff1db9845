-- How is a stored schedule answered, as _howdah_schedule_v1?
create fragment schedule_columns(stored) as $$
:{stored}.id, :{stored}.task, :{stored}.expression, :{stored}.time_zone, :{stored}.fill_ms, :{stored}.missed,
:{stored}.payload, :{stored}.queue_name, :{stored}.max_attempts, :{stored}.job_key, :{stored}.job_key_mode,
:{stored}.priority, :{stored}.flags, :{stored}.timeout_ms, :{stored}.since, :{stored}.last_tick,
:{stored}.paused_at, :{stored}.paused_until, :{stored}.task_seen_at, :{stored}.created_at, :{stored}.updated_at,
:{stored}.version
$$;

-- Which job does the tick get? Workers are notified of all of them at the end.
create fragment add_wanted_tick() as $$
job_id := :"schema"._howdah_add_tick_job_v1(
  wanted.task, wanted.payload, wanted.queue_name, coalesce(wanted.run_at, wanted.tick_at), wanted.max_attempts,
  wanted.job_key, wanted.priority, wanted.flags, wanted.job_key_mode, wanted.timeout_ms
);
added := added || job_id;
$$;
