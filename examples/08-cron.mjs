/** A report each morning in São Paulo, stored in the database, looked at ahead of time, and run once by hand. */
import { createWorker, defineTask, every } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";

const postgres = await startPostgresUnlessGiven();

const sendReport = defineTask({
  identifier: "send_report",
  async run({ shop, _cron }) {
    console.log(`a report for ${shop}, asked for at a time: ${_cron?.ts !== undefined}`);
  },
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [sendReport],
});
const { schedules } = worker.client;

await schedules.upsert({
  id: "report of the camel shop",
  task: sendReport,
  schedule: every.day("7:30"),
  timeZone: "America/Sao_Paulo",
  missed: "once", // if no worker ran at that time, one report when the first one starts
  payload: { shop: "camels" },
});

const [first, second] = await schedules.preview("report of the camel shop", 2);
console.log(`every ${(second - first) / 3_600_000} hours, at ${first.toISOString().slice(11, 16)} UTC`);

await schedules.trigger("report of the camel shop"); // one job now, whatever the clock says
await worker.runOnce(); // run() would also add the job of each tick

await schedules.remove("report of the camel shop");
await worker.stop();
await postgres.stop();
