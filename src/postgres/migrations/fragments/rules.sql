-- How the stored rules become the shape of queues.

-- Which stored rule counts for each of these queues: the one of its very name, or else
-- the longest that its name begins with?
create fragment fitting_rules(queues) as $$
stars as materialized (
  select rules.pattern, left(rules.pattern, -1) as prefix
  from :"schema"._howdah_rules as rules where right(rules.pattern, 1) = '*'
), fitting as materialized (
  select asked.id, coalesce(exact.pattern, star.pattern) as pattern
  from :{queues} as asked
  left join :"schema"._howdah_rules as exact on exact.pattern = asked.queue_name
  left join lateral (
    select stars.pattern from stars
    where exact.pattern is null and starts_with(asked.queue_name, stars.prefix)
    order by length(stars.prefix) desc limit 1
  ) as star on true
)
$$;

-- Which shape must each of these queues have, and may it get that now? The rows and
-- all that their jobs need to start is locked, so no claim is under way in them.
create fragment read_shapes() as $$
with asked as materialized (
  select queue.* from :"schema"._private_job_queues as queue where queue.id = any(queue_ids)
), :{fitting_rules(asked)}, shape as (
  select
    asked.id,
    asked._howdah_width is not null as was_ruled,
    rule.pattern is not null as is_ruled,
    -- A rule that says nothing of how many run at once does not change that it is one.
    case when rule.pattern is not null then coalesce(rule.width, 1::smallint) end as width,
    rule.token_us, rule.burst, rule.share, pool.id as pool_id,
    case
      when rule.pattern is not null then
        asked.locked_by is null or asked.locked_by = :{holder_of_lanes()}
      else asked._howdah_width is null or :{nothing_runs(asked)}
    end as is_free
  from asked
  join fitting on fitting.id = asked.id
  left join :"schema"._howdah_rules as rule on rule.pattern = fitting.pattern
  left join :"schema"._howdah_pools as pool on pool.name = rule.pool
)
select
  array_agg(shape.id order by shape.id) as ids,
  array_agg(shape.is_free order by shape.id) as frees,
  array_agg(shape.was_ruled order by shape.id) as were_ruled,
  array_agg(shape.is_ruled order by shape.id) as are_ruled,
  array_agg(shape.width order by shape.id) as widths,
  array_agg(shape.token_us order by shape.id) as token_uss,
  array_agg(shape.burst order by shape.id) as bursts,
  array_agg(shape.share order by shape.id) as shares,
  array_agg(shape.pool_id order by shape.id) as pool_ids,
  (select state.revision from :"schema"._howdah_rules_state as state) as revision
into shapes
from shape;
$$;

-- Is no job of this queue running, and none of its lanes held?
create fragment nothing_runs(queue) as $$
not exists (
  select from :"schema"._howdah_lanes as held where held.owner_id = :{queue}.id and held.locked_at is not null
)
and not exists (
  select from :"schema"._private_jobs as jobs
  where :{in_queue_index(jobs, :{queue}.id)} and jobs.locked_at is not null
)
$$;

-- What becomes of the row of a queue whose shape is known? One that cannot have it yet
-- keeps what it has, and is not claimed.
create fragment write_shapes() as $$
update :"schema"._private_job_queues as queue
set
  _howdah_rules_revision = case when shape.is_free then shapes.revision else -1 end,
  _howdah_width = case when shape.is_free then shape.width else queue._howdah_width end,
  _howdah_share = case when shape.is_free then shape.share else queue._howdah_share end,
  _howdah_pool_id = case when shape.is_free then shape.pool_id else queue._howdah_pool_id end,
  _howdah_parked_until = case when shape.is_ruled or not shape.is_free then queue._howdah_parked_until end,
  locked_at = case
    when shape.is_free and shape.is_ruled then '2999-01-01 00:00:00+00'
    when shape.is_free and shape.was_ruled then null
    else queue.locked_at
  end,
  locked_by = case
    when shape.is_free and shape.is_ruled then :{holder_of_lanes()}
    when shape.is_free and shape.was_ruled then null
    else queue.locked_by
  end
from unnest(
  shapes.ids, shapes.frees, shapes.were_ruled, shapes.are_ruled, shapes.widths, shapes.shares, shapes.pool_ids
) as shape(id, is_free, was_ruled, is_ruled, width, share, pool_id)
where queue.id = shape.id;
$$;

-- Which parts of buckets does each owner need? As many as let claims at the same moment
-- pass each other: one for twenty starts a second, sixteen at most; four to be locked
-- where there is neither a lane nor a rate.
create fragment wanted_buckets() as $$
given as materialized (
  select * from unnest(owners, widths, token_uss, bursts) as given(owner_id, width, token_us, burst)
), wanted as materialized (
  select
    given.owner_id,
    part.stripe::smallint as stripe,
    given.token_us * parts.size as token_us,
    given.burst / parts.size + (part.stripe <= given.burst % parts.size)::integer as burst
  from given
  cross join lateral (
    select case
      when given.token_us is not null then least(16, given.burst, ceil(50000.0 / given.token_us))::integer
      when given.width = 0 then 4
      else 0
    end as size
  ) as parts
  cross join lateral generate_series(1, parts.size) as part(stripe)
)
$$;

-- Of which owners are the buckets not as they should be?
create fragment changed_buckets() as $$
changed as materialized (
  select given.owner_id
  from given
  where (
    select array_agg(format('%s %s %s', wanted.stripe, wanted.token_us, wanted.burst) order by wanted.stripe)
    from wanted where wanted.owner_id = given.owner_id
  ) is distinct from (
    select array_agg(format('%s %s %s', bucket.stripe, bucket.token_us, bucket.burst) order by bucket.stripe)
    from :"schema"._howdah_buckets as bucket where bucket.owner_id = given.owner_id
  )
)
$$;

-- How many tokens has each of these owners now, with parts of one? Without a rate so far it gets
-- one to begin with, and a new queue all that it may hold.
create fragment tokens_left() as $$
left_over as materialized (
  select
    changed.owner_id,
    case
      when fresh then 'infinity'::double precision
      else coalesce(
        (
          select sum(1 + extract(epoch from now() - greatest(
            least(bucket.next_at, now() + bucket.token_us * interval '1 microsecond'),
            now() - (bucket.burst - 1) * bucket.token_us * interval '1 microsecond'
          )) * 1000000 / bucket.token_us)
          from :"schema"._howdah_buckets as bucket
          where bucket.owner_id = changed.owner_id and bucket.token_us is not null
        ),
        1
      )::double precision
    end as tokens
  from changed
)
$$;

-- When does each new part have its next token, if the first ones get what is left?
create fragment placed_buckets() as $$
placed as materialized (
  select
    wanted.owner_id, wanted.stripe, wanted.token_us, wanted.burst,
    case
      when wanted.token_us is null then '-infinity'
      else now() + interval '1 microsecond' * wanted.token_us * (1 - greatest(0, least(
        wanted.burst,
        left_over.tokens - coalesce(sum(wanted.burst) over (
          partition by wanted.owner_id order by wanted.stripe rows between unbounded preceding and 1 preceding
        ), 0)
      )))
    end as next_at
  from wanted
  join left_over on left_over.owner_id = wanted.owner_id
)
$$;

-- May the row of this queue go, although it may have rules: has it no job, no claim, no
-- pause and no park, and is nothing lost with its tokens?
create fragment unused_queue_with_rules(queue) as $$
(:{queue}.locked_at is null or :{queue}.locked_by = :{holder_of_lanes()})
and :{not_paused(:{queue}, now())}
and (:{queue}._howdah_parked_until is null or :{queue}._howdah_parked_until <= now())
and not exists (
  select from :"schema"._howdah_lanes as held where held.owner_id = :{queue}.id and held.locked_at is not null
)
and not exists (
  select from :"schema"._howdah_buckets as bucket
  where bucket.owner_id = :{queue}.id
    and bucket.next_at > now() - (bucket.burst - 1) * bucket.token_us * interval '1 microsecond'
)
and not exists (
  select from :"schema"._private_jobs as job where :{in_queue_index(job, :{queue}.id)}
)
and not exists (
  select from :"schema"._private_jobs as job where job.job_queue_id = :{queue}.id and job._howdah_exhausted
)
$$;

-- Do new queues among these names need a shape, because there are rules?
create fragment add_queues_with_rules(queue_names) as $$
if exists (select from :"schema"._howdah_rules) then
  perform :"schema"._howdah_add_queues_v1(:{queue_names});
end if;
$$;

-- Of which of these owners can all rows of this table be locked without waiting?
create fragment keep_free_gates(owners, table, number) as $$
:{owners} := array(
  select owner.id from unnest(:{owners}) as owner(id)
  where (
    select count(*) from (
      select gate.:{number} from :"schema".:{table} as gate where gate.owner_id = owner.id for update skip locked
    ) as locked
  ) = (select count(*) from :"schema".:{table} as gate where gate.owner_id = owner.id)
);
$$;
