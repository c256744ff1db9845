import { callInChild } from "../measure/child.mjs";
import { median, monotonicMs } from "../measure/statistics.mjs";
import { openPeer } from "../peers/peers.mjs";

const SELF = new URL(import.meta.url);

/** Runs in a child: adds `size` jobs in one call, several times, and returns jobs per second. */
export async function timeBulkAdds({ peer: name, connectionString, returning, size, calls }) {
  const peer = await openPeer(name, connectionString);
  await peer.install();
  const jobs = Array.from({ length: size }, (_, n) => ({ payload: { n, text: "x".repeat(40) } }));
  // The first call prepares statements and lets the code become warm.
  await peer.addBulk(jobs, returning);
  const rates = [];
  for (let call = 0; call < calls; call += 1) {
    const startedAt = monotonicMs();
    await peer.addBulk(jobs, returning);
    rates.push((size / (monotonicMs() - startedAt)) * 1000);
  }
  return { value: median(rates) };
}

/** Many jobs in one call. */
export const bulkAdd = {
  name: "bulk-add",
  title: "10,000 jobs in one call",
  unit: "jobs/s",
  what: "One call of each side's function for many jobs with 10,000 small payloads; the median of five calls after a first one.",
  fair: "One durable call each. Howdah and graphile-worker return the stored jobs, which is part of the time; Howdah's second form returns their ids only. River's is InsertManyFast, which returns a count.",
  sides: [
    { peer: "howdah" },
    { peer: "howdah", variant: "ids only", returning: "ids" },
    { peer: "graphile-worker-0.17" },
    { peer: "graphile-worker-0.18" },
    { peer: "graphile-worker-rs" },
    { peer: "river" },
    { peer: "pg-boss" },
    { peer: "bullmq" },
  ],
  targets: [
    { of: "howdah", against: ["graphile-worker 0.17", "graphile-worker 0.18"], least: 1.5 },
    { of: "howdah, ids only", against: "River", least: 1.1 },
  ],
  async run(run, { peer, returning }) {
    const database = await run.postgres.createDatabase();
    try {
      const { connectionString } = database;
      const input = { peer, connectionString, returning, size: run.quick ? 500 : 10_000, calls: run.quick ? 2 : 5 };
      return await callInChild({ node: run.node, module: SELF, call: "timeBulkAdds", input });
    } finally {
      await database.drop();
    }
  },
};
