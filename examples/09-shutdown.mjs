/** A worker that is stopped in the middle of a long job, and another that runs it again: no attempt is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { createWorker, defineTask, silentLogger } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();
let isSlow = true;

const exportAll = defineTask({
  identifier: "export_all",
  async run(_payload, { job, signal }) {
    console.log(`attempt ${job.attempts} begins`);
    // What takes long gets the signal: it is aborted when the grace period is over.
    if (isSlow) await sleep(60_000, undefined, { signal });
    console.log(`attempt ${job.attempts} ends`);
  },
});

const options = {
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [exportAll],
  logger: silentLogger,
  shutdown: { gracePeriod: 50, interruptedJobRetryDelay: 0 }, // five seconds and half a minute by default
};

const first = await createWorker(options);
first.hooks.on("jobStart", () => void first.stop()); // a service does this on SIGTERM, by itself
first.hooks.on("jobInterrupted", ({ reason }) => console.log(`interrupted: ${reason}`));
await first.client.addJob(exportAll, {});
await first.run(); // resolves when everything is released

isSlow = false;
const second = await createWorker(options);
await second.runOnce();
await second.stop();
await postgres.stop();
