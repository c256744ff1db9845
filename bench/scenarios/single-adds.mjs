import pg from "pg";
import { createClient, silentLogger } from "../../dist/index.js";
import { callInChild } from "../measure/child.mjs";
import { monotonicMs } from "../measure/statistics.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);

/** Ways to add one job: each resolves with a function that gives a producer its own, which adds one. */
const WAYS = {
  "howdah client": async (connectionString, maxConnections) => {
    const client = await createClient({ connectionString, maxConnections, logger: silentLogger });
    return () => (payload) => client.addJob("noop", payload);
  },
  "howdah clients": async (connectionString, count) => {
    const open = () => createClient({ connectionString, maxConnections: 2, migrate: false, logger: silentLogger });
    const clients = await Promise.all(Array.from({ length: count }, open));
    return (producer) => (payload) => clients[producer].addJob("noop", payload);
  },
  "howdah SQL": (connectionString, max) => addBySql(connectionString, max, "howdah"),
  "graphile-worker SQL": (connectionString, max) => addBySql(connectionString, max, "graphile_worker"),
};

async function addBySql(connectionString, max, schema) {
  const pool = new pg.Pool({ connectionString, max });
  const text = `select * from ${schema}.add_job('noop', $1::json)`;
  return () => (payload) => pool.query({ name: "add", text, values: [payload] });
}

/** Runs in a child: as many producers as `connections` add jobs one after another for `durationMs`, while others listen. */
export async function timeAdds({ peer: name, way, connectionString, connections, durationMs }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  const listeners = Array.from({ length: 4 }, () => new pg.Client({ connectionString }));
  for (const listener of listeners) {
    await listener.connect();
    await listener.query('listen "jobs:insert"');
  }
  const addsOf = await WAYS[way](connectionString, connections);
  const adds = Array.from({ length: connections }, (_, producer) => addsOf(producer));
  await Promise.all(adds.map((add) => add({ n: 0 })));
  let added = 0;
  const startedAt = monotonicMs();
  const produce = async (add) => {
    while (monotonicMs() - startedAt < durationMs) {
      await add({ n: added });
      added += 1;
    }
  };
  await Promise.all(adds.map(produce));
  return { value: (added / (monotonicMs() - startedAt)) * 1000 };
}

const CONNECTIONS = [8, 16, 32];

/** Many producers add one job each. */
export const singleAdds = {
  name: "single-adds",
  title: "Single adds from many connections",
  unit: "adds/s",
  what: "8, 16 and 32 producers in one process, each adding one job after another for 2 seconds, with as many connections as producers, while four sessions listen for new jobs as workers do.",
  fair: "Every add is awaited until it is durably committed, and is followed by a notification. Producers of one Howdah client share statements and commits when they add at the same moment, which is what the client is for; with a client each they cannot, and every add is a commit of its own, as it is with SQL. The SQL function notifies in each commit, which is what graphile-worker's addJob does too.",
  sides: CONNECTIONS.flatMap((connections) => [
    { peer: "howdah", way: "howdah client", connections, variant: `client, ${connections} connections` },
    { peer: "howdah", way: "howdah clients", connections, variant: `a client each, ${connections} producers` },
    { peer: "howdah", way: "howdah SQL", connections, variant: `SQL add_job, ${connections} connections` },
    {
      peer: "graphile-worker-0.17",
      way: "graphile-worker SQL",
      connections,
      variant: `SQL add_job, ${connections} connections`,
    },
  ]),
  targets: CONNECTIONS.map((connections) => ({
    of: `howdah, client, ${connections} connections`,
    against: `howdah, SQL add_job, ${connections} connections`,
    least: 2,
  })),
  async run(run, { peer, way, connections }) {
    const database = await run.postgres.createDatabase();
    try {
      const { connectionString } = database;
      const input = { peer, way, connectionString, connections, durationMs: run.quick ? 200 : 2_000 };
      return await callInChild({ node: run.node, module: SELF, call: "timeAdds", input });
    } finally {
      await database.drop();
    }
  },
};
