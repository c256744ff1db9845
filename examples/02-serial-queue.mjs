/** Payments of one account one after another, in order; of several accounts side by side. */
import { setTimeout as sleep } from "node:timers/promises";
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

// What was paid for each account, and how many payments of it ran at once at most.
const seen = new Map(["ada", "bob", "eve"].map((account) => [account, { paid: [], running: 0, most: 0 }]));

const pay = defineTask({
  identifier: "pay",
  defaults: ({ account }) => ({ queueName: `account ${account}` }), // as narrow as the order has to be
  async run({ account, number }) {
    const entry = seen.get(account);
    entry.running += 1;
    entry.most = Math.max(entry.most, entry.running);
    await sleep(10);
    entry.paid.push(number);
    entry.running -= 1;
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [pay],
  concurrency: 8, // more than there are accounts
});

await worker.client.addJobs(
  [1, 2, 3, 4, 5].flatMap((number) => [...seen.keys()].map((account) => ({ task: pay, payload: { account, number } }))),
);
await worker.runOnce();

for (const [account, { paid, most }] of seen) {
  console.log(`${account}: ${paid.join(" ")}, ${most} at once`);
}
await worker.stop();
await postgres.stop();
