/**
 * What else can stand in a table beside the jobs that are drained, in the tables that Howdah and graphile-worker share
 * the form of. Each is written straight into the tables, `size` jobs large, and committed before the drain begins.
 * `queue` is the id of the queue to put them into, or null.
 */
export const LOADS = {
  stuck: {
    label: "100k jobs of two stuck queues",
    size: 100_000,
    sql: (schema) => `
      with stuck as (
        insert into ${schema}._private_job_queues (queue_name, locked_at, locked_by)
        values ('stuck-1', now(), 'elsewhere'), ('stuck-2', now(), 'elsewhere')
        returning id
      )
      ${insertJobs(schema, { task: "noop", queue: "(select min(id) + n % 2 from stuck)" })}`,
  },
  foreign: {
    label: "500k jobs of other tasks",
    size: 500_000,
    sql: (schema, queue) => insertJobs(schema, { task: "foreign", queue }),
  },
  scheduled: {
    label: "500k jobs due tomorrow, of higher priority",
    size: 500_000,
    sql: (schema, queue) =>
      insertJobs(schema, { task: "noop", queue, priority: -10, runAt: "now() + interval '1 day'" }),
  },
  exhausted: {
    label: "100k jobs without attempts left",
    size: 100_000,
    sql: (schema, queue) => insertJobs(schema, { task: "noop", queue, attempts: 25 }),
  },
};

/** Puts a load into the tables of `schema`, scaled by `scale`, and before every job that is there already. */
export async function addLoad(database, { load, schema, scale = 1, queueName }) {
  const [queue] = queueName
    ? await database.sql(`select id from ${schema}._private_job_queues where queue_name = $1`, [queueName])
    : [];
  await database.sql(`insert into ${schema}._private_tasks (identifier) values ('foreign') on conflict do nothing`);
  const { sql, size } = LOADS[load];
  await database.sql(sql(schema, queue ? queue.id : null), [Math.round(size * scale)]);
}

/** Adds `total` plain jobs of the task `noop` at once; for backlogs that would take minutes to add one by one. */
export async function addBacklog(database, schema, total) {
  await database.sql(insertJobs(schema, { task: "noop", runAt: "now()" }), [total]);
}

/** Adds `total` jobs of the task `noop` whose payloads are `bytes` of JSON, half of it hardly compressible. */
export async function addPayloads(database, { schema, total, bytes }) {
  const text = Math.max(bytes - JSON.stringify({ n: total, text: "" }).length, 0);
  await database.sql(
    `with noise as materialized (select string_agg(md5(n::text), '') as hex from generate_series(1, 1000) as n)
    insert into ${schema}._private_jobs (task_id, payload, max_attempts)
    select (select id from ${schema}._private_tasks where identifier = 'noop'),
      format('{"n":%s,"text":"%s%s"}', n, substr(hex, 1 + n * 7919 % 20000, $2::integer / 2), repeat('x', $2 - $2 / 2))::json,
      case when n % 5 = 0 then 1 else 25 end
    from noise, generate_series(0, $1::integer - 1) as n`,
    [total, text],
  );
}

const LONG_AGO = "now() - interval '1 hour'";

function insertJobs(schema, { task, queue = null, priority = 0, runAt = LONG_AGO, attempts = 0 }) {
  return `
    insert into ${schema}._private_jobs (job_queue_id, task_id, payload, priority, run_at, attempts)
    select ${queue}, (select id from ${schema}._private_tasks where identifier = '${task}'),
      json_build_object('n', n), ${priority}, ${runAt}, ${attempts}
    from generate_series(0, $1::integer - 1) as n`;
}
