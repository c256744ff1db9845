const WORKERS = "pg-boss's documentation, “Workers”";

/** What the scenarios run pg-boss with. */
export const SETTINGS = {
  default: {
    options: { localConcurrency: 24 },
    source: `${WORKERS}: the defaults, with localConcurrency for 24 slots`,
  },
  "groups of 5": {
    options: { localConcurrency: 100, groupConcurrency: 5, pollingIntervalSeconds: 0.5 },
    source: `${WORKERS}, “groupConcurrency”: over all workers, 100 of them, which take one job each`,
  },
  "groups of 50": {
    options: { localConcurrency: 100, groupConcurrency: 50, pollingIntervalSeconds: 0.5 },
    source: "as above",
  },
  tuned: {
    options: { localConcurrency: 4, batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
    source: `${WORKERS}, “work()”: batchSize, burstWhenBatchFull and the shortest polling interval`,
  },
};

export async function open(connectionString, { package: name }, { connections = 25 } = {}) {
  const { PgBoss } = await import(name);
  const boss = new PgBoss({ connectionString, useListenNotify: true, max: connections });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return {
    install: () => boss.createQueue("noop", { notify: true }),
    addBulk: (jobs) =>
      boss.insert(
        "noop",
        jobs.map(({ payload, queue }) => ({ data: payload, ...(queue !== undefined && { group: { id: queue } }) })),
      ),
    addOne: (payload) => boss.send("noop", payload),

    async startWorker(settings, run) {
      await boss.work("noop", SETTINGS[settings].options, async (jobs) => {
        for (const { data } of jobs) await run(data);
      });
      return { stop: () => boss.offWork("noop") };
    },

    close: () => boss.stop({ graceful: false }),
  };
}
