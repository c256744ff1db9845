const QUEUES = "DBOS's documentation, “Queues & Concurrency”";
const SHARED = { workerConcurrency: 100, minPollingIntervalMs: 100 };

/** What the scenarios run DBOS with. */
export const SETTINGS = {
  "keys of 5": {
    options: { ...SHARED, partitionConcurrency: 5 },
    source: `${QUEUES}: a partitioned queue, whose limits hold for each partition key, looked at ten times as often as by default`,
  },
  "keys of 50": { options: { ...SHARED, partitionConcurrency: 50 }, source: "as above" },
  "1,000 a second": {
    options: { ...SHARED, partitionRateLimit: { limitPerPeriod: 1_000, periodSec: 1 } },
    source: `${QUEUES}: a rate for each partition key`,
  },
};

const AT_ONCE = 50;

export async function open(connectionString, { package: name }) {
  const { DBOS, DBOSClient } = await import(name);
  let client;
  // Its schema is made by a launch; one that listens to no queue runs nothing.
  const launch = async (more) => {
    DBOS.setConfig({
      name: "bench",
      systemDatabaseUrl: connectionString,
      systemDatabasePoolSize: 25,
      logLevel: "error",
      runAdminServer: false,
      executorID: `bench-${process.pid}`,
      ...more,
    });
    await DBOS.launch();
  };
  return {
    async install() {
      await launch({ listenQueues: [] });
      await DBOS.shutdown();
      client = await DBOSClient.create({ systemDatabaseUrl: connectionString, systemDatabasePoolSize: AT_ONCE });
    },

    async addBulk(jobs) {
      for (let from = 0; from < jobs.length; from += AT_ONCE) {
        await Promise.all(
          jobs
            .slice(from, from + AT_ONCE)
            .map(({ payload, queue }) =>
              client.enqueue({ queueName: "noop", workflowName: "noop", queuePartitionKey: queue }, payload),
            ),
        );
      }
    },

    async startWorker(settings, run) {
      DBOS.registerWorkflow((payload) => run(payload), { name: "noop" });
      await launch();
      await DBOS.registerQueue("noop", { ...SETTINGS[settings].options, onConflict: "always_update" });
      return { stop: () => DBOS.shutdown() };
    },

    close: () => client?.destroy(),
  };
}
