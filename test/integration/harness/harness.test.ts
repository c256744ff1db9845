import { expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

it("gives every caller a database of its own, with the schema in it", async () => {
  await using first = await createDatabase();
  await using second = await createDatabase();
  await first.sql("create table only_here ()");
  expect(await second.sql("select to_regclass('only_here') as found")).toEqual([{ found: null }]);
  const jobs = "select to_regclass($1) is not null as there";
  expect(await second.sql(jobs, [second.schema.of("_private_jobs")])).toEqual([{ there: true }]);
});

it("migrates a schema of another name, and none when told so", async () => {
  await using other = await createDatabase({ schema: 'My "own" schema' });
  const [row] = await other.sql("select to_regclass($1) is not null as there", [other.schema.of("_private_jobs")]);
  expect(row).toEqual({ there: true });

  await using empty = await createDatabase({ migrate: false });
  expect(await empty.sql("select from pg_namespace where nspname = 'howdah'")).toEqual([]);
  expect((await empty.driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
});

it("drops a database with connected sessions", async () => {
  const database = await createDatabase({ migrate: false });
  await database.connect();
  await database.drop();
  await expect(database.connect()).rejects.toMatchObject({ code: "3D000" });
});

it("says what it waited for, and why that did not happen", async () => {
  const reason = new Error("not yet");
  const waiting = until(() => Promise.reject(reason), { deadlineMs: 1, message: "the impossible" });
  await expect(waiting).rejects.toMatchObject({
    message: expect.stringContaining("the impossible") as unknown,
    cause: reason,
  });
});
