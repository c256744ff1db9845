/**
 * What claims and releases cost the server, without a network, a worker or a commit to wait for: each form of them on
 * one backend, in turn, with the order changed from round to round. The time is the server's own, around the call.
 *
 *   node bench/statements.mjs            20 rounds at 2,000 jobs, more for smaller claims
 *   node bench/statements.mjs --quick    two rounds, to see that it runs
 *
 * `least` is an update that returns five columns and a delete, in a function with the same settings: it asks none of
 * the questions that a claim has to ask, and passes over jobs that have to be claimed.
 */
import pg from "pg";
import { openPostgres } from "./measure/postgres.mjs";
import { median, medianInterval } from "./measure/statistics.mjs";
import { addBacklog } from "./peers/loads.mjs";
import { open } from "./peers/howdah.mjs";

const isQuick = process.argv.includes("--quick");

const TASKS = "(select array_agg(tasks.id) from howdah._private_tasks as tasks where tasks.identifier = 'noop')";
const CLAIM = `$worker, $quantity, ${TASKS}, null, array[0], array[floor_at], array[floor_id], '{}', 0, 0, null, 1`;

/** The forms, each with how it claims and how it ends the claim. */
const FORMS = {
  anywhere: {
    claim: `howdah._howdah_claim_v1(${CLAIM})`,
    release:
      "howdah._howdah_release_v1('bench', times, ids, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', true)",
  },
  straight: {
    claim: `howdah._howdah_claim_straight_v1(${CLAIM})`,
    release: "howdah._howdah_release_completed_v1('bench', times, ids, '{}', '{}', '{}')",
  },
  least: {
    claim: `public.least_claim($quantity, ${TASKS}, floor_at, floor_id)`,
    release: "public.least_release(ids)",
  },
};

const SETTINGS = `language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan`;

const LEAST = `
  create function public.least_claim(quantity integer, tasks integer[], floor_at bigint, floor_id bigint)
  returns table (kind text, id bigint, run_at bigint, attempts smallint, payload text) ${SETTINGS} set enable_sort = off as $$
  #variable_conflict use_column
  begin
    return query
    update howdah._private_jobs as job
    set attempts = job.attempts + 1, locked_by = 'bench', locked_at = now()
    where job.id = any (array(
      select jobs.id from howdah._private_jobs as jobs
      where jobs.priority = 0 and jobs.job_queue_id is null and not jobs._howdah_exhausted and jobs.run_at <= now()
        and (jobs.run_at, jobs.id) > (howdah._howdah_at(floor_at), floor_id) and jobs.locked_at is null
        and jobs.task_id = any (tasks)
      order by jobs.run_at, jobs.id limit quantity for update skip locked
    ))
    returning 'job', job.id, howdah._howdah_us(job.run_at), job.attempts, job.payload::text;
  end $$;
  create function public.least_release(ids bigint[]) returns void ${SETTINGS} as $$
  begin
    delete from howdah._private_jobs as jobs where jobs.id = any (ids) and jobs.locked_by = 'bench';
  end $$`;

/** One function a form, which claims `quantity` jobs and tells how long that took, and one which releases them. */
function timers(name, { claim, release }) {
  const call = claim.replace("$worker", "'bench'").replace("$quantity", "quantity");
  const started = "started timestamptz := clock_timestamp();";
  const took = "micros := extract(epoch from clock_timestamp() - started) * 1000000;";
  return `
    create function public.claim_${name}(
      quantity integer, floor_at bigint, floor_id bigint, out micros float, out ids bigint[], out seen_at bigint,
      out seen_id bigint, out at bigint
    ) language plpgsql as $$
    #variable_conflict use_column
    declare ${started}
    begin
      select array_agg(claimed.id), max(claimed.run_at), max(claimed.id) into ids, seen_at, seen_id
      from ${call} as claimed where claimed.kind = 'job';
      ${took}
      at := howdah._howdah_us(now());
    end $$;
    create function public.release_${name}(times bigint[], ids bigint[], out micros float) language plpgsql as $$
    declare ${started}
    begin
      perform ${release};
      ${took}
    end $$;`;
}

const NEXT_CLAIM = `'bench', 24, ${TASKS}, null, array[0], array[at], array[0], array[1], at, 0, null, 1, 24, array[1], array[0], array[at], array[id]`;

/** The forms of a statement that completes the job of a serial queue and claims the next one, seen up to `at` and `id`. */
const NEXT_FORMS = {
  anywhere: `
    perform howdah._howdah_release_v1('bench', times, array[id], '{}', '{}', '{}', '{}', '{}', '{}', array[1], array[id], times, true);
    select claimed.id into next_id from howdah._howdah_claim_v1(${NEXT_CLAIM}) as claimed where claimed.kind = 'job';`,
  continue: `
    select claimed.id into next_id from howdah._howdah_release_and_continue_v1(
      'bench', times, array[id], ${TASKS}, null, array[1], times, array[0], array[at], array[id]
    ) as claimed;`,
  least: "select public.least_next(id) into next_id;",
};

const LEAST_NEXT = `
  create function public.least_next(done bigint) returns bigint ${SETTINGS} as $$
  declare next_id bigint;
  begin
    delete from howdah._private_jobs as jobs where jobs.id = done and jobs.locked_by = 'bench';
    update howdah._private_jobs as job
    set attempts = job.attempts + 1, locked_by = 'bench', locked_at = now()
    where job.id = (
      select jobs.id from howdah._private_jobs as jobs
      where jobs.job_queue_id = 1 and not jobs._howdah_exhausted and (jobs.priority, jobs.run_at) <= (0::smallint, now()) and jobs.id > done
        and jobs.locked_at is null
      order by jobs.priority, jobs.run_at, jobs.id limit 1 for update skip locked
    )
    returning job.id into next_id;
    update howdah._private_job_queues set locked_by = 'bench', locked_at = now() where id = 1;
    return next_id;
  end $$`;

function nextTimer(name, body) {
  return `
    create function public.next_${name}(times bigint[], at bigint, id bigint, out micros float, out next_id bigint, out claimed_at bigint)
    language plpgsql as $$
    #variable_conflict use_variable
    declare started timestamptz := clock_timestamp();
    begin
      ${body}
      micros := extract(epoch from clock_timestamp() - started) * 1000000;
      claimed_at := howdah._howdah_us(now());
    end $$`;
}

const CASES = [
  { label: "1", quantity: 1, due: 1, rounds: 400 },
  { label: "24", quantity: 24, due: 24, rounds: 200 },
  { label: "500", quantity: 500, due: 500, rounds: 40 },
  { label: "2,000", quantity: 2_000, due: 2_000, rounds: 20 },
  { label: "24 asked, 5 due", quantity: 24, due: 5, rounds: 100 },
  { label: "24 asked, none due", quantity: 24, due: 0, rounds: 100 },
];

const postgres = await openPostgres();
try {
  const database = await postgres.createDatabase();
  const howdah = await open(database.connectionString);
  await howdah.install();
  await howdah.addOne({});
  await howdah.close();
  const session = new pg.Client({ connectionString: database.connectionString });
  await session.connect();
  await session.query(LEAST);
  for (const [name, form] of Object.entries(FORMS)) await session.query(timers(name, form));
  console.log(`PostgreSQL ${postgres.version}, median microseconds of the server: claim + release\n`);
  for (const one of CASES) await measureCase(database, session, one);
  await measureQueue(database, session);
  await session.end();
  await database.drop();
} catch (error) {
  // Before the server is stopped, which ends the sessions with errors of their own.
  console.error(error);
  process.exitCode = 1;
} finally {
  await postgres.stop();
}

async function measureCase(database, session, { label, quantity, due, rounds }) {
  const names = Object.keys(FORMS);
  const times = new Map(names.map((name) => [name, { claims: [], releases: [], sums: [] }]));
  // The first rounds make the plans and are not counted.
  const count = isQuick ? 2 : rounds;
  const warm = isQuick ? 1 : 8;
  await database.sql("truncate howdah._private_jobs");
  // With fewer due than are asked for, they are added before each claim.
  const isShort = due < quantity;
  if (!isShort) await addBacklog(database, "howdah", (count + warm) * names.length * quantity);
  await database.settle();
  let floor = [0, 0];
  for (let round = 0; round < count + warm; round += 1) {
    const start = round % names.length;
    for (const name of [...names.slice(start), ...names.slice(0, start)]) {
      if (isShort && due > 0) await addBacklog(database, "howdah", due);
      const measured = await measureOnce(session, { name, quantity, floor });
      floor = measured.floor;
      if (measured.count !== due) throw new Error(`${name} claimed ${measured.count} jobs instead of ${due}.`);
      if (round < warm) continue;
      times.get(name).claims.push(measured.claim);
      times.get(name).releases.push(measured.release);
      times.get(name).sums.push(measured.claim + measured.release);
    }
  }
  const base = times.get("anywhere").sums;
  const cells = names.map((name) => {
    const { claims, releases, sums } = times.get(name);
    const ratios = sums.map((sum, index) => sum / base[index]);
    const [from, to] = medianInterval(ratios);
    const ratio = name === "anywhere" ? "" : ` (${median(ratios).toFixed(2)}, ${from.toFixed(2)} to ${to.toFixed(2)})`;
    return `${name} ${Math.round(median(claims))} + ${Math.round(median(releases))}${ratio}`;
  });
  console.log(`${label.padEnd(20)} ${cells.join("   ")}`);
}

/** A serial queue: its job is completed and the next one claimed, again and again. */
async function measureQueue(database, session) {
  const names = Object.keys(NEXT_FORMS);
  const times = new Map(names.map((name) => [name, []]));
  const rounds = isQuick ? 2 : 300;
  const warm = isQuick ? 1 : 20;
  await session.query(LEAST_NEXT);
  for (const name of names) await session.query(nextTimer(name, NEXT_FORMS[name]));
  await database.sql("truncate howdah._private_jobs");
  await database.sql("insert into howdah._private_job_queues (queue_name) values ('serial')");
  await addBacklog(database, "howdah", (rounds + warm) * names.length + 1);
  await database.sql("update howdah._private_jobs set job_queue_id = 1");
  await database.settle();
  const first = `update howdah._private_jobs set locked_by = 'bench', locked_at = now()
    where id = (select min(id) from howdah._private_jobs) returning id, howdah._howdah_us(now()) as claimed_at, howdah._howdah_us(run_at) as at`;
  await session.query("begin");
  await session.query("update howdah._private_job_queues set locked_by = 'bench', locked_at = now()");
  const [{ at, ...claimed }] = (await session.query(first)).rows;
  let { id, claimed_at: claimedAt } = claimed;
  await session.query("commit");
  for (let round = 0; round < rounds + warm; round += 1) {
    const start = round % names.length;
    for (const name of [...names.slice(start), ...names.slice(0, start)]) {
      const { rows } = await session.query(`select * from public.next_${name}($1, $2, $3)`, [[claimedAt], at, id]);
      if (rows[0].next_id === null) throw new Error(`${name} claimed nothing after job ${id}.`);
      ({ next_id: id, claimed_at: claimedAt } = rows[0]);
      if (round >= warm) times.get(name).push(rows[0].micros);
    }
  }
  const cells = names.map((name) => {
    const ratios = times.get(name).map((time, index) => time / times.get("anywhere")[index]);
    const [from, to] = medianInterval(ratios);
    const ratio = name === "anywhere" ? "" : ` (${median(ratios).toFixed(2)}, ${from.toFixed(2)} to ${to.toFixed(2)})`;
    return `${name} ${Math.round(median(times.get(name)))}${ratio}`;
  });
  console.log(`\nA serial queue, one job completed and the next one claimed\n\n${cells.join("   ")}`);
}

/** One claim and its release. All jobs are added with one time, so the last id is up to where they have been seen. */
async function measureOnce(session, { name, quantity, floor }) {
  const claimed = await session.query(`select * from public.claim_${name}($1, $2, $3)`, [quantity, ...floor]);
  const { micros, ids, at, seen_at: seenAt, seen_id: seenId } = claimed.rows[0];
  const released = await session.query(`select * from public.release_${name}($1, $2)`, [[at], ids ?? []]);
  return {
    claim: micros,
    release: released.rows[0].micros,
    count: ids?.length ?? 0,
    floor: seenId === null ? floor : [seenAt, seenId],
  };
}
