import { afterAll, expect, it } from "vitest";
import { createSchema } from "../../../src/postgres/schema.ts";
import { withoutOthers } from "../../../src/postgres/layout/without-others.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase({ migrate: false });
const { driver } = database;
afterAll(() => database.drop());
const schema = createSchema("mine");

it("works one after another, and builds of indexes go on beside who works and who waits", async () => {
  await database.sql("create table built (n integer)");
  const ended: string[] = [];
  const builder = await database.connect();
  await builder.query("set statement_timeout = '10s'");
  const first = withoutOthers({ driver, schema }, async () => {
    const second = withoutOthers({ driver, schema }, async () => ended.push("second"));
    // Long enough for the second one to try many times, with a build under way at each.
    for (let built = 0; built < 60; built += 1) {
      await builder.query("create index concurrently built_n on built (n)");
      await builder.query("drop index concurrently built_n");
    }
    ended.push("first");
    return { second };
  });
  await (
    await first
  ).second;
  expect(ended).toEqual(["first", "second"]);
});
