import { expect, it } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { startNode } from "../harness/process.ts";

it("a transaction of postgres.js stores nothing when its connection is lost before the commit", async () => {
  await using database = await createDatabase();
  await database.sql("create table orders (id integer primary key)");
  const howdah = new URL("../../dist/index.js", import.meta.url).href;
  const script = new URL("fixtures/lost-connection.mjs", import.meta.url);
  const process = await startNode(script, { args: [howdah, database.connectionString] });
  await process.line("added");
  await process.ended;
  expect(await database.sql("select from orders")).toEqual([]);
  expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
});
