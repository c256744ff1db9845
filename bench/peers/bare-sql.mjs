import pg from "pg";
import { runLoop } from "./bare-loop.mjs";
import { open as openHowdah } from "./howdah.mjs";

/**
 * What the scenarios run the plain statements with: `claim` is one of {@link CLAIMS}, `batch` how many jobs it asks for.
 */
export const SETTINGS = {
  least: { options: { claim: "least", batch: 2_000 }, source: "as the bare loop with large batches" },
  "least-24": { options: { claim: "least", batch: 24 }, source: "as many jobs a claim as a worker has slots" },
  plain: { options: { claim: "plain", batch: 2_000 }, source: "as the bare loop with large batches" },
  delete: { options: { claim: "delete", batch: 2_000 }, source: "as the bare loop with large batches" },
};

/**
 * Where the jobs are: the index that a claim reads. Every job of a drain has priority 0 and no queue, and was added in
 * the order of its id, so that the newest id says how far the table has been read.
 */
const PICK = `
  select id from howdah._private_jobs
  where priority = 0 and job_queue_id is null and not _howdah_exhausted and run_at <= now()
    and (run_at, id) > ($2::timestamptz, $3::bigint) and locked_at is null`;
const NEXT = "order by run_at, id limit $1 for update skip locked";
const LOCK = "update howdah._private_jobs as job set attempts = attempts + 1, locked_by = 'bare', locked_at = now()";

/**
 * Three ways to claim that promise less and less: to answer what a worker needs (`least`: of its own tasks, without
 * forbidden flags, five columns), to lock (`plain`), or only to take it out of the table (`delete`: each runs at most
 * once). None looks for another priority, a queue, or a task that is paused.
 */
const CLAIMS = {
  least: `${LOCK} where id = any (array(
      ${PICK} and task_id = any ($4::integer[]) and (flags ?| $5::text[]) is not true ${NEXT}))
    returning id, task_id, attempts, payload, run_at`,
  plain: `${LOCK} where id = any (array(${PICK} ${NEXT})) returning id, payload, run_at`,
  delete: `delete from howdah._private_jobs where id = any (array(${PICK} ${NEXT})) returning id, payload, run_at`,
};

/** Claims and deletes with plain statements instead of Howdah's functions, in the loop of the bare loop. */
export async function open(connectionString) {
  return {
    ...(await openHowdah(connectionString)),
    async startWorker(settings, run) {
      const { claim, batch } = SETTINGS[settings].options;
      const statements = await openStatements(connectionString, claim);
      return runLoop({ ...statements, batch, run });
    },
  };
}

async function openStatements(connectionString, way) {
  const pool = new pg.Pool({ connectionString, max: 2, options: PLANS });
  const { rows } = await pool.query("select id from howdah._private_tasks where identifier = 'noop'");
  const more = way === "least" ? [[rows[0].id], []] : [];
  let floor = { run_at: "-infinity", id: "0" };

  async function claim(quantity) {
    const values = [quantity, floor.run_at, floor.id, ...more];
    const answer = await pool.query({ ...RAW, name: "claim", text: CLAIMS[way], values });
    floor = answer.rows.reduce((newest, row) => (Number(row.id) > Number(newest.id) ? row : newest), floor);
    return { ids: answer.rows.map(({ id }) => id) };
  }

  async function release({ ids }) {
    // It is gone already.
    if (way === "delete") return;
    const text = "delete from howdah._private_jobs where id = any ($1::bigint[]) and locked_by = 'bare'";
    await pool.query({ ...RAW, name: "release", text, values: [ids] });
  }

  return { claim, release, close: () => pool.end() };
}

const RAW = { types: { getTypeParser: () => (text) => text } };
/** The plans that Howdah's functions pin, here for the session. */
const PLANS =
  "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off -c plan_cache_mode=force_generic_plan";
