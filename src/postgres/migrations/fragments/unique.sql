-- Parts of the function behind unique adds, which read its variables.

-- What becomes of each add: whose key is taken by which job, and which of those of one key is written?
create fragment judged_adds() as $$
asked as (
  select
    given.position,
    given.key,
    given.rule ->> 'otherwise' as otherwise,
    (given.rule ->> 'latestMs')::bigint as latest_ms,
    coalesce((given.rule ->> 'same')::boolean, false) as is_same,
    stored.id as stored_id,
    stored.created_at,
    stored.attempts,
    coalesce(stored.is_available, false) as is_waiting,
    -- One that was cancelled while it runs is as good as gone.
    stored.locked_at is not null and stored._howdah_cancelled is null and given.rule ->> 'while' = 'unfinished'
      as is_running,
    recent.job_id as recent_id,
    recent.added_at as recent_at
  from rows from (unnest(job_keys), json_array_elements(rules)) with ordinality as given(key, rule, position)
  left join :"schema"._private_jobs as stored on stored.key = given.key
  left join :"schema"._howdah_recent as recent
    on recent.key = given.key and recent.until > clock_timestamp() and given.rule ->> 'forMs' is not null
), held as (
  select
    asked.*,
    case
      when asked.otherwise is null or asked.is_waiting and asked.otherwise = 'replace' then null
      when asked.is_waiting or asked.is_running then asked.stored_id
      else asked.recent_id
    end as holder
  from asked
), firsts as (
  select
    held.*,
    min(held.position) filter (where held.holder is null) over same_key as first_writer
  from held
  window same_key as (partition by held.key, case when held.key is null then held.position end)
), judged as (
  select
    firsts.*,
    firsts.holder is null
      and (firsts.position = firsts.first_writer or firsts.otherwise is null or firsts.otherwise = 'replace')
      as writes
  from firsts
), decided as (
  select
    judged.*,
    judged.writes and judged.position = max(judged.position) filter (where judged.writes) over same_key as is_written
  from judged
  window same_key as (partition by judged.key, case when judged.key is null then judged.position end)
)
$$;

-- Which of the jobs are stored, with what of them, and when is each due?
create fragment adds_to_write() as $$
select
  array_agg(spec.identifier order by spec.position) as identifiers,
  array_agg(
    case
      -- Joined with the items that are stored it is what is stored.
      when spec.position = any(same_places) and json_typeof(spec.payload) = 'array' then '[]'
      else spec.payload
    end order by spec.position
  ) as payloads,
  array_agg(spec.queue_name order by spec.position) as queue_names,
  array_agg(
    case when spec.due_by is null then spec.run_at else least(coalesce(spec.run_at, now()), spec.due_by) end
    order by spec.position
  ) as run_ats,
  array_agg(spec.attempts order by spec.position) as max_attempts,
  array_agg(spec.key order by spec.position) as job_keys,
  array_agg(spec.priority order by spec.position) as priorities,
  array_agg(spec.flags order by spec.position) as flag_sets,
  array_agg(spec.mode order by spec.position) as modes,
  array_agg(spec.timeout order by spec.position) as timeouts
from unnest(
  identifiers, payloads, queue_names, run_ats, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
  timeouts, limits
) with ordinality
  as spec(identifier, payload, queue_name, run_at, attempts, key, priority, flags, mode, timeout, due_by, position)
where spec.position = any(places)
$$;

-- Which keys are taken for longer than the job is there that was added?
create fragment keep_keys_of_added() as $$
insert into :"schema"._howdah_recent as recent (key, until, job_id)
select given.key, clock_timestamp() + (given.rule ->> 'forMs')::bigint * interval '1 millisecond', given.id
from rows from (unnest(job_keys), json_array_elements(rules), unnest(ids), unnest(outcomes))
  as given(key, rule, id, outcome)
where given.outcome = 'added' and given.rule ->> 'forMs' is not null
order by given.key
on conflict (key) do update set until = excluded.until, job_id = excluded.job_id, added_at = excluded.added_at
$$;
