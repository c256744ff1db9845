/** Five jobs in one call of a handler, each with its own outcome: one fails and is tried again, alone. */
import { createWorker, defineGatherTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const notify = defineGatherTask({
  identifier: "notify",
  gather: { size: 100, within: "200ms" },
  retry: { type: "fixed", delay: 0 },
  async runMany(jobs) {
    const people = jobs.map(({ payload }) => payload.to).toSorted((a, b) => a.localeCompare(b));
    console.log(`one call for ${people.join(", ")}`);
    // One entry a job, in order: an Error, or a rejected promise, is a job that failed.
    return jobs.map(({ payload, job }) =>
      payload.to === "bob" && job.attempts === 1 ? new Error("bob is busy") : undefined,
    );
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [notify],
});
worker.hooks.on("jobFail", ({ job, error }) => console.log(`job of ${job.payload.to}: ${error.message}`));

await worker.client.addJobs(["ada", "bob", "cleo", "dan", "eve"].map((to) => ({ task: notify, payload: { to } })));
await worker.runOnce();

await worker.stop();
await postgres.stop();
