/** A job that fails twice and then succeeds, one that gives up, and one that puts itself off. */
import { createWorker, defineTask, silentLogger, snooze, unrecoverable } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const callPartner = defineTask({
  identifier: "call_partner",
  retry: { type: "fixed", delay: 0 }, // default: after e^attempts seconds
  async run(_payload, { job }) {
    if (job.attempts < 3) throw new Error("the line is busy");
    console.log(`call_partner: answered in attempt ${job.attempts}`);
  },
});

const deliver = defineTask({
  identifier: "deliver",
  async run({ address, paid }) {
    if (!address) throw unrecoverable(new Error("there is no address")); // no further attempt
    if (!paid) return snooze("10m"); // later, and this attempt does not count
    return undefined;
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [callPartner, deliver],
  concurrency: 1,
  logger: silentLogger, // each failed attempt is a warning otherwise
});

await worker.client.addJob(callPartner, {});
const lost = await worker.client.addJob(deliver, { paid: true });
const unpaid = await worker.client.addJob(deliver, { address: "1 Main Street" });
await worker.runOnce();

const failed = await worker.client.getJob(lost.id);
console.log(`deliver: ${failed.state}, ${failed.lastError}`);
const later = await worker.client.getJob(unpaid.id);
console.log(`deliver: ${later.state}, ${later.attempts} attempts counted`);

await worker.client.completeJobs([lost.id, unpaid.id]);
await worker.stop();
await postgres.stop();
