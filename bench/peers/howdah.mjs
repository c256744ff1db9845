import { prometheus } from "../../dist/observe/prometheus.js";
import { createClient, createWorker, defineTask, migrate, silentLogger } from "../../dist/index.js";

/** What the scenarios run Howdah with. */
export const SETTINGS = {
  default: { options: { concurrency: 24 }, source: "the defaults, with as many slots as the others" },
  tuned: {
    options: { concurrency: 24, localQueue: { size: 500, queueCount: 2 } },
    source:
      "local queues of the size that graphile-worker's documentation uses, two so that one fetches while one is run",
  },
  large: {
    options: { concurrency: 24, localQueue: { size: 2_000, queueCount: 2 } },
    source: "for comparison with other large batches: 4,000 jobs held at most",
  },
  observed: {
    options: { concurrency: 24, localQueue: { size: 500, queueCount: 2 }, metrics: true },
    source: "as tuned, with metrics for Prometheus",
  },
  mixed: {
    options: { concurrency: 200, localQueue: { size: 500, queueCount: 2 } },
    source: "as above, with 200 slots for handlers that wait",
  },
  many: { options: { concurrency: 100 }, source: "the defaults, with 100 slots for handlers that wait" },
  "mixed-direct": { options: { concurrency: 200 }, source: "the defaults, with 200 slots for handlers that wait" },
};

export async function open(connectionString, { schema = "howdah", adopts } = {}, { connections } = {}) {
  const task = defineTask({ identifier: "noop", run: () => {} });
  // Before the client, which would make a schema of its own.
  if (adopts) await adoptTablesOf(adopts, { connectionString, schema });
  const client = await createClient({
    connectionString,
    schema,
    logger: silentLogger,
    ...(connections && { maxConnections: connections }),
  });
  return {
    install: () => client.migrate(),
    addBulk: (jobs, returning) =>
      client.addJobs(
        jobs.map(({ payload, ...more }) => ({ task, payload, spec: specOf(more) })),
        { returning },
      ),
    addOne: (payload) => client.addJob(task, payload),

    async startWorker(settings, run) {
      const { metrics = false, ...options } = SETTINGS[settings].options;
      const worker = await createWorker({
        ...options,
        plugins: metrics ? [prometheus()] : [],
        connectionString,
        schema,
        tasks: [defineTask({ identifier: "noop", run: (payload) => run(payload) })],
        logger: silentLogger,
      });
      const running = worker.run();
      return { stop: () => Promise.all([worker.stop(), running]) };
    },

    close: () => client.close(),
  };
}

async function adoptTablesOf(name, place) {
  const { openPeer } = await import("./peers.mjs");
  const peer = await openPeer(name, place.connectionString);
  await peer.install();
  await peer.close();
  await migrate({ ...place, adopt: true, logger: silentLogger });
}

function specOf({ queue, priority, runAt }) {
  return {
    ...(queue !== undefined && { queueName: queue }),
    ...(priority !== undefined && { priority }),
    ...(runAt !== undefined && { runAt: new Date(runAt) }),
  };
}
