import { startChild } from "../measure/child.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);

/** Runs in a child: a worker with nothing to do. Says when it has settled, and returns the CPU used since. */
export async function stayIdle({ peer: name, settings, connectionString, settleMs }, channel) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  await peer.startWorker(settings, () => {});
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const before = process.cpuUsage();
  channel.send("settled");
  await channel.next();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** What a worker costs that has nothing to do. */
export const idle = {
  name: "idle",
  title: "An idle worker",
  unit: "statements/s",
  isLessBetter: true,
  repeats: 1,
  isConcurrent: true,
  what: "One worker without jobs for 60 seconds, after 5 seconds to settle: statements as pg_stat_statements counts them in its database, and the CPU of its process.",
  fair: "Default settings with 24 slots; nothing else happens in its database. All sides idle at the same time, each in a database of its own, because none of them does enough to disturb the others.",
  columns: { cpuPercent: "CPU of the process, %" },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.17", settings: "default" },
    { peer: "graphile-worker-0.18", settings: "default" },
    { peer: "pg-boss", settings: "default" },
    { peer: "bullmq", settings: "default" },
  ],
  targets: ["direct", "local queue"].flatMap((source) => [
    { of: `howdah, ${source}`, most: 1.5 },
    { of: `howdah, ${source}`, measure: "cpuPercent", most: 0.5 },
  ]),

  async run(run, { peer, settings }) {
    const durationMs = run.quick ? 500 : 60_000;
    const database = await run.postgres.createDatabase();
    let child;
    try {
      await database.sql("create extension pg_stat_statements");
      await database.sql(
        "do $$ begin execute format('alter database %I set pg_stat_statements.track = top', current_database()); end $$",
      );
      const { connectionString } = database;
      const settled = new Promise((resolve) => {
        const input = { peer, settings, connectionString, settleMs: run.quick ? 500 : 5_000 };
        child = startChild({ node: run.node, module: SELF, call: "stayIdle", input, onMessage: resolve });
      });
      await Promise.race([settled, child.result]);
      const before = await countStatements(database);
      await new Promise((resolve) => setTimeout(resolve, durationMs));
      const after = await countStatements(database);
      child.send("enough");
      const cpuUs = await child.result;
      return { value: (after - before) / (durationMs / 1000), cpuPercent: cpuUs / 10 / durationMs };
    } finally {
      child?.kill();
      await database.drop();
    }
  },
};

/** Asked over a session that was opened before tracking was switched on, so that it does not count itself. */
async function countStatements(database) {
  const [{ calls }] = await database.sql(`
    select coalesce(sum(calls), 0)::integer as calls from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database())`);
  return calls;
}
