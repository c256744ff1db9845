// What a sample costs the server: buffers, time and statements, on the schema of DATABASE_URL as it is.
// With --fill N it first adds N jobs of the mixture that docs/decisions/samples.md speaks of; use a database of its own.
import pg from "pg";

const fill = Number(process.argv[process.argv.indexOf("--fill") + 1] || 0);
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
if (process.argv.includes("--fill")) await add(fill);

const parts = {
  counts: "select * from howdah._howdah_sample_counts_v1()",
  "worst tasks and queues": "select howdah._howdah_sample_top_v1()",
  "sample, another worker has it": "select * from howdah._howdah_sample_v1()",
};
await client.query(parts["sample, another worker has it"]);
for (const [name, text] of Object.entries(parts)) {
  const times = [];
  let buffers = 0;
  for (let run = 0; run < 20; run++) {
    const { rows } = await client.query(`explain (analyze, buffers, format json) ${text}`);
    const [{ Plan: plan, "Execution Time": ms }] = rows[0]["QUERY PLAN"];
    times.push(ms);
    buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
  }
  times.sort((a, b) => a - b);
  console.log(
    `${name}: ${times[10].toFixed(1)} ms (median of 20, at most ${times.at(-1).toFixed(1)}), ${buffers} buffers`,
  );
}
const { rows } = await client.query(
  "select avg(pg_column_size(sample.*))::integer as bytes from howdah._howdah_samples as sample where resolution = 10",
);
console.log(`row: ${rows[0].bytes} bytes`);
await client.end();

async function add(count) {
  await client.query(
    "insert into howdah._private_tasks (identifier) select 'task_' || n from generate_series(1, 20) as n on conflict do nothing",
  );
  await client.query(
    "insert into howdah._private_job_queues (queue_name) select 'queue-' || n from generate_series(1, 10001) as n on conflict do nothing",
  );
  await client.query(
    `insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at, attempts, last_error)
     select 1 + n % 20, case when n % 10 = 1 then 1 + n / 10 % 10001 end, n % 3,
       now() + case when n % 5 = 2 then 1 else -1 end * (n % 100000) * interval '1 s',
       case when n % 12 = 3 then 25 else 0 end, case when n % 12 = 3 then 'no ' || n end
     from generate_series(1, $1::integer) as n`,
    [count],
  );
  await client.query("vacuum analyze howdah._private_jobs");
}
