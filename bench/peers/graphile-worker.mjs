import pg from "pg";

const PERFORMANCE = "graphile-worker's documentation, “Performance”";

/** What the scenarios run graphile-worker with. */
export const SETTINGS = {
  default: {
    options: { concurrentJobs: 24, maxPoolSize: 25 },
    source: `${PERFORMANCE}, “perfTest results”, “Without batching”`,
  },
  tuned: {
    options: {
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
    source: `${PERFORMANCE}, “Quick stats”`,
  },
  large: {
    options: {
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 4_000 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
    source: "as above with a larger local queue, because it is faster here",
  },
};

export async function open(connectionString, { package: name }) {
  const { Logger, makeWorkerUtils, run: runWorker } = await import(name);
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString, logger });
  const observer = new pg.Pool({ connectionString, max: 1 });
  return {
    install: () => utils.migrate(),
    addBulk: (jobs) =>
      utils.addJobs(jobs.map(({ payload, queue }) => ({ identifier: "noop", payload, queueName: queue }))),
    addOne: (payload) => utils.addJob("noop", payload),

    async startWorker(settings, run) {
      const runner = await runWorker({
        preset: { worker: { ...SETTINGS[settings].options, connectionString, logger } },
        taskList: { noop: (payload) => run(payload) },
        noHandleSignals: true,
      });
      return { stop: () => runner.stop() };
    },

    async countLeft(total) {
      const { rows } = await observer.query(
        "select count(*)::integer from graphile_worker._private_jobs where id <= $1",
        [total],
      );
      return rows[0].count;
    },

    async close() {
      await utils.release();
      await observer.end();
    },
  };
}
