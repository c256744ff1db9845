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

-- Is the job a letter that tells of a job of this task, itself or in a letter that it tells of? By the text, which
-- only we write so: json operators refuse a payload with a NUL in one of its strings.
create fragment comes_from(job, identifier) as $$
starts_with(:{job}.payload::text, '{"job" : {"id" : ') and strpos(
  :{job}.payload::text, '"task" : ' || to_json(:{identifier})::text || ', "queueName" : '
) > 0
$$;
