/** One job with three items, of which one fails and is tried again, alone. */
import { createWorker, defineBatchTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const resizeImages = defineBatchTask({
  identifier: "resize_images",
  retry: { type: "fixed", delay: 0 },
  async runBatch(items, { job }) {
    console.log(`attempt ${job.attempts}: ${items.map(({ image }) => image).join(", ")}`);
    // One entry an item, in order: an Error, or a rejected promise, is an item that failed.
    return items.map(({ image }) =>
      image === "camel.png" && job.attempts === 1 ? new Error(`${image} is still being uploaded`) : undefined,
    );
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [resizeImages],
});
worker.hooks.on("jobFail", ({ job, error }) => console.log(`job of ${job.payload.length}: ${error.message}`));

await worker.client.addBatchJob(resizeImages, [{ image: "tiger.png" }, { image: "camel.png" }, { image: "crane.png" }]);
await worker.runOnce();

await worker.stop();
await postgres.stop();
