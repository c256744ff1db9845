-- Clauses of functions that pin their plans: the statistics of a queue table are
-- always stale. Each setting costs a call about a microsecond or two, so a
-- function has those that its own statements need.

-- How does every statement find its rows by an index, whatever the statistics say?
create fragment index_scans() as $$
set enable_seqscan = off
set enable_bitmapscan = off
$$;

-- How does every join probe for the rows that it needs, and never read all of a table?
create fragment nested_loops() as $$
set enable_hashjoin = off
set enable_mergejoin = off
$$;

-- How does a session plan once, without a look at the values and without compiling?
create fragment generic_plan() as $$
set jit = off
set plan_cache_mode = force_generic_plan
$$;

-- How does a function that works on the whole backlog keep its plans?
create fragment pinned_plan() as $$
:{index_scans()}
:{nested_loops()}
:{generic_plan()}
$$;

-- How does an add of one job find its task and its queue?
create fragment add_plan() as $$
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
$$;

-- How does an add of many jobs find their tasks, queues and keys?
create fragment adds_plan() as $$
:{add_plan()}
:{nested_loops()}
set jit = off
$$;
