/** A test of a job: it is added, run, and looked at, without waiting for a worker. */
import assert from "node:assert/strict";
import { createWorker, defineTask, silentLogger } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const welcome = defineTask({
  identifier: "welcome",
  async run({ to }, { state }) {
    await state.send(to);
  },
});

// The one line that a test has of its own: instead of a mail server it gives the worker a list.
const sent = [];
const state = { send: async (to) => void sent.push(to) };

const postgres = await startPostgresUnlessGiven();
const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [welcome],
  state,
  logger: silentLogger,
  shutdown: { osSignals: false },
});

await worker.client.addJob(welcome, { to: "ada@example.com" });
const { completed } = await worker.runOnce(); // all that is due, and what that adds
assert.equal(completed, 1);
assert.deepEqual(sent, ["ada@example.com"]);
console.log("a new customer is greeted");

const job = await worker.client.addJob(welcome, { to: "bob@example.com" }, { runAt: "2099-01-01T08:00:00Z" });
assert.equal((await worker.runOnce()).completed, 0);
await worker.client.rescheduleJobs([job.id], { runAt: new Date(0) }); // the day is here
assert.equal((await worker.runOnce()).completed, 1);
console.log("a customer of 2099 is greeted in 2099");

await worker.stop();
await postgres.stop();
