import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const GUIDE = new URL("../../../docs/guides/sql-triggers.md", import.meta.url);

const database = await createDatabase();
afterAll(() => database.drop());

beforeAll(async () => {
  const guide = await readFile(GUIDE, "utf8");
  for (const [, sql] of guide.matchAll(/^```sql\n(.*?)^```$/gms)) await database.sql(String(sql));
});
beforeEach(() => database.sql("truncate howdah._private_jobs"));

const session = await database.connect();
const jobs = async () => {
  const rows = await database.sql(`
    select task_identifier as task, queue_name as queue, jobs.revision, payload
    from howdah.jobs join howdah._private_jobs using (id) order by id`);
  return rows.map((row) => Object.values(row));
};

describe("the triggers of the guide", () => {
  it("adds a job when the change commits", async () => {
    await session.query("begin");
    const { rows } = await session.query("insert into orders (email) values ('a') returning id");
    await session.query("update orders set state = 'paid'");
    await session.query("update orders set email = 'b'");
    expect(await jobs()).toEqual([]);
    await session.query("commit");
    const id = Number(rows[0].id);
    expect(await jobs()).toEqual([
      ["order_changed", "orders", 0, { id, state: "new" }],
      ["order_changed", "orders", 0, { id, state: "paid" }],
    ]);
  });

  it("leaves no job behind when the change is rolled back, as a whole or to a savepoint", async () => {
    await session.query("begin; insert into orders (email) values ('a'); rollback");
    await session.query("begin; savepoint before; insert into orders (email) values ('a'); rollback to before; commit");
    expect(await jobs()).toEqual([]);
  });

  it("adds up changes to one job, at the time of the first", async () => {
    await session.query("insert into documents (body) values ('a')");
    const [before] = await database.sql("select run_at from howdah.jobs");
    await session.query("update documents set body = 'b'");
    expect(await jobs()).toMatchObject([["index_document", null, 1, {}]]);
    expect(await database.sql("select run_at from howdah.jobs")).toEqual([before]);
  });

  it("adds the jobs of one statement together, in order", async () => {
    await session.query("insert into products (name) select 'product ' || n from generate_series(1, 1000) as n");
    const { rows } = await session.query("select array_agg(id order by id) as ids from products");
    const added = await jobs();
    expect(added.map(([task, , , payload]) => [task, payload])).toEqual(
      rows[0].ids.map((id: string) => ["index_product", { id: Number(id) }]),
    );
  });
});
