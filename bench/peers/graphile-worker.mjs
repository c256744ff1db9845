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
  mixed: {
    options: {
      concurrentJobs: 200,
      maxPoolSize: 50,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
    source: `${PERFORMANCE}, “Quick stats”, with 200 slots for handlers that wait`,
  },
};

export async function open(connectionString, { package: name }, { connections = 10 } = {}) {
  const { Logger, makeWorkerUtils, run: runWorker } = await import(name);
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString, logger, maxPoolSize: connections });
  return {
    install: () => utils.migrate(),
    addBulk: (jobs) => utils.addJobs(jobs.map(specOf)),
    addOne: (payload) => utils.addJob("noop", payload),

    async startWorker(settings, run) {
      const runner = await runWorker({
        preset: { worker: { ...SETTINGS[settings].options, connectionString, logger } },
        taskList: { noop: (payload) => run(payload) },
        noHandleSignals: true,
      });
      return { stop: () => runner.stop() };
    },

    close: () => utils.release(),
  };
}

function specOf({ payload, queue, priority, runAt }) {
  return { identifier: "noop", payload, queueName: queue, priority, runAt: runAt && new Date(runAt) };
}
