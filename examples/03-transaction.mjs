/** An order and its confirmation: both are there, or neither. */
import { createClient, createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";
import pg from "pg";

const postgres = await startPostgresUnlessGiven();
const pool = new pg.Pool({ connectionString: postgres.connectionString });
await pool.query("create schema if not exists howdah_examples");
await pool.query("create table if not exists howdah_examples.orders (id int generated always as identity, goods text)");

const confirmOrder = defineTask({
  identifier: "confirm_order",
  async run({ id }, context) {
    const { rows } = await context.query("select goods from howdah_examples.orders where id = $1", [String(id)]);
    console.log(`confirmed: ${rows[0]?.[0]}`);
  },
});

// A client adds jobs without running them. It can use the pool that the application has anyway.
const client = await createClient({ pool, schema: "howdah_examples" });

async function order(goods, { paid }) {
  const session = await pool.connect();
  try {
    await session.query("begin");
    const { rows } = await session.query("insert into howdah_examples.orders (goods) values ($1) returning id", [
      goods,
    ]);
    await client.inTransaction(session).addJob(confirmOrder, { id: rows[0].id });
    if (!paid) throw new Error(`${goods} were not paid for`);
    await session.query("commit");
  } catch (error) {
    await session.query("rollback");
    console.log(`rolled back: ${error.message}`);
  } finally {
    session.release();
  }
}

await order("100 saddles", { paid: false });
await order("3 blankets", { paid: true });

const worker = await createWorker({ pool, schema: "howdah_examples", tasks: [confirmOrder] });
const { completed } = await worker.runOnce();
console.log(`${completed} job completed`);

await worker.stop();
await client.close();
await pool.end();
await postgres.stop();
