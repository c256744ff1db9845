/** A caller waits for what a job returns in another part of the program, and follows how far it is. */
import { createClient, createWorker, defineTask, isHowdahError } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();
const connection = { connectionString: postgres.connectionString, schema: "howdah_examples" };

const sum = defineTask({
  identifier: "sum",
  logs: true,
  run({ numbers }, { progress, log }) {
    let total = 0;
    for (const [done, number] of numbers.entries()) {
      total += number;
      progress({ done: done + 1, of: numbers.length });
    }
    log("added up", { total });
    return { total };
  },
});

// As if it were another process: the two have only the database in common.
const worker = await createWorker({ ...connection, tasks: [sum] });
const running = worker.run();
const client = await createClient(connection);

const job = await client.addJob(sum, { numbers: [1, 2, 3, 4] }, { awaited: true });
const { total } = await client.result(job, { timeout: "30s" });
console.log(`the sum is ${total}`);

const late = await client.addJob(sum, { numbers: [] }, { runIn: "1h", awaited: true });
try {
  await client.result(late, { timeout: 100 });
} catch (error) {
  if (!isHowdahError(error, "HOWDAH_RESULT_TIMEOUT")) throw error;
  console.log("the other sum takes longer than we wait");
}

await client.completeJobs([late.id]);
await client.close();
await worker.stop();
await running;
await postgres.stop();
