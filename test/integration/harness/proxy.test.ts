import pg from "pg";
import { afterAll, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { openProxy, type Proxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";

// What the tests of lost connections stand on.
const database = await createDatabase();
afterAll(() => database.drop());
await database.sql("create table numbers (n integer)");

async function connect({ connectionString }: Proxy) {
  const client = new pg.Client({ connectionString });
  client.on("error", () => {});
  await client.connect();
  const insert = (n: number) => client.query({ name: "insert", text: "insert into numbers values ($1)", values: [n] });
  return { client, insert };
}

const isThere = async (n: number) => (await database.sql("select from numbers where n = $1", [n])).length === 1;

it.each([
  [1, "before", "cut", false],
  [2, "before", "cutClient", true],
  [3, "after", "cut", true],
  [4, "after", "cutClient", true],
] as const)("a statement (%i) that is caught %s and %s has been carried out: %s", async (n, at, end, isDone) => {
  await using proxy = await openProxy(database.connectionString);
  const { insert } = await connect(proxy);
  // Prepared by the first, so that the text does not go along with the second.
  await insert(0);
  const catching = proxy.next("insert into", at);
  const inserting = insert(n);
  const caught = await catching;
  expect(await isThere(n)).toBe(at === "after");
  caught[end]();
  await expect(inserting).rejects.toThrow(/terminated|ECONNRESET/);
  await until(() => proxy.connections === 0);
  if (isDone) await until(() => isThere(n));
  else {
    // Other files use the same server at the same time, and a session that rests shows what it was asked last.
    const sessions = "select from pg_stat_activity where datname = current_database() and query ~ '^insert'";
    await until(async () => (await database.sql(sessions)).length === 0);
    expect(await isThere(n)).toBe(false);
  }
  expect(proxy.statements).toEqual(["insert into numbers values ($1)", "insert into numbers values ($1)"]);
});

it("a statement that is caught and passed goes on as if nothing had been", async () => {
  await using proxy = await openProxy(database.connectionString);
  const { client, insert } = await connect(proxy);
  for (const at of ["before", "after"] as const) {
    const catching = proxy.next(/insert/, at);
    const inserting = insert(5);
    (await catching).pass();
    expect(await inserting).toMatchObject({ rowCount: 1 });
  }
  await client.end();
});

it("what is held goes nowhere, and arrives when it is allowed again", async () => {
  await using proxy = await openProxy(database.connectionString);
  const { client, insert } = await connect(proxy);
  proxy.hold("down");
  const inserting = insert(6);
  await until(() => isThere(6));
  proxy.allow();
  await inserting;
  await client.end();
});

it("connections end after N bytes, and new ones are refused", async () => {
  await using proxy = await openProxy(database.connectionString);
  const { client } = await connect(proxy);
  proxy.cutAfter("down", 1_000);
  await expect(client.query("select repeat('x', 2000)")).rejects.toThrow(/terminated|ECONNRESET/);
  proxy.allow();
  proxy.refuse();
  await expect(connect(proxy)).rejects.toThrow(/terminated|ECONNRESET/);
  proxy.allow();
  await (await connect(proxy)).client.end();
});
