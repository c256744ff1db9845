const WORKERS = "pg-boss's documentation, “Workers”";

const GROUPED = { localConcurrency: 2, batchSize: 50, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };

/** What the scenarios run pg-boss with. */
export const SETTINGS = {
  default: {
    options: { localConcurrency: 24 },
    source: `${WORKERS}: the defaults, with localConcurrency for 24 slots`,
  },
  "groups of 5": {
    options: { ...GROUPED, groupConcurrency: 5 },
    source: `${WORKERS}, “groupConcurrency”: two fetches of 50 jobs at a time, which run at once, because 100 that fetch one job each do 7 jobs a second`,
  },
  "groups of 50": { options: { ...GROUPED, groupConcurrency: 50 }, source: "as above" },
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
      const { options } = SETTINGS[settings];
      await boss.work("noop", options, async (jobs) => {
        // With groups the scenarios count what runs at once, which is for the handler to decide.
        if (options.groupConcurrency !== undefined) return void (await Promise.all(jobs.map(({ data }) => run(data))));
        for (const { data } of jobs) await run(data);
      });
      return { stop: () => boss.offWork("noop") };
    },

    close: () => boss.stop({ graceful: false }),
  };
}
