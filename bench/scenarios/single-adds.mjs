import pg from "pg";
import { createClient, silentLogger } from "../../dist/index.js";
import { callInChild } from "../measure/child.mjs";
import { monotonicMs } from "../measure/statistics.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);

/** Ways to add one job: each resolves with a function that gives a producer its own, which adds one. */
const WAYS = {
  client: async ({ peer: name, connectionString, connections }) => {
    const peer = await openPeer(name, connectionString, { connections });
    return () => peer.addOne;
  },
  clients: async ({ connectionString, connections }) => {
    const open = () => createClient({ connectionString, maxConnections: 2, migrate: false, logger: silentLogger });
    const clients = await Promise.all(Array.from({ length: connections }, open));
    return (producer) => (payload) => clients[producer].addJob("noop", payload);
  },
  sql: async ({ peer: name, connectionString, connections }) => {
    const pool = new pg.Pool({ connectionString, max: connections });
    const schema = name === "howdah" ? "howdah" : "graphile_worker";
    const text = `select * from ${schema}.add_job('noop', $1::json)`;
    return () => (payload) => pool.query({ name: "add", text, values: [payload] });
  },
};

/** Runs in a child: as many producers as `connections` add jobs one after another for `durationMs`, while others listen. */
export async function timeAdds(input) {
  const { peer: name, way, connectionString, connections, durationMs } = input;
  const peer = await openPeer(name, connectionString);
  await peer.install();
  const listeners = Array.from({ length: 4 }, () => new pg.Client({ connectionString }));
  for (const listener of listeners) {
    await listener.connect();
    await listener.query('listen "jobs:insert"');
  }
  const addsOf = await WAYS[way](input);
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
const OTHERS = ["graphile-worker-0.17", "graphile-worker-0.18", "graphile-worker-rs", "river", "pg-boss", "bullmq"];
const OTHER_LABELS = [
  "graphile-worker 0.17",
  "graphile-worker 0.18",
  "graphile_worker_rs",
  "River",
  "pg-boss",
  "bullmq on PostgreSQL",
];

/** Many producers add one job each. */
export const singleAdds = {
  name: "single-adds",
  title: "Single adds from many connections",
  unit: "adds/s",
  what: "8, 16 and 32 producers in one process, each adding one job after another for 2 seconds, with as many connections as producers, while four sessions listen for new jobs as workers do. Each side with the function of its own client for one job; Howdah also with a client for each producer; Howdah and graphile-worker also with SQL.",
  fair: "Every add is awaited until it is durably committed. Producers of one Howdah client share statements and commits when they add at the same moment, which is what the client is for; with a client each they cannot, and every add is a commit of its own, as it is with SQL. Each commit is followed by a notification, but River notifies once in 100 ms at most. BullMQ and pg-boss notify on channels of their own, to which those sessions do not listen.",
  sides: CONNECTIONS.flatMap((connections) => [
    { peer: "howdah", way: "client", connections, variant: `client, ${connections} connections` },
    { peer: "howdah", way: "clients", connections, variant: `a client each, ${connections} producers` },
    { peer: "howdah", way: "sql", connections, variant: `SQL add_job, ${connections} connections` },
    { peer: "graphile-worker-0.17", way: "sql", connections, variant: `SQL add_job, ${connections} connections` },
    ...OTHERS.map((peer) => ({ peer, way: "client", connections, variant: `client, ${connections} connections` })),
  ]),
  targets: CONNECTIONS.flatMap((connections) => [
    {
      of: `howdah, client, ${connections} connections`,
      against: `howdah, SQL add_job, ${connections} connections`,
      least: 2,
    },
    {
      of: `howdah, client, ${connections} connections`,
      against: OTHER_LABELS.map((label) => `${label}, client, ${connections} connections`),
      least: 2,
    },
  ]),
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
