import type { TestDatabase } from "../harness/database.ts";

/**
 * Writes the samples of the last day, as workers would have: a load that goes up and down, and a backlog that grew when
 * they were down for a while.
 */
export async function fillSamples(database: TestDatabase): Promise<void> {
  for (const resolution of [10, 60, 600]) await database.sql(SAMPLES, [resolution]);
  await database.sql(TASK_SAMPLES);
}

/** The counters of rows end where those of the server are. */
const SAMPLES = `
insert into howdah._howdah_samples
select
  $1, at, $1 / 10, at + interval '1 second',
  greatest(0, 12 + 10 * sin(age / 700.0) + bump * 380), 4, least(12, 6 + 4 * sin(age / 300.0) + bump * 6), 25 * exp(-least(200, age / 3000.0)),
  3, 12, least(12, 6 + 4 * sin(age / 300.0) + bump * 6), 40,
  greatest(0, 400 + 300 * sin(age / 250.0) + bump * 240000), 800, 3,
  38 - (age * 41 + 4000 * sin(age / 900.0))::bigint, 0, 1 - (age * 40.6 + 4000 * (sin(age / 900.0 + 0.1) - sin(0.1)))::bigint,
  case when $1 = 10 then json_build_object('tasks', '[]'::json, 'queues', '[]'::json) end
from (
  select at, extract(epoch from now() - at)::float8 as age,
    exp(-least(200, power((extract(epoch from now() - at)::float8 - 1500) / 350.0, 2))) as bump
  from generate_series(
    date_bin($1 * interval '1 second', now() - least(interval '1 day', $1 * interval '2160 seconds'), timestamptz 'epoch'),
    now() - $1 * interval '1 second', $1 * interval '1 second'
  ) as at
) as slots
on conflict do nothing`;

const TASK_SAMPLES = `
insert into howdah._howdah_task_samples
select at, task, completed, failed, completed * mean, (
  select array_agg(case bucket when middle then (completed * 0.7)::bigint when middle + 1 then (completed * 0.25)::bigint
    when middle + 3 then (completed * 0.05)::bigint else 0 end order by bucket)
  from generate_series(1, 16) as bucket
), (
  select array_agg(case bucket when 6 then (completed * 0.8)::bigint when 9 then (completed * 0.2)::bigint else 0 end order by bucket)
  from generate_series(1, 30) as bucket
)
from (values ('send_email', 2100, 3, 41, 6), ('import_csv', 2, 0, 9300, 13), ('charge_card', 260, 21, 180, 8))
  as task(task, completed, failed, mean, middle)
cross join generate_series(date_trunc('minute', now()) - interval '3 hours', date_trunc('minute', now()), interval '1 minute') as at
on conflict do nothing`;
