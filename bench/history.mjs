/**
 * What a large history costs: rows written beside it, a job read by its id and by its key, pages of a list, a partition
 * that is dropped, and claims, each with an empty history and with a full one, on one backend.
 *
 *   node bench/history.mjs            10,000,000 rows in the partitions of a week and a month, some minutes
 *   node bench/history.mjs --quick    20,000 rows, to see that it runs
 */
import pg from "pg";
import { createClient, silentLogger } from "../dist/index.js";
import { openPostgres } from "./measure/postgres.mjs";
import { median, monotonicMs, quantile } from "./measure/statistics.mjs";
import { addBacklog } from "./peers/loads.mjs";
import { open } from "./peers/howdah.mjs";

const isQuick = process.argv.includes("--quick");
const ROWS = isQuick ? 20_000 : 10_000_000;
const ROUNDS = isQuick ? 5 : 200;

/** The days of the two that rows are spread over. */
const KEPT = [7, 30];

/** One row as a release writes it: narrow, with a key in one of ten. */
const ROW = (kept, at, id) => `insert into howdah._howdah_history
  (keep, finished_at, id, task, state, attempts, max_attempts, priority, created_at, run_at, started_at, worker, key)
  select ${kept}, ${at}, ${id}, 'task ' || n % 20, 'c', 1, 25, 0, now(), now(), now(), 'howdah_0123456789abcdef01',
    case when n % 10 = 0 then 'user:' || n % 100000 end`;

const postgres = await openPostgres();
try {
  const database = await postgres.createDatabase();
  const howdah = await open(database.connectionString);
  await howdah.install();
  await howdah.addOne({});
  await howdah.close();
  const session = new pg.Client({ connectionString: database.connectionString });
  await session.connect();
  const client = await createClient({
    connectionString: database.connectionString,
    migrate: false,
    logger: silentLogger,
  });
  await makePartitions(session);
  console.log(`PostgreSQL ${postgres.version}; milliseconds as a client sees them, median and 99%\n`);
  const empty = await measureAll({ database, session, client });
  const filled = await fill(database, session);
  const full = await measureAll({ database, session, client });
  for (const name of Object.keys(empty)) console.log(`${name.padEnd(44)} ${empty[name].padEnd(22)} ${full[name]}`);
  console.log(filled);
  await measureDrop(session);
  await client.close();
  await session.end();
  await database.drop();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await postgres.stop();
}

/** Those of the days and weeks that are over, and of the present ones. */
async function makePartitions(session) {
  for (const kept of KEPT)
    await session.query(
      `select howdah._howdah_make_partition_v1($1::smallint, span.since, span.until)
       from generate_series(0, $2::int) as back
       cross join lateral howdah._howdah_history_span_v1($1::smallint, now(), -back) as span`,
      [kept, kept === 7 ? 6 : 3],
    );
}

async function fill(database, session) {
  const begun = monotonicMs();
  const [{ wal }] = (await session.query("select pg_current_wal_lsn() as wal")).rows;
  const chunk = Math.min(ROWS, 200_000);
  for (let rows = 0; rows < ROWS; rows += chunk) {
    const kept = KEPT[(rows / chunk) % KEPT.length];
    const days = kept === 7 ? 6 : 27;
    const at = `now() - (${rows}::bigint + n) % 86400 * interval '1 second' - (${rows / chunk}::int % ${days}) * interval '1 day'`;
    await session.query(`${ROW(kept, at, `10000000000 + ${rows} + n`)} from generate_series(1, $1::int) as n`, [chunk]);
  }
  const took = monotonicMs() - begun;
  const [{ bytes }] = (await session.query("select pg_wal_lsn_diff(pg_current_wal_lsn(), $1) as bytes", [wal])).rows;
  const [{ size }] = (
    await session.query(
      "select sum(pg_total_relation_size(relid)) as size from pg_partition_tree('howdah._howdah_history') where isleaf",
    )
  ).rows;
  await database.settle();
  return (
    `\n${ROWS.toLocaleString("en")} rows: ${Math.round((took * 1_000) / ROWS)} µs, ${Math.round(bytes / ROWS)} bytes of WAL ` +
    `and ${Math.round(size / ROWS)} bytes of table and indexes a row`
  );
}

async function measureAll({ database, session, client }) {
  await database.sql("truncate howdah._private_jobs");
  await addBacklog(database, "howdah", isQuick ? 500 : 20_000);
  await database.settle();
  const id = 10_000_000_000;
  const page = { limit: 50 };
  return {
    "write 24 rows of jobs that end": await timed((round) =>
      session.query(`${ROW(7, "now()", `${round} * 100 + n`)} from generate_series(1, 24) as n`),
    ),
    "read a job by its id": await timed((round) => client.getJob(String(id + ((round * 7_919) % ROWS) + 1))),
    "the newest 50": await timed(() => client.history(page)),
    "the newest 50 of a task": await timed(() => client.history({ ...page, task: "task 7" })),
    "the newest 50 of a key": await timed((round) => client.history({ ...page, jobKey: `user:${round * 10}` })),
    "claim 24 jobs of 20,000": await timed(() => claim(session)),
  };
}

/** What it locks is rolled back. */
async function claim(session) {
  await session.query("begin");
  await session.query(`select id from howdah._howdah_claim_v1('bench', 24,
    (select array_agg(tasks.id) from howdah._private_tasks as tasks), null, '{0}', '{0}', '{0}', '{}', 0, 0, null, 1)`);
  await session.query("rollback");
}

/** The largest one, as if it had been kept for long enough. */
async function measureDrop(session) {
  const { rows } = await session.query(
    `select part.name from howdah._howdah_history_partitions_v1(7::smallint) as part
     order by pg_relation_size(format('howdah.%I', part.name)) desc limit 1`,
  );
  const [{ count }] = (await session.query(`select count(*) from howdah.${rows[0].name}`)).rows;
  await session.query("set lock_timeout = '100ms'");
  const begun = monotonicMs();
  await session.query(`drop table howdah.${rows[0].name}`);
  console.log(
    `Dropping a partition of ${Number(count).toLocaleString("en")} rows: ${(monotonicMs() - begun).toFixed(1)} ms`,
  );
}

async function timed(work) {
  const times = [];
  for (let round = 0; round < ROUNDS + 5; round += 1) {
    const begun = monotonicMs();
    await work(round);
    // The first ones make plans.
    if (round >= 5) times.push(monotonicMs() - begun);
  }
  return `${median(times).toFixed(2)} / ${quantile(times, 0.99).toFixed(2)}`;
}
