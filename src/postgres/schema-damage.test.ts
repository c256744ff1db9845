import { expect, it, vi } from "vitest";
import "../index.ts";
import type { Executor } from "./driver.ts";
import { migrations } from "./migrations.generated.ts";
import { findDamage } from "./schema-damage.ts";
import { functionDetail, objectsOf } from "./schema-objects.ts";
import { readSchemaState } from "./schema-revision.ts";
import { createSchema } from "./schema.ts";

/** How often the text of a migration was asked for. */
const reads = vi.hoisted(() => ({ count: 0 }));

vi.mock(import("./migrations.generated.ts"), async (importOriginal) => {
  const { migrations: released } = await importOriginal();
  const watched = released.map((migration) =>
    Object.defineProperty({ ...migration }, "sql", {
      get() {
        reads.count += 1;
        return migration.sql;
      },
    }),
  );
  return { migrations: watched };
});

it("reads the migrations when a schema is looked at, not when the package is imported, and each of them once", async () => {
  expect(reads.count).toBe(0);

  const schema = createSchema("howdah");
  const nothing: Executor = { query: () => Promise.resolve({ rows: [["180000", "f", null]], count: 1 }) };
  const state = await readSchemaState(nothing, schema);
  expect(reads.count).toBe(migrations.length);

  const { plain, functions } = objectsOf(migrations);
  const found = [...plain, ...[...functions].map(([key, made]) => [key, functionDetail(made, schema)])];
  const whole: Executor = { query: () => Promise.resolve({ rows: found, count: found.length }) };
  const ids = migrations.map(({ id }) => id);
  const revision = ids.at(-1) ?? 0;
  const migrated = { ...state, applied: ids, revision, shared: 20 };
  expect(await findDamage(whole, schema, { state: migrated, migrations })).toBeUndefined();
  expect(reads.count).toBe(migrations.length);
});
