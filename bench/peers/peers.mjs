import { existsSync, readFileSync } from "node:fs";

/**
 * The sides of the benchmark: `package` is what bench/ installs it as, `node` the Node it needs at least. Each adapter
 * exports `open(connectionString, peer)`, which resolves with an object of
 *
 *   install()                      creates what it needs; also registers the task `noop`
 *   addBulk([{ payload, queue }])  adds jobs with its function for many
 *   addOne(payload)                adds one job and resolves when it is committed
 *   startWorker(settings, run)     resolves with { stop() }; `run(payload)` is the handler
 *   countLeft(total)               the first `total` jobs added that are not yet done
 *   close()
 *
 * and exports `SETTINGS`: by name, the options and where the peer's own documentation recommends them. The queue of a
 * job is left out by peers without serial queues. A side leaves out what the scenarios do not ask of it.
 */
const PEERS = {
  howdah: { label: "howdah", adapter: "howdah.mjs" },
  "bare-loop": { label: "bare loop", adapter: "bare-loop.mjs" },
  "bare-statements": { label: "bare statements", adapter: "bare-statements.mjs" },
  "graphile-worker-0.17": {
    label: "graphile-worker 0.17",
    adapter: "graphile-worker.mjs",
    package: "graphile-worker-0.17",
  },
  "graphile-worker-0.18": {
    label: "graphile-worker 0.18",
    adapter: "graphile-worker.mjs",
    package: "graphile-worker-0.18",
    node: 22,
  },
  "pg-boss": { label: "pg-boss", adapter: "pg-boss.mjs", package: "pg-boss", node: 22 },
  bullmq: { label: "bullmq on PostgreSQL", adapter: "bullmq.mjs", package: "bullmq" },
};

/** The names of all sides. */
export const PEER_NAMES = Object.keys(PEERS);

/** What a chart and a table call a side. */
export function labelOf(name) {
  return PEERS[name].label;
}

/** The installed version of a side, or `undefined` when it is not installed. */
export function versionOf(name) {
  const { package: folder } = PEERS[name];
  const manifest = new URL(folder ? `../node_modules/${folder}/package.json` : "../../package.json", import.meta.url);
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
}

/** Why a side cannot run on this Node, or `undefined` when it can. */
export function reasonToSkip(name, nodeMajor) {
  if (versionOf(name) === undefined) return "not installed; run npm ci in bench/";
  const { node = 0 } = PEERS[name];
  return nodeMajor < node ? `needs Node ${node}; run npm ci in bench/, which installs one` : undefined;
}

/** The settings of a side, with where they come from. */
export async function settingsOf(name) {
  const { SETTINGS } = await import(`./${PEERS[name].adapter}`);
  return SETTINGS;
}

/** Connects a side to a database. */
export async function openPeer(name, connectionString) {
  const adapter = await import(`./${PEERS[name].adapter}`);
  return adapter.open(connectionString, PEERS[name]);
}
