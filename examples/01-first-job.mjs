/** A task, three jobs, and a worker that runs those that are due. */
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const sendEmail = defineTask({
  identifier: "send_email",
  async run(payload, { job }) {
    console.log(`attempt ${job.attempts}: an email to ${payload.to}`);
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples", // default "howdah"; made at the first start
  tasks: [sendEmail],
  concurrency: 1, // one job at a time, so that the output has an order
});

await worker.client.addJob(sendEmail, { to: "ada@example.com" });
await worker.client.addJob(sendEmail, { to: "bob@example.com" }, { priority: -10 }); // lower runs first
const later = await worker.client.addJob(sendEmail, { to: "eve@example.com" }, { runAt: "2099-01-01T08:00:00Z" });

const { completed, ended } = await worker.runOnce();
console.log(`${completed} jobs completed, ${ended}`);

const waiting = await worker.client.getJob(later.id);
console.log(`the third is ${waiting?.state} for ${waiting?.runAt.toISOString()}`);

// Clean up, so that the example can be run again.
await worker.client.completeJobs([later.id]);
await worker.stop();
await postgres.stop();
