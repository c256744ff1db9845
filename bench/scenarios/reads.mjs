import { createAdmin } from "../../dist/admin/index.js";
import { createClient, silentLogger } from "../../dist/index.js";
import { callInChild } from "../measure/child.mjs";
import { median, monotonicMs, quantile } from "../measure/statistics.mjs";

const INSTALL = new URL("../peers/install.mjs", import.meta.url);

/** Each call of an operator that is measured: with a client, the `next` of a list a thousand pages in, and ids of jobs. */
const CALLS = {
  "stats()": (client) => client.stats(),
  'stats({ by: "task" })': (client) => client.stats({ by: "task" }),
  'stats({ by: "queue" })': (client) => client.stats({ by: "queue" }),
  "listErrors()": (client) => client.listErrors(),
  "listQueues()": (client) => client.listQueues(),
  "listQueues, a filter that none passes": (client) => client.listQueues({ search: "none" }),
  "listJobs()": (client) => client.listJobs(),
  "listJobs, backward": (client) => client.listJobs({ backward: true }),
  "listJobs, ready": (client) => client.listJobs({ state: "ready" }),
  "listJobs, ready, deep inside": (client, { deep }) => client.listJobs({ state: "ready", after: deep }),
  "listJobs, scheduled": (client) => client.listJobs({ state: "scheduled" }),
  "listJobs, running": (client) => client.listJobs({ state: "running" }),
  "listJobs, failed": (client) => client.listJobs({ state: "failed" }),
  "listJobs, a queue of 30 jobs": (client) => client.listJobs({ queueName: "queue-5000" }),
  "listJobs, a queue of 200,000 jobs": (client) => client.listJobs({ queueName: "queue-0" }),
  "listJobs, a key": (client) => client.listJobs({ jobKey: "none" }),
  "listJobs, a task without jobs": (client) => client.listJobs({ task: "none" }),
  "listJobs, an error that none has": (client) => client.listJobs({ state: "failed", error: "none" }),
  "listJobs, a payload that none has": (client) => client.listJobs({ payload: { none: true } }),
  "listJobs, added since now": (client) => client.listJobs({ since: new Date(), backward: true }),
  "retryJobs, dry run of one error": (client) => client.retryJobs({ error: "error 7" }, { dryRun: true }),
  "explainJob, the last of the ready ones": (client, { ids }) => client.explainJob(ids.ready),
  "explainJob, in a queue of 200,000 jobs": (client, { ids }) => client.explainJob(ids.queued),
  "explainJob, failed": (client, { ids }) => client.explainJob(ids.failed),
  "diagnose()": (client) => client.diagnose(),
  ...Object.fromEntries(
    [
      "overview",
      "samples?top=10",
      "jobs?backward=true",
      "jobs?queueName=queue-0",
      "errors",
      "queues",
      "queues/queue-0",
      "queues/queue-0/lock",
      "tasks",
      "tasks/task-1",
      "workers",
      "activity",
    ].map((path) => [`GET ${path}`, (_client, { admin }) => ask(admin, path)]),
  ),
  "POST jobs/preview, retry all": (_client, { admin }) =>
    ask(admin, "jobs/preview", { action: "retry", filter: { state: "failed" } }),
};

/** One answer of the admin API, to its end. */
async function ask(admin, path, body) {
  const response = await admin.fetch(
    new Request(`http://bench.test/api/v1/${path}`, {
      method: body ? "POST" : "GET",
      headers: { "content-type": "application/json", "x-howdah-request": "1" },
      body: body && JSON.stringify(body),
    }),
  );
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
}

/** What may take longer than a list does, or has to be faster: median and 95%, in milliseconds. */
const LIMITS = [
  { of: "explainJob", median: 20, p95: 50 },
  { of: "diagnose", median: 3_000, p95: 3_000 },
  // Counts what it would change, 100,000 jobs at most.
  { of: "POST jobs/preview", median: 2_000, p95: 4_000 },
  { of: "", median: 200, p95: 500 },
];

/** What lists and counts cost on a queue of five million jobs. */
export const reads = {
  name: "reads",
  title: "Lists and counts of five million jobs",
  unit: "ms",
  isLessBetter: true,
  what: "Each call 200 times (the diagnosis and the preview 20 times), one after another, on 3,000,000 jobs that are ready, 1,100,000 scheduled, 500,000 in 10,001 queues (200,000 of them in one), 400,000 failed and 200 running; the median, and the time that 95% stay below.",
  fair: "Nothing is cached by the client; what the admin API shares between its viewers, such as counts, is read again when it is two seconds old. The server does nothing else. A dry run counts 100,000 jobs at most, in pages of 10,000.",
  sides: Object.keys(CALLS).map((variant) => ({ peer: "howdah", settings: "default", variant })),
  columns: { p95: "p95, ms" },
  repeats: 1,
  targets: Object.keys(CALLS)
    .filter((variant) => !variant.includes("dry run"))
    .flatMap((variant) => {
      const limit = LIMITS.find(({ of }) => variant.startsWith(of));
      return [
        { of: `howdah, ${variant}`, most: limit.median },
        { of: `howdah, ${variant}`, measure: "p95", most: limit.p95 },
      ];
    }),
  async run(run, { variant }) {
    const { client, admin, deep, ids, end } = await groundOf(run);
    try {
      const times = [];
      const rounds = /^(?:diagnose|POST)/.test(variant) ? 20 : 200;
      for (let round = 0; round < (run.quick ? 2 : rounds); round += 1) {
        const startedAt = monotonicMs();
        await CALLS[variant](client, { admin, deep, ids });
        times.push(monotonicMs() - startedAt);
      }
      return { value: median(times), p95: quantile(times, 0.95) };
    } finally {
      await end();
    }
  },
};

/** All sides read one database, which is filled for the first of them and dropped after the last. */
const grounds = new WeakMap();

function groundOf(run) {
  const ground = grounds.get(run) ?? openGround(run);
  grounds.set(run, ground);
  return ground;
}

async function openGround(run) {
  const database = await run.postgres.createDatabase();
  const { connectionString } = database;
  const input = { peer: "howdah", connectionString };
  await callInChild({ node: run.node, module: INSTALL, call: "install", input });
  for (const part of partsOf(run.quick ? 1_000 : 1)) await database.sql(part);
  await database.settle();
  const client = await createClient({ connectionString, migrate: false });
  let left = reads.sides.length;
  let deep;
  for (let page = 0; page < (run.quick ? 2 : 1_000); page += 1) {
    ({ next: deep } = await client.listJobs({ state: "ready", limit: run.quick ? 10 : 1_000, after: deep }));
  }
  const idOf = async (filter) => (await client.listJobs({ ...filter, backward: true, limit: 1 })).jobs[0].id;
  const admin = createAdmin({ client, logger: silentLogger, authorize: () => ({ name: "bench", role: "admin" }) });
  return {
    client,
    admin,
    deep,
    ids: {
      ready: await idOf({ state: "ready" }),
      queued: await idOf({ queueName: "queue-0" }),
      failed: await idOf({ state: "failed" }),
    },
    async end() {
      left -= 1;
      if (left > 0) return;
      grounds.delete(run);
      await admin.close();
      await client.close();
      await database.drop();
    },
  };
}

/** The jobs, as statements; `divisor` makes them fewer. */
function partsOf(divisor) {
  const insert = (columns, values, total) => `insert into howdah._private_jobs (${columns}, created_at, payload)
    select ${values}, now() - interval '2 days' + n * interval '20 ms', json_build_object('n', n, 'account', n % 1000)
    from generate_series(1, ${total / divisor}) as n`;
  const ago = "now() - interval '1 day' + n * interval '25 ms'";
  return [
    "insert into howdah._private_tasks (identifier) select 'task-' || n from generate_series(1, 20) as n",
    "insert into howdah._private_job_queues (queue_name) select 'queue-' || n from generate_series(0, 10000) as n",
    insert("task_id, priority, run_at", `1 + n % 20, n % 3, ${ago}`, 3_000_000),
    insert("task_id, priority, run_at", "1 + n % 20, n % 3, now() + interval '1 day' + n * interval '1 s'", 1_100_000),
    insert(
      "task_id, job_queue_id, run_at",
      `1 + n % 20, case when n % 5 < 2 then 1 else 2 + n % 10000 end, ${ago}`,
      500_000,
    ),
    insert(
      "task_id, attempts, last_error",
      "1 + n % 20, 25, 'Error: error ' || n % 30 || E'\\n    at file.js:' || n",
      400_000,
    ),
    `update howdah._private_jobs set locked_at = now(), locked_by = 'worker', attempts = 1 where id in (
      select id from howdah._private_jobs where job_queue_id is null and priority = 0 and not _howdah_exhausted
      order by run_at, id limit ${200 / Math.min(divisor, 20)})`,
  ];
}
