/** Two workers that are killed right after they have moved money: one of them moves it again. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";
import pg from "pg";

const [, , role, connectionString] = process.argv;

const move = `with booked as (insert into howdah_examples.bookings (payer) values ($1))
  update howdah_examples.accounts set balance = balance - 10 where name = $1`;

const tasks = [
  // Done at least once: the payment is committed, and the end of the job is written down afterwards.
  defineTask({
    identifier: "pay",
    async run({ payer }, context) {
      await context.query(move, [payer]);
      dieInTheFirstWorker();
    },
  }),
  // Done exactly once: the payment and the end of the job are committed together.
  defineTask({
    identifier: "pay_once",
    async run({ payer }, context) {
      await context.withTransaction(async (transaction) => {
        await transaction.query({ text: move, values: [payer] });
        await context.complete(transaction);
      });
      dieInTheFirstWorker();
    },
  }),
];

function dieInTheFirstWorker() {
  if (role === "killed") process.kill(process.pid, "SIGKILL");
}

const options = { schema: "howdah_examples", tasks, concurrency: 1 };
if (role === "killed") {
  const worker = await createWorker({ connectionString, ...options });
  process.send(worker.id);
  await worker.run();
} else {
  await main();
}

async function main() {
  const postgres = await startPostgresUnlessGiven();
  const worker = await createWorker({ connectionString: postgres.connectionString, ...options });
  const pool = new pg.Pool({ connectionString: postgres.connectionString });
  await pool.query(`
    create table if not exists howdah_examples.accounts (name text primary key, balance int);
    create table if not exists howdah_examples.bookings (payer text);
    truncate howdah_examples.accounts, howdah_examples.bookings;
    insert into howdah_examples.accounts values ('ada', 100), ('bob', 100)`);

  for (const [task, payer] of [
    ["pay", "ada"],
    ["pay_once", "bob"],
  ]) {
    await worker.client.addJob(task, { payer });
    const child = fork(fileURLToPath(import.meta.url), ["killed", postgres.connectionString]);
    const [id] = await once(child, "message");
    const [, signal] = await once(child, "exit");
    // Other workers find out by themselves that it is dead. This one does not wait for that.
    await worker.client.forceUnlockWorkers([id]);
    const { completed } = await worker.runOnce();
    const { rows } = await pool.query("select balance from howdah_examples.accounts where name = $1", [payer]);
    console.log(`${task}: ${signal}, ran again: ${completed === 1}, ${payer} has ${rows[0].balance}`);
  }

  await worker.stop();
  await pool.end();
  await postgres.stop();
}
