import { fillAndDrain } from "../measure/drain.mjs";
import { setRules } from "../peers/rules.mjs";

const RULES = { concurrency: 5 };
const STUCK_JOBS = 100_000;

/** How many keys hold 100,000 older jobs, with all of their lanes held elsewhere. */
const STUCK = { "nothing else": 0, "behind 2 full keys": 2, "behind 10,000 full keys": 10_000 };

/** Free keys behind others whose limits are reached. */
export const saturated = {
  name: "saturated",
  title: "Behind keys whose limit is reached",
  unit: "jobs/s",
  what: "20,000 jobs of 1,000 keys, of which 5 may run at once of each, with the defaults and 24 slots: alone, and beside 100,000 older jobs of keys that run as many as they may, elsewhere.",
  fair: "Each figure is compared with the same drain without the others, in the same round.",
  columns: { cpuUs: "worker CPU, µs/job", serverUs: "server CPU, µs/job" },
  sides: Object.keys(STUCK).map((variant) => ({ peer: "howdah", settings: "default", variant })),
  targets: [
    { of: "howdah, behind 2 full keys", against: "howdah, nothing else", least: 0.9 },
    { of: "howdah, behind 10,000 full keys", against: "howdah, nothing else", least: 0.6 },
  ],
  run(run, side) {
    return fillAndDrain(run, side, {
      total: run.quick ? 500 : 20_000,
      load: { queues: 1_000 },
      handler: "watched",
      prepare: (database) => prepare(run, database, STUCK[side.variant]),
    });
  },
};

/** The jobs of full keys are older than all others, and come after the ones that are counted. */
async function prepare(run, database, keys) {
  const [jobs, some] = run.quick ? [STUCK_JOBS / 100, Math.ceil(keys / 100)] : [STUCK_JOBS, keys];
  if (keys > 0) {
    await database.sql(
      `with stuck as (
        insert into howdah._private_job_queues (queue_name)
        select 'queue-stuck-' || n from generate_series(1, $1::integer) as n returning id
      ), ranked as (select id, row_number() over () - 1 as place from stuck)
      insert into howdah._private_jobs (job_queue_id, task_id, payload, run_at)
      select ranked.id, (select id from howdah._private_tasks where identifier = 'noop'), '{"n":0}', now() - interval '1 hour'
      from generate_series(0, $2::integer - 1) as n join ranked on ranked.place = n % $1`,
      [some, jobs],
    );
  }
  await setRules(run, database, { rules: RULES });
  await database.sql(
    `update howdah._howdah_lanes set locked_at = now(), locked_by = 'elsewhere', job_id = 0
    where owner_id in (select id from howdah._private_job_queues where queue_name like 'queue-stuck-%')`,
  );
}
