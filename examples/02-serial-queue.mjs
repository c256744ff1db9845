/** Payments of one account one after another, in order; of several accounts side by side. */
import { setTimeout as sleep } from "node:timers/promises";
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const seen = new Map(); // account → what was paid, and how many payments of it ran at once at most

const pay = defineTask({
  identifier: "pay",
  defaults: ({ account }) => ({ queueName: `account ${account}` }), // as narrow as the order has to be
  async run({ account, number }) {
    const entry = seen.get(account) ?? { paid: [], running: 0, most: 0 };
    seen.set(account, entry);
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
  [1, 2, 3, 4, 5].flatMap((number) =>
    ["ada", "bob", "eve"].map((account) => ({ task: pay, payload: { account, number } })),
  ),
);
await worker.runOnce();

for (const [account, { paid, most }] of [...seen].sort()) {
  console.log(`${account}: ${paid.join(" ")}, ${most} at once`);
}
await worker.stop();
await postgres.stop();
