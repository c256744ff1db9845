import { existsSync, readFileSync } from "node:fs";
import { programPath, programVersion } from "./programs.mjs";

const HOWDAH_JOBS = "howdah._private_jobs";
const GRAPHILE_JOBS = "graphile_worker._private_jobs";

/**
 * The sides of the benchmark: `package` is what bench/ installs it as, `node` the Node it needs at least, `language`
 * that of a program in peers/, which `--with` builds. `adopts` is the side whose tables it uses. `jobs` is its table of jobs in the form that Howdah and
 * graphile-worker share; `left` a statement that counts jobs not done in another. Each adapter exports
 * `open(connectionString, peer, { connections })`, which resolves with an object of
 *
 *   install()         creates what it needs; also registers the task `noop`
 *   addBulk(jobs)     adds jobs { payload, queue, priority, runAt } with its function for many; Howdah answers with
 *                     ids only when "ids" is the second argument
 *   addOne(payload)   adds one job and resolves when it is committed
 *   startWorker(settings, run)   resolves with { stop() }; `run(payload)` is the handler
 *   countLeft()       the jobs that are not done, where no statement says so
 *   close()
 *
 * and exports `SETTINGS`: by name, the options and where the peer's own documentation recommends them. The queue of a
 * job is left out by peers without serial queues. A side leaves out what the scenarios do not ask of it. `connections`
 * is how many its client may have.
 */
const PEERS = {
  howdah: { label: "howdah", adapter: "howdah.mjs", jobs: HOWDAH_JOBS },
  "howdah-shared": {
    label: "howdah in a schema of graphile-worker",
    adapter: "howdah.mjs",
    schema: "graphile_worker",
    adopts: "graphile-worker-0.17",
    jobs: GRAPHILE_JOBS,
  },
  "bare-loop": { label: "bare loop", adapter: "bare-loop.mjs", jobs: HOWDAH_JOBS },
  "bare-sql": { label: "plain statements", adapter: "bare-sql.mjs", jobs: HOWDAH_JOBS },
  "bare-queue": { label: "bare queue", adapter: "bare-queue.mjs", jobs: "bare_job" },
  "bare-statements": { label: "bare statements", adapter: "bare-statements.mjs" },
  "graphile-worker-0.17": {
    label: "graphile-worker 0.17",
    adapter: "graphile-worker.mjs",
    package: "graphile-worker-0.17",
    jobs: GRAPHILE_JOBS,
  },
  "graphile-worker-0.18": {
    label: "graphile-worker 0.18",
    adapter: "graphile-worker.mjs",
    package: "graphile-worker-0.18",
    node: 22,
    jobs: GRAPHILE_JOBS,
  },
  "graphile-worker-rs": {
    label: "graphile_worker_rs",
    adapter: "graphile-worker-rs.mjs",
    language: "rust",
    jobs: GRAPHILE_JOBS,
  },
  river: {
    label: "River",
    adapter: "river.mjs",
    language: "go",
    left: "select count(*)::integer from river_job where finalized_at is null",
  },
  "pg-boss": {
    label: "pg-boss",
    adapter: "pg-boss.mjs",
    package: "pg-boss",
    node: 22,
    left: "select count(*)::integer from pgboss.job where state < 'completed'",
  },
  bullmq: { label: "bullmq on PostgreSQL", adapter: "bullmq.mjs", package: "bullmq" },
  dbos: {
    label: "DBOS",
    adapter: "dbos.mjs",
    package: "@dbos-inc/dbos-sdk",
    left: "select count(*)::integer from dbos.workflow_status where status in ('ENQUEUED', 'PENDING')",
  },
};

/** The calls that a side in another language answers itself; for others its adapter is used. */
const CALLS_OF_PROGRAMS = ["work", "watchStarts", "addOnes", "timeAdds", "timeBulkAdds"];

/** The names of all sides. */
export const PEER_NAMES = Object.keys(PEERS);

/** What a chart and a table call a side. */
export function labelOf(name) {
  return PEERS[name].label;
}

/** The language of a side that is a program of its own. */
export function languageOf(name) {
  return PEERS[name].language;
}

/** The path of that program. */
export function programOf(name) {
  return programPath(PEERS[name].language);
}

/** Whether a call goes to the side's own program instead of a function of the benchmark. */
export function callsItself(name, call) {
  return PEERS[name].language !== undefined && CALLS_OF_PROGRAMS.includes(call);
}

/** The installed version of a side, or `undefined` when it is not installed. */
export function versionOf(name) {
  const { package: folder, language } = PEERS[name];
  if (language) return programVersion(language);
  const manifest = new URL(folder ? `../node_modules/${folder}/package.json` : "../../package.json", import.meta.url);
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
}

/** Why a side cannot run on this Node, or `undefined` when it can. */
export function reasonToSkip(name, nodeMajor) {
  const { node = 0, adopts = name } = PEERS[name];
  if (versionOf(adopts) === undefined) return "not installed; run npm ci in bench/";
  return nodeMajor < node ? `needs Node ${node}; run npm ci in bench/, which installs one` : undefined;
}

/** The settings of a side, with where they come from. */
export async function settingsOf(name) {
  const { SETTINGS } = await import(`./${PEERS[name].adapter}`);
  return SETTINGS;
}

/** A statement that counts the first `total` jobs added that are not done, or `undefined` when only the side can tell. */
export function leftSqlOf(name, total) {
  const { jobs, left } = PEERS[name];
  return left ?? (jobs && `select count(*)::integer from ${jobs} where id <= ${total}`);
}

/** The table of jobs of a side, in the form that Howdah and graphile-worker share. */
export function jobsTableOf(name) {
  return PEERS[name].jobs;
}

/** Connects a side to a database. */
export async function openPeer(name, connectionString, settings = {}) {
  const adapter = await import(`./${PEERS[name].adapter}`);
  return adapter.open(connectionString, { name, ...PEERS[name] }, settings);
}
