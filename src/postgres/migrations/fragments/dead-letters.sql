-- What a dead letter says.

-- What does the job say that tells of one that has failed for good?
create fragment letter_of(job, task, queue) as $$
json_build_object(
  'job', json_build_object(
    'id', :{job}.id::text,
    'task', :{task}.identifier,
    'queueName', :{queue}.queue_name,
    'key', :{job}.key,
    'attempts', :{job}.attempts,
    'createdAt', to_char(:{job}.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  ),
  'payload', :{job}.payload,
  'error', :{job}.last_error
)
$$;
