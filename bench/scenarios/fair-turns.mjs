import { fillAndDrain } from "../measure/drain.mjs";
import { setRules } from "../peers/rules.mjs";

const TENANTS = 200;
const JOBS_A_TENANT = 10;
const BACKLOG = 100_000;

/** What the tenants, and the one with the backlog, have as rules. */
const RULES = {
  "no rules": undefined,
  "5 at once each": { concurrency: 5 },
  "turns, no limit": { concurrency: "unlimited" },
};

/** An old backlog of one tenant beside many small ones. */
export const fairTurns = {
  name: "fair-turns",
  title: "Small tenants beside a large, old backlog",
  unit: "ms",
  isLessBetter: true,
  what: "200 tenants with 10 jobs each, beside one with 100,000 jobs that are an hour older, each tenant in a queue of its own; jobs of 2 ms, the defaults, 24 slots. From the first start of any job to the first start of the tenant that waits longest.",
  fair: "The worker stops when the jobs of the small tenants are done. Without rules a queue is serial, so the large one can take one slot of 24.",
  columns: { meanMs: "mean of the tenants, ms", serverUs: "server CPU, µs/job" },
  sides: Object.keys(RULES).map((variant) => ({ peer: "howdah", settings: "default", variant })),
  targets: Object.keys(RULES).map((variant) => ({ of: `howdah, ${variant}`, most: 1_000 })),
  async run(run, side) {
    const rules = RULES[side.variant];
    const { spans, ...cell } = await fillAndDrain(run, side, {
      total: TENANTS * JOBS_A_TENANT,
      load: { queues: TENANTS },
      handler: "spanned",
      prepare: (database) => prepare(run, database, rules),
    });
    const begun = Math.min(...spans.map(({ from }) => from));
    const starts = firstStarts(spans).map((at) => at - begun);
    return {
      ...cell,
      // Jobs of the large tenant run, too.
      note: undefined,
      value: Math.max(...starts),
      meanMs: starts.reduce((sum, at) => sum + at, 0) / starts.length,
    };
  },
};

async function prepare(run, database, rules) {
  await database.sql(
    `with backlog as (insert into howdah._private_job_queues (queue_name) values ('queue-large') returning id)
    insert into howdah._private_jobs (job_queue_id, task_id, payload, run_at)
    select backlog.id, (select id from howdah._private_tasks where identifier = 'noop'), '{"n":0,"q":"large"}',
      now() - interval '1 hour'
    from backlog, generate_series(1, $1::integer)`,
    [run.quick ? BACKLOG / 100 : BACKLOG],
  );
  if (rules) await setRules(run, database, { rules });
}

/** When each small tenant's first job began; one that did not begin counts as having waited for all. */
function firstStarts(spans) {
  const first = new Map(Array.from({ length: TENANTS }, (_, q) => [q, Math.max(...spans.map(({ to }) => to))]));
  for (const { q, from } of spans) if (q !== "large") first.set(q, Math.min(first.get(q), from));
  return [...first.values()];
}
