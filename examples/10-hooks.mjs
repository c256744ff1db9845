/** A plugin that counts what happens, and an interceptor that keeps a task from running on holidays. */
import { createWorker, defineTask, silentLogger } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();
const counts = { completed: 0, failed: 0 };

const counter = {
  name: "counter",
  register(hooks) {
    hooks.on("jobComplete", () => (counts.completed += 1));
    hooks.on("jobPermanentlyFail", ({ job, error }) => {
      counts.failed += 1;
      console.log(`${job.task}: ${error.message}`);
    });
  },
};

const greet = defineTask({
  identifier: "greet",
  async run({ name }) {
    console.log(`hello ${name}`);
  },
});

const callCustomer = defineTask({
  identifier: "call_customer",
  async run() {
    throw new Error("never called in this example");
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [greet, callCustomer],
  concurrency: 1,
  logger: silentLogger,
  plugins: [counter],
  hooks: {
    beforeJobSchedule: ({ payload }) => ({ action: "continue", payload: { name: "eve", ...payload } }),
    beforeJobRun({ job }) {
      if (job.task === "call_customer") return { action: "skip" }; // done, without its handler
      return undefined;
    },
  },
});

await worker.client.addJob(greet, {});
await worker.client.addJob(callCustomer, {});
await worker.runOnce();
await worker.stop(); // waits for what hooks still do
console.log(`completed ${counts.completed}, failed ${counts.failed}`);
await postgres.stop();
