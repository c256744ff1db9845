-- Which moments count. A predicate or value of one line, put into larger ones.

-- Until when is a job due soon, so that the workers are notified of it? Polling finds what is due later.
create fragment soon(now) as $$
:{now} + interval '2 seconds'
$$;

-- Up to where is what a claim sees final? Commits arrive out of order: a younger position is not.
create fragment settled() as $$
now() - interval '200 milliseconds'
$$;

-- Which id belongs to a position that was seen, when it counts only as far as it is settled?
create fragment settled_id(at, id) as $$
case when :{at} <= settled then :{id} else 0 end
$$;

-- When was it, this number of milliseconds ago?
create fragment ms_ago(ms) as $$
now() - :{ms} * interval '1 millisecond'
$$;

-- Which times are these, given as microseconds?
create fragment times_of(us) as $$
array(select :"schema"._howdah_at(given.us) from unnest(:{us}) as given(us))
$$;

-- Is the job unlocked, or its lock so old that no worker can still mean it? Other implementations count four hours.
create fragment unlocked_or_forgotten(job) as $$
:{job}.locked_at is null or :{job}.locked_at < now() - interval '4 hours'
$$;

-- When was it, this number of milliseconds before?
create fragment ms_before(at, ms) as $$
:{at} - :{ms} * interval '1 millisecond'
$$;
