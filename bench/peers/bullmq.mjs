const GUIDE = "BullMQ's documentation, “PostgreSQL backend”";

/** What the scenarios run BullMQ with. */
export const SETTINGS = {
  default: { options: { concurrency: 24 }, source: "the defaults, with concurrency for 24 slots" },
  "1,000 a second": {
    options: { concurrency: 100, limiter: { max: 1_000, duration: 1_000 } },
    source: "BullMQ's documentation, “Rate limiting”: a limiter of the queue",
  },
  tuned: {
    options: { concurrency: 32 },
    source: `${GUIDE}: the concurrency of “Indicative numbers”; pool size and removeOnComplete as in “Tuning tips”`,
  },
};

export async function open(connectionString, { package: name }, { connections = 32 } = {}) {
  const { createPostgresBackend, Queue, Worker } = await import(name);
  const connection = { connectionString, migrate: true, max: connections };
  const queue = new Queue("noop", { connection, defaultJobOptions: { removeOnComplete: true } }, createPostgresBackend);
  return {
    install: () => queue.waitUntilReady(),
    addBulk: (jobs) => queue.addBulk(jobs.map(({ payload }) => ({ name: "noop", data: payload }))),
    addOne: (payload) => queue.add("noop", payload),

    async startWorker(settings, run) {
      const options = { ...SETTINGS[settings].options, connection };
      const worker = new Worker("noop", async ({ data }) => run(data), options, createPostgresBackend);
      worker.on("error", (error) => console.error(error));
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },

    async countLeft() {
      const counts = await queue.getJobCounts("wait", "active");
      return counts.wait + counts.active;
    },

    close: () => queue.close(),
  };
}
