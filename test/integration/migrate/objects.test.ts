import { afterAll, expect, it } from "vitest";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { readObjects } from "../../../src/postgres/read-objects.ts";
import { functionDetail, objectsOf } from "../../../src/postgres/schema-objects.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
const { driver, schema } = database;

const objects = objectsOf(migrations);
const expected = new Map([
  ...objects.plain,
  ...[...objects.functions].map(([key, made]): [string, string] => [key, functionDetail(made, schema)]),
]);

it("what migrations make is read from their text as the catalogs have it", async () => {
  const found = await readObjects(driver, schema, objects);
  for (const [key, detail] of expected) expect([key, found.get(key)]).toEqual([key, detail]);
});

it("no object of a migration is overlooked", async () => {
  const relations = await database.sql(`
    select relname::text as name from pg_class
    where relnamespace = 'howdah'::regnamespace and relname not like '\\_howdah\\_migrations%'
      and not exists (select from pg_constraint where conindid = pg_class.oid)
      and not (relispartition and relkind in ('i', 'I'))
    union all
    select proname from pg_proc where pronamespace = 'howdah'::regnamespace
    union all
    select typname from pg_type where typnamespace = 'howdah'::regnamespace and typrelid = 0 and typelem = 0`);
  const keys = [...expected.keys()].map((key) => key.replace(/^\w+ |\(.*$/g, ""));
  expect(relations.map(({ name }) => name as string).filter((name) => !keys.includes(name))).toEqual([]);
  const details = await database.sql(`
    select relname || '.' || attname as name from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'howdah'::regnamespace and relkind in ('r', 'p', 'c') and not relispartition and attnum > 0
      and relname <> '_howdah_migrations'
    union all
    select relname || '.' || conname from pg_constraint join pg_class on pg_class.oid = conrelid
    where relnamespace = 'howdah'::regnamespace and contype in ('p', 'u', 'c') and not relispartition and relname <> '_howdah_migrations'
    union all
    select relname || '.' || tgname from pg_trigger join pg_class on pg_class.oid = tgrelid
    where relnamespace = 'howdah'::regnamespace`);
  expect(details.map(({ name }) => name as string).filter((name) => !keys.includes(name))).toEqual([]);
});
