import pg from "pg";
import { createClient, createWorker, defineTask, silentLogger } from "../../dist/index.js";

/** What the scenarios run Howdah with. */
export const SETTINGS = {
  default: { options: { concurrency: 24 }, source: "the defaults, with as many slots as the others" },
  t250_2: { options: { concurrency: 24, localQueue: { size: 250, queueCount: 2 } }, source: '' },
  t500_2: { options: { concurrency: 24, localQueue: { size: 500, queueCount: 2 } }, source: '' },
  t1000_1: { options: { concurrency: 24, localQueue: { size: 1000, queueCount: 1 } }, source: '' },
  t1000_2: { options: { concurrency: 24, localQueue: { size: 1000, queueCount: 2 } }, source: '' },
  t2000_2: { options: { concurrency: 24, localQueue: { size: 2000, queueCount: 2 } }, source: '' },
  t500_4: { options: { concurrency: 24, localQueue: { size: 500, queueCount: 4 } }, source: '' },
  t2000_1: { options: { concurrency: 24, localQueue: { size: 2000, queueCount: 1 } }, source: '' },
  t1000_4: { options: { concurrency: 24, localQueue: { size: 1000, queueCount: 4 } }, source: '' },
  t4000_1: { options: { concurrency: 24, localQueue: { size: 4000, queueCount: 1 } }, source: '' },
  tuned: {
    options: { concurrency: 24, localQueue: { size: 500 } },
    source: "docs/benchmarks.md, the same sizes as graphile-worker's own performance test",
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
      const { rows } = await observer.query("select count(*)::integer from howdah._private_jobs where id <= $1", [total]);
      return rows[0].count;
    },

    async close() {
      await client.close();
      await observer.end();
    },
  };
}
