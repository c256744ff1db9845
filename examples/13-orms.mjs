/** An order and its confirmation in the transactions of Kysely, Drizzle and TypeORM: both are there, or neither. */
// npm install --no-save kysely drizzle-orm typeorm
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgSchema, text } from "drizzle-orm/pg-core";
import { createClient, createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { DataSource, EntitySchema } from "typeorm";

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

const client = await createClient({ pool, schema: "howdah_examples" });

const kysely = new Kysely({ dialect: new PostgresDialect({ pool }) }).withSchema("howdah_examples");

function orderWithKysely(goods, check) {
  return kysely.transaction().execute(async (trx) => {
    const { id } = await trx.insertInto("orders").values({ goods }).returning("id").executeTakeFirstOrThrow();
    await client.inTransaction(trx).addJob(confirmOrder, { id });
    check();
  });
}

const drizzled = drizzle(pool);
const orders = pgSchema("howdah_examples").table("orders", {
  id: integer().generatedAlwaysAsIdentity(),
  goods: text(),
});

function orderWithDrizzle(goods, check) {
  return drizzled.transaction(async (tx) => {
    const [{ id }] = await tx.insert(orders).values({ goods }).returning({ id: orders.id });
    await client.inTransaction(tx).addJob(confirmOrder, { id });
    check();
  });
}

const Order = new EntitySchema({
  name: "Order",
  schema: "howdah_examples",
  tableName: "orders",
  columns: { id: { type: "int", primary: true, generated: "identity" }, goods: { type: "text" } },
});
const source = await new DataSource({
  type: "postgres",
  url: postgres.connectionString,
  entities: [Order],
}).initialize();

function orderWithTypeorm(goods, check) {
  return source.transaction(async (manager) => {
    const { id } = await manager.save(Order, { goods });
    await client.inTransaction(manager).addJob(confirmOrder, { id });
    check();
  });
}

for (const [library, order] of Object.entries({
  Kysely: orderWithKysely,
  Drizzle: orderWithDrizzle,
  TypeORM: orderWithTypeorm,
})) {
  await order(`a saddle, with ${library}`, () => {});
  const refuse = () => {
    throw new Error("100 saddles were not paid for");
  };
  await order(`100 saddles, with ${library}`, refuse).catch((error) => console.log(`rolled back: ${error.message}`));
}

const worker = await createWorker({ pool, schema: "howdah_examples", tasks: [confirmOrder], concurrency: 1 });
const { completed } = await worker.runOnce();
console.log(`${completed} jobs completed`);

await worker.stop();
await client.close();
await source.destroy();
await pool.end();
await postgres.stop();
