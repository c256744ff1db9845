/**
 * Counts what runs of the sources for one add by a client that has added before,
 * and for one whole job of a worker that idles: added, claimed, run, released.
 * Prints `{ add, job }` as JSON: node --import ./scripts/typescript.mjs scripts/structure/run-time.ts CONNECTION_STRING
 */
import { fileURLToPath } from "node:url";
import { createClient, createWorker, defineTask } from "../../src/index.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createCounter } from "./touched.ts";

const [connectionString = ""] = process.argv.slice(2);
const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));
const WARM = 30;
/** Longer than an answer takes, shorter than anything that comes by itself. */
const SETTLED_MS = 100;

const task = defineTask({ identifier: "structure", run: () => {} });
const counter = await createCounter(SOURCES);
const client = await createClient({ connectionString, logger: silentLogger });
await client.migrate();

const add = () => client.addJob("nobody-runs-this", { some: "payload" });
for (let times = 0; times < WARM; times += 1) await add();
const added = await counter.during(add);

const worker = await createWorker({ connectionString, tasks: [task], pollInterval: "1h", logger: silentLogger });
const running = worker.run();
const settled = () => new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
async function wholeJob(): Promise<void> {
  const completed = new Promise<void>((resolve) => {
    const off = worker.hooks.on("jobComplete", () => {
      off();
      resolve();
    });
  });
  await client.addJob(task);
  await completed;
  await settled();
}
for (let times = 0; times < WARM; times += 1) await wholeJob();
const ran = await counter.during(wholeJob);

await worker.stop();
await running;
await client.close();
counter.close();
console.log(JSON.stringify({ add: added, job: ran }));
