import { callInChild } from "../measure/child.mjs";
import { monotonicMs, quantile } from "../measure/statistics.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);

/** Runs in a child: adds one job after another to an idle worker and returns how long each took to start. */
export async function timeStarts({ peer: name, settings, connectionString, samples, warmUp }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  let started;
  const worker = await peer.startWorker(settings, () => started(monotonicMs()));
  const times = [];
  for (let sample = 0; sample < warmUp + samples; sample += 1) {
    const start = new Promise((resolve) => (started = resolve));
    // Long enough for the worker to be idle again, and never in step with a timer of its.
    await new Promise((resolve) => setTimeout(resolve, 10 + 10 * Math.random()));
    const addedAt = monotonicMs();
    await peer.addOne({ sample });
    times.push((await start) - addedAt);
  }
  await Promise.race([worker.stop(), new Promise((resolve) => setTimeout(resolve, 5_000))]);
  const measured = times.slice(warmUp);
  return { value: quantile(measured, 0.5), p99: quantile(measured, 0.99) };
}

/** How soon a job starts on an idle worker. */
export const latency = {
  name: "latency",
  title: "From add to start on an idle worker",
  unit: "ms (median)",
  isLessBetter: true,
  what: "300 jobs, one at a time: from the call that adds a job to the first line of its handler. Adding and running happen in one process, the add over a connection of its own.",
  fair: "Each side adds with its own function for one job, and wakes its worker in its own way: by notification wherever it has one. The bare statements are an insert that notifies, a session that listens and an update by id, over plain connections and with no library around them: two commits and a notification cannot be had for less, so that is the part of each figure that no side can save.",
  columns: { p99: "p99, ms" },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "bare-statements", settings: "default" },
    { peer: "graphile-worker-0.17", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "default", variant: "direct" },
    { peer: "pg-boss", settings: "default" },
    { peer: "bullmq", settings: "default" },
  ],
  targets: ["direct", "local queue"].flatMap((source) => {
    const pair = { of: `howdah, ${source}`, against: `graphile-worker 0.17, ${source}` };
    return [
      { ...pair, most: 0.6 },
      { ...pair, measure: "p99", most: 0.8 },
    ];
  }),
  async run(run, { peer, settings }) {
    const database = await run.postgres.createDatabase();
    try {
      const input = { peer, settings, connectionString: database.connectionString };
      return await callInChild({
        node: run.node,
        module: SELF,
        call: "timeStarts",
        input: { ...input, samples: run.quick ? 20 : 300, warmUp: run.quick ? 5 : 100 },
      });
    } finally {
      await database.drop();
    }
  },
};
