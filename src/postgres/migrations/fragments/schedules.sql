-- How is a stored schedule answered, as _howdah_schedule_v1?
create fragment schedule_columns(stored) as $$
:{stored}.id, :{stored}.task, :{stored}.expression, :{stored}.time_zone, :{stored}.fill_ms, :{stored}.missed,
:{stored}.payload, :{stored}.queue_name, :{stored}.max_attempts, :{stored}.job_key, :{stored}.job_key_mode,
:{stored}.priority, :{stored}.flags, :{stored}.timeout_ms, :{stored}.since, :{stored}.last_tick,
:{stored}.paused_at, :{stored}.paused_until, :{stored}.task_seen_at, :{stored}.created_at, :{stored}.updated_at,
:{stored}.version
$$;
