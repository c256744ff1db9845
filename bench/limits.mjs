/**
 * What rules of queues cost claims: the server's own time for claims as a worker makes them, beside claims where there
 * are no rules, in turn on one backend; and what several claimers get of one key whose rate they share.
 *
 *   node bench/limits.mjs            some three minutes
 *   node bench/limits.mjs --quick    a few rounds of each, to see that it runs
 */
import pg from "pg";
import { openPostgres } from "./measure/postgres.mjs";
import { median, medianInterval, monotonicMs } from "./measure/statistics.mjs";
import { open } from "./peers/howdah.mjs";

const isQuick = process.argv.includes("--quick");
const ROUNDS = isQuick ? 3 : 150;
const WARM = isQuick ? 1 : 20;

/** A claim of `$1` jobs that names the queues of `$2`; what it locks is rolled back. */
const CLAIM = (form) => `select kind, id, run_at, queue_id, extras, summary from howdah._howdah_claim_${form}(
  'bench', $1, '{1}', null, '{0}', '{0}', '{0}', $2, 9000000000000000, 0, null, 1, $1, $3, '{0}', $4, $5)`;

const postgres = await openPostgres();
try {
  console.log(`PostgreSQL ${postgres.version}, median microseconds of the server a claim\n`);
  await measureWithoutRules();
  await measureLanes();
  await measureSaturated();
  await measureFullPool();
  await measurePinned();
  await measureClaimers();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await postgres.stop();
}

/** The same claims by the function that knows no rules and by the one that does, where there are none. */
async function measureWithoutRules() {
  const { database, session } = await prepare({ queues: 200, jobs: 4_000 });
  const named = ids(1, 24);
  await compare("24 serial queues, no rules", "v1", {
    v1: () => timed(session, { form: "v1", quantity: 24, queueIds: named }),
    v2: () => timed(session, { form: "v2", quantity: 24, queueIds: named }),
  });
  await database.sql("update howdah._private_jobs set job_queue_id = null");
  await database.settle();
  await compare("24 jobs without a queue", "v1", {
    v1: () => timed(session, { form: "v1", quantity: 24, queueIds: [] }),
    v2: () => timed(session, { form: "v2", quantity: 24, queueIds: [] }),
  });
  await compare("no queue and no job", "v1", {
    v1: () => timed(session, { form: "v1", quantity: 24, queueIds: [], tasks: "999" }),
    v2: () => timed(session, { form: "v2", quantity: 24, queueIds: [], tasks: "999" }),
  });
  await close(database, session);
}

/** Claims of 24 jobs out of 1,000 keys: 24 serial ones, 24 of five lanes, five of five lanes with five jobs each. */
async function measureLanes() {
  const { database, session } = await prepare({ queues: 2_000, jobs: 40_000 });
  await shape(database, "id > 1000 and id <= 2000", { width: 5 });
  await shape(database, "id > 1900", { width: 0, rate: { tokenUs: 1_000, burst: 100, stripes: 4 } });
  await database.sql("insert into howdah._howdah_pools (name, width) values ('p', 100)");
  await database.sql(
    "insert into howdah._howdah_lanes (owner_id, lane) select -1, n from generate_series(1, 100) as n",
  );
  await database.sql("update howdah._private_job_queues set _howdah_pool_id = 1 where id > 1800 and id <= 1900");
  await database.settle();
  await compare("24 jobs, rules", "24 serial", {
    "24 serial": () => timed(session, { form: "v2", quantity: 24, queueIds: ids(1, 24) }),
    "24 keys of 5 lanes": () => timed(session, { form: "v2", quantity: 24, queueIds: ids(1_001, 24) }),
    "5 keys of 5 lanes": () => timed(session, { form: "v2", quantity: 24, queueIds: ids(1_001, 5) }),
    "24 keys of a pool": () => timed(session, { form: "v2", quantity: 24, queueIds: ids(1_801, 24) }),
    "24 keys with a rate": () => timed(session, { form: "v2", quantity: 24, queueIds: ids(1_901, 24) }),
  });
  await close(database, session);
}

/** What a key costs that is named and has no free lane; beside it, a claim that names none. */
async function measureSaturated() {
  for (const width of [5, 50]) {
    const { database, session } = await prepare({ queues: 100, jobs: 100_000 });
    await shape(database, "true", { width });
    await database.sql("update howdah._howdah_lanes set locked_at = now(), locked_by = 'elsewhere', job_id = 1");
    await database.settle();
    await perKey(session, `a saturated key of ${width} lanes`);
    await close(database, session);
  }
}

/** What a key costs that is named and whose pool is full. */
async function measureFullPool() {
  const { database, session } = await prepare({ queues: 100, jobs: 10_000 });
  await shape(database, "true", { width: 5 });
  await database.sql("insert into howdah._howdah_pools (name, width) values ('p', 5)");
  await database.sql(
    "insert into howdah._howdah_lanes select -1, n, now(), 'elsewhere', 1 from generate_series(1, 5) as n",
  );
  await database.sql("update howdah._private_job_queues set _howdah_pool_id = 1");
  await database.settle();
  await perKey(session, "a key of a full pool");
  await close(database, session);
}

async function perKey(session, label) {
  const times = { one: [], all: [] };
  for (let round = 0; round < ROUNDS + WARM; round += 1) {
    const one = await timed(session, { form: "v2", quantity: 24, queueIds: ids(1, 1) });
    const all = await timed(session, { form: "v2", quantity: 24, queueIds: ids(1, 100) });
    if (round < WARM) continue;
    times.one.push(one);
    times.all.push(all);
  }
  const each = times.all.map((time, index) => (time - times.one[index]) / 99);
  const [from, to] = medianInterval(each);
  console.log(`${label.padEnd(30)} ${median(each).toFixed(1)} (${from.toFixed(1)} to ${to.toFixed(1)}) each of 100`);
}

/** A key with a rate of which 30,000 jobs have started while a snapshot keeps all dead rows. */
async function measurePinned() {
  const starts = isQuick ? 500 : 30_000;
  const { database, session } = await prepare({ queues: 1, jobs: 100 });
  await shape(database, "true", { width: 0, rate: { tokenUs: 1_000, burst: 1_000, stripes: 16 } });
  await database.settle();
  const pinned = await connect(database);
  await pinned.query("begin isolation level repeatable read");
  await pinned.query("select 1");
  const before = [];
  for (let round = 0; round < WARM + 20; round += 1)
    before.push(await timed(session, { form: "v2", quantity: 6, queueIds: ids(1, 1) }));
  await database.sql(`do $$ begin for n in 0..${starts - 1} loop
    update howdah._howdah_buckets set next_at = next_at where stripe = 1 + n % 16; commit; end loop; end $$`);
  const after = [];
  for (let round = 0; round < 20; round += 1)
    after.push(await timed(session, { form: "v2", quantity: 6, queueIds: ids(1, 1) }));
  const [first, last] = [median(before.slice(WARM)), median(after)];
  console.log(
    `${`${starts} starts, pinned snapshot`.padEnd(30)} ${Math.round(first)} before, ${Math.round(last)} after`,
  );
  await pinned.end();
  await close(database, session);
}

/** Claimers of six jobs each on one key: what they get of its rate, and how many claims bring nothing. */
async function measureClaimers() {
  for (const { label, ...form } of [
    {
      label: "a rate of 1,000 a second",
      width: 0,
      rate: { tokenUs: 1_000, burst: 40, stripes: 16 },
      perSecond: 1_000,
    },
    { label: "a bucket never empty", width: 0, rate: { tokenUs: 1, burst: 10_000, stripes: 16 } },
    { label: "100 lanes", width: 100 },
  ]) {
    for (const claimers of [1, 2, 8]) {
      const { database, session } = await prepare({ queues: 1, jobs: isQuick ? 2_000 : 60_000 });
      await shape(database, "true", form);
      await database.settle();
      const { jobs, claims, vain, seconds } = await race(database, claimers);
      const share = form.perSecond ? `, ${((100 * jobs) / (seconds * form.perSecond)).toFixed(1)}% of the rate` : "";
      console.log(
        `${label}, ${claimers} claimers: ${Math.round(jobs / seconds)} jobs/s${share}, ${((100 * vain) / claims).toFixed(0)}% of ${claims} claims brought nothing`,
      );
      await close(database, session);
    }
  }
}

/** A rated key is named again at the time that it was told, or ten times a second, as workers do it. */
async function race(database, claimers) {
  const seconds = isQuick ? 0.5 : 5;
  const until = monotonicMs() + seconds * 1000;
  const total = { jobs: 0, claims: 0, vain: 0, seconds };
  await Promise.all(
    Array.from({ length: claimers }, async () => {
      const session = await connect(database);
      let floor = [null, null, null];
      while (monotonicMs() < until) {
        const { rows } = await session.query({ name: "claim", text: CLAIM("v2"), values: [6, [1], ...floor] });
        const jobs = rows.filter(({ kind }) => kind === "job");
        if (jobs.length > 0) floor = [[1], ...furthest(jobs)];
        const { summary } = rows.at(-1);
        total.jobs += jobs.length;
        total.claims += 1;
        if (jobs.length === 0) total.vain += 1;
        await session.query({
          name: "end",
          text: `with gone as (delete from howdah._private_jobs where id = any ($1) returning id)
            update howdah._howdah_lanes set locked_at = null, locked_by = null
            where owner_id = 1 and lane = any ($2) and (select count(*) from gone) >= 0`,
          values: [jobs.map(({ id }) => id), jobs.map(({ extras }) => JSON.parse(extras).lane)],
        });
        const [wait] = summary.waits ?? [];
        const restMs = wait
          ? (wait[1] - Number(summary.claimedAt)) / 1000
          : jobs.length === 0 && !summary.more
            ? 100
            : 0;
        if (restMs > 0.1) await new Promise((resolve) => setTimeout(resolve, Math.min(restMs, 100)));
      }
      await session.end();
    }),
  );
  return total;
}

async function compare(label, base, forms) {
  const names = Object.keys(forms);
  const times = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS + WARM; round += 1) {
    const start = round % names.length;
    for (const name of [...names.slice(start), ...names.slice(0, start)]) {
      const time = await forms[name]();
      if (round >= WARM) times.get(name).push(time);
    }
  }
  const cells = names.map((name) => {
    const ratios = times.get(name).map((time, index) => time / times.get(base)[index]);
    const [from, to] = medianInterval(ratios);
    const ratio = name === base ? "" : ` (${median(ratios).toFixed(3)}, ${from.toFixed(3)} to ${to.toFixed(3)})`;
    return `${name} ${Math.round(median(times.get(name)))}${ratio}`;
  });
  console.log(`${label.padEnd(30)} ${cells.join("   ")}`);
}

/** What the server says that a claim took. */
async function timed(session, { form, quantity, queueIds, tasks = "1" }) {
  await session.query("begin");
  const text = CLAIM(form).replace("'{1}'", `'{${tasks}}'`);
  const { rows } = await session.query({
    name: `${form} ${tasks}`,
    text,
    values: [quantity, queueIds, null, null, null],
  });
  await session.query("rollback");
  return rows.at(-1).summary.micros;
}

async function prepare({ queues, jobs }) {
  const database = await postgres.createDatabase();
  const howdah = await open(database.connectionString);
  await howdah.install();
  await howdah.close();
  await database.sql("insert into howdah._private_tasks (identifier) values ('noop')");
  await database.sql(
    "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, $1::int) as n",
    [queues],
  );
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, run_at)
     select 1, 1 + n % $1::int, now() - interval '1 hour' + n * interval '1 ms' from generate_series(0, $2::int - 1) as n`,
    [queues, jobs],
  );
  await database.settle();
  const session = await connect(database);
  return { database, session };
}

async function shape(database, condition, { width, rate }) {
  const chosen = `select id from howdah._private_job_queues where ${condition}`;
  await database.sql("insert into howdah._howdah_rules (pattern, width) values ('*', 1) on conflict do nothing");
  await database.sql(`update howdah._private_job_queues set _howdah_width = ${width}, locked_at = '2999-01-01',
    locked_by = '_howdah_lanes' where ${condition}`);
  await database.sql(`delete from howdah._howdah_lanes where owner_id in (${chosen})`);
  await database.sql(`insert into howdah._howdah_lanes (owner_id, lane)
    select id, n from (${chosen}) as queues cross join generate_series(1, ${width}) as n`);
  if (!rate) return;
  const { tokenUs, burst, stripes } = rate;
  await database.sql(`insert into howdah._howdah_buckets (owner_id, stripe, token_us, burst)
    select id, n, ${tokenUs * stripes}, ${burst} / ${stripes} + case when n <= ${burst % stripes} then 1 else 0 end
    from (${chosen}) as queues cross join generate_series(1, ${stripes}) as n`);
}

async function connect(database) {
  const session = new pg.Client({ connectionString: database.connectionString });
  await session.connect();
  return session;
}

async function close(database, session) {
  await session.end();
  await database.drop();
}

/** Up to where the queue has been seen: every job is of the same priority, and added in order. */
function furthest(jobs) {
  const last = jobs.reduce((one, other) => (Number(other.id) > Number(one.id) ? other : one));
  return [[last.run_at], [last.id]];
}

/** The ids of `count` queues from this one on. */
function ids(from, count) {
  return Array.from({ length: count }, (_, index) => from + index);
}
