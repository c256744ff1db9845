/** Two thousand small jobs, claimed in batches and run from memory; and a worker that goes on until it is told to stop. */
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const JOBS = 2_000;
const postgres = await startPostgresUnlessGiven();

const count = defineTask({
  identifier: "count",
  async run() {},
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [count],
  concurrency: 10,
  localQueue: { size: 500, ttl: "1m" }, // claimed together, returned if they wait longer than a minute
});

await worker.client.addJobs(Array.from({ length: JOBS }, (_, number) => ({ task: count, payload: { number } })));

let completed = 0;
let fetches = 0;
worker.hooks.on("localQueueGetJobsComplete", ({ count: jobs }) => {
  if (jobs > 0) fetches += 1;
});
worker.hooks.on("jobComplete", () => {
  completed += 1;
  if (completed === JOBS) void worker.stop(); // a service does this on SIGTERM, by itself
});

await worker.run();
console.log(`${completed} jobs completed, claimed in ${fetches} fetches`);
await postgres.stop();
