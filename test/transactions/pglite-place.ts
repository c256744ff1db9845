import { PGlite } from "@electric-sql/pglite";
import { applyMigrations } from "../../src/postgres/apply-migrations.ts";
import type { Driver } from "../../src/postgres/driver.ts";
import { pgliteDriver } from "../../src/postgres/drivers/pglite.ts";
import { createSchema } from "../../src/postgres/schema.ts";
import type { WorkerDatabase } from "../harness/database.ts";

/** A database of PGlite, for the tests that servers have. */
export interface PGliteDatabase extends WorkerDatabase {
  readonly db: PGlite;
  createDriver(): Driver;
}

/** Makes one, with the schema of the queue or without it. */
export async function createPGliteDatabase({
  migrate = true,
}: { readonly migrate?: boolean } = {}): Promise<PGliteDatabase> {
  const db = await PGlite.create();
  const schema = createSchema("howdah");
  const drivers: Driver[] = [];
  const createDriver = (): Driver => {
    const driver = pgliteDriver(db);
    drivers.push(driver);
    return driver;
  };
  if (migrate) await applyMigrations({ driver: createDriver(), schema });
  return {
    db,
    // Its database has this name.
    connectionString: "postgresql:///postgres",
    schema,
    createDriver,
    async sql(text, values) {
      if (values) return (await db.query<Record<string, unknown>>(text, values)).rows;
      return ((await db.exec(text)).at(-1)?.rows ?? []) as Record<string, unknown>[];
    },
    async drop() {
      await Promise.all(drivers.map((driver) => driver.close()));
      await db.close();
    },
  };
}
