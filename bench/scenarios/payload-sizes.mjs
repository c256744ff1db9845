import { callInChild } from "../measure/child.mjs";
import { drainFilled } from "../measure/drain.mjs";
import { addPayloads } from "../peers/loads.mjs";

const INSTALL = new URL("../peers/install.mjs", import.meta.url);

/** The sizes of payloads, in bytes of JSON, and how many jobs of each are run. */
const SIZES = [
  { bytes: 100, jobs: 60_000 },
  { bytes: 500, jobs: 40_000 },
  { bytes: 1_000, jobs: 30_000 },
  { bytes: 1_800, jobs: 20_000 },
  { bytes: 4_000, jobs: 10_000 },
  { bytes: 20_000, jobs: 4_000 },
];
const PEERS = { howdah: "howdah", "graphile-worker-0.17": "graphile_worker" };

/** What a waiting job takes on disk, and what a drain of jobs of that size costs. */
export const payloadSizes = {
  name: "payload-sizes",
  title: "Jobs with payloads of all sizes",
  unit: "jobs/s",
  what: "A backlog of jobs with payloads of one size, half of which can be compressed, a fifth of the jobs in their last attempt, drained by two processes with large batches. First what the backlog takes, then the WAL of storing and of running it.",
  fair: "Both tables are filled by the same statement, and measured before a job has run: heap, TOAST, indexes and maps. A checkpoint comes before each part, so that the WAL has the full image of every page that it changes for the first time. HOT is the share of the updates of a row that left the indexes alone.",
  columns: {
    serverUs: "server CPU, µs/job",
    heap: "heap, B/job",
    total: "heap, TOAST and indexes, B/job",
    walAdded: "WAL to store, B/job",
    walRun: "WAL to run, B/job",
    hot: "HOT, %",
  },
  sides: SIZES.flatMap(({ bytes, jobs }) =>
    Object.keys(PEERS).map((peer) => ({ peer, settings: "large", variant: labelOf(bytes), bytes, jobs })),
  ),
  targets: SIZES.map(({ bytes }) => ({
    of: `howdah, ${labelOf(bytes)}`,
    against: `graphile-worker 0.17, ${labelOf(bytes)}`,
    measure: "total",
    most: 2.2,
  })),
  async run(run, side) {
    const database = await run.postgres.createDatabase();
    try {
      return await fillMeasureAndDrain(run, side, database);
    } finally {
      await database.drop();
    }
  },
};

async function fillMeasureAndDrain(run, side, database) {
  const { peer, bytes } = side;
  const total = run.quick ? 500 : side.jobs;
  const schema = PEERS[peer];
  const input = { peer, connectionString: database.connectionString };
  await callInChild({ node: run.node, module: INSTALL, call: "install", input });
  await database.settle();
  const before = await walPosition(database);
  await addPayloads(database, { schema, total: total - 1, bytes });
  const filled = await walPosition(database);
  const [size] = await database.sql(
    "select pg_relation_size(oid)::float8 as heap, pg_total_relation_size(oid)::float8 as total from pg_class where oid = $1::regclass",
    [`${schema}._private_jobs`],
  );
  // What the vacuum of the drain writes is no part of the drain.
  await database.settle();
  const started = await walPosition(database);
  const cell = await drainFilled(run, side, { database, total, processes: 2 });
  return {
    ...cell,
    heap: size.heap / total,
    total: size.total / total,
    walAdded: (filled - before) / total,
    walRun: ((await walPosition(database)) - started) / total,
    hot: await hotShare(database, schema),
  };
}

async function walPosition(database) {
  const [row] = await database.sql("select (pg_current_wal_insert_lsn() - '0/0')::float8 as bytes");
  return row.bytes;
}

/** Of the updates that the sessions of the workers have reported, which they do when they end. */
async function hotShare(database, schema) {
  const [row] = await database.sql(
    "select 100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0) as hot from pg_stat_user_tables where relid = $1::regclass",
    [`${schema}._private_jobs`],
  );
  return row.hot === null ? undefined : Number(row.hot);
}

function labelOf(bytes) {
  return bytes < 1_000 ? `${bytes} B` : `${bytes / 1_000} KB`;
}
