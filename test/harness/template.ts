import { randomBytes } from "node:crypto";
import pg from "pg";
import { pgDriver } from "../../src/postgres/drivers/pg.ts";
import { applyMigrations } from "../../src/postgres/apply-migrations.ts";
import { adoptSchema } from "../../src/postgres/layout/adopt-schema.ts";
import { createSchema } from "../../src/postgres/schema.ts";
import { foreignSchemaSql } from "./foreign-schema.ts";

/** The schema that the template holds. */
export const TEMPLATE_SCHEMA = "howdah";

/** The database that `createDatabase` copies. Travels from the global setup to the tests as JSON. */
export interface Template {
  readonly name: string;
  /** Why there is no schema in it; tests of what is below the schema can still run. */
  readonly problem: string | undefined;
}

/**
 * Makes a database with a migrated schema; with `HOWDAH_TEST_LAYOUT=shared` one that
 * graphile-worker made and that was adopted. Rejects only when
 * the database itself cannot be made.
 */
export async function createTemplate(serverUrl: string): Promise<Template> {
  const name = `howdah_template_${randomBytes(4).toString("hex")}`;
  await administer(serverUrl, `create database ${name} template template0 encoding 'UTF8'`);
  const driver = pgDriver({ connectionString: urlOfDatabase(serverUrl, name) });
  try {
    const schema = createSchema(TEMPLATE_SCHEMA);
    if (process.env["HOWDAH_TEST_LAYOUT"] === "shared") {
      await administer(urlOfDatabase(serverUrl, name), foreignSchemaSql(schema.name));
      await adoptSchema({ driver, schema, watchMs: 0 });
    } else await applyMigrations({ driver, schema });
    return { name, problem: undefined };
  } catch (error) {
    return { name, problem: `The test schema could not be migrated: ${String(error)}` };
  } finally {
    await driver.close();
  }
}

/** Removes what {@link createTemplate} made. */
export async function dropTemplate(serverUrl: string, { name }: Template): Promise<void> {
  await administer(serverUrl, `drop database if exists ${name} with (force)`);
}

/** Runs one statement on the server's own database, outside of any transaction. */
export async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The same server and user, another database. */
export function urlOfDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}
