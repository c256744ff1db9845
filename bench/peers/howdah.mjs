import pg from "pg";
import { createClient, createWorker, defineTask, silentLogger } from "../../dist/index.js";

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
};

export async function open(connectionString) {
  const task = defineTask({ identifier: "noop", run: () => {} });
  const client = await createClient({ connectionString, logger: silentLogger });
  const observer = new pg.Pool({ connectionString, max: 1 });
  return {
    install: () => client.migrate(),
    addBulk: (jobs) =>
      client.addJobs(jobs.map(({ payload, queue }) => ({ task, payload, spec: queue ? { queueName: queue } : {} }))),
    addOne: (payload) => client.addJob(task, payload),

    async startWorker(settings, run) {
      const worker = await createWorker({
        ...SETTINGS[settings].options,
        connectionString,
        tasks: [defineTask({ identifier: "noop", run: (payload) => run(payload) })],
        logger: silentLogger,
      });
      const running = worker.run();
      return { stop: () => Promise.all([worker.stop(), running]) };
    },

    async countLeft(total) {
      const { rows } = await observer.query("select count(*)::integer from howdah._private_jobs where id <= $1", [
        total,
      ]);
      return rows[0].count;
    },

    async close() {
      await client.close();
      await observer.end();
    },
  };
}
