import { HowdahError } from "../errors.ts";
import type { Cell, Executor } from "./driver.ts";
import { quoteIdentifier, type Schema } from "./schema.ts";
import { sqlStateOf } from "./sqlstate.ts";

/**
 * Turns "permission denied" (SQLSTATE 42501) into `HOWDAH_DATABASE_FORBIDDEN`
 * with the grant that is missing; other errors come back as they are.
 */
export async function forbiddenFor(executor: Executor, schema: Schema, error: unknown): Promise<unknown> {
  if (sqlStateOf(error) !== "42501") return error;
  // In a transaction that has failed nothing can be asked.
  const answer = await executor.query({ text: RIGHTS, values: [schema.name] }).catch(() => undefined);
  const row = answer?.rows[0];
  if (!row) return error;
  const [role, database, owner, mayCreateSchema, mayFill] = row;
  const rights = { role: quoteIdentifier(role ?? ""), database: quoteIdentifier(database ?? ""), owner };
  const advice = adviceFor(schema, { ...rights, mayCreateSchema: mayCreateSchema === "t", mayFill: mayFill === "t" });
  const reason = error instanceof Error ? error.message : String(error);
  return new HowdahError("HOWDAH_DATABASE_FORBIDDEN", `Role ${rights.role} lacks a right: ${reason}. ${advice}`, error);
}

interface Rights {
  readonly role: string;
  readonly database: string;
  /** Missing as long as the schema is. */
  readonly owner: Cell | undefined;
  readonly mayCreateSchema: boolean;
  readonly mayFill: boolean;
}

/**
 * As {@link forbiddenFor}, for a role that only reads the ledgers: it
 * needs neither to create anything nor to own the schema.
 */
export async function forbiddenToLook(executor: Executor, schema: Schema, error: unknown): Promise<unknown> {
  if (sqlStateOf(error) !== "42501") return error;
  const answer = await executor.query({ text: "select current_user" }).catch(() => undefined);
  const name = answer?.rows[0]?.[0];
  if (name == null) return error;
  const role = quoteIdentifier(name);
  const reason = error instanceof Error ? error.message : String(error);
  return new HowdahError(
    "HOWDAH_DATABASE_FORBIDDEN",
    `Role ${role} lacks a right: ${reason}. As the owner of schema ${schema.quoted}, grant it what it needs: ` +
      "docs/guides/roles.sql has the grants of producers and workers.",
    error,
  );
}

function adviceFor(schema: Schema, { role, database, owner, mayCreateSchema, mayFill }: Rights): string {
  if (!owner && !mayCreateSchema) return migrateAfter(`grant create on database ${database} to ${role}`);
  if (owner && !mayFill) return migrateAfter(`grant usage, create on schema ${schema.quoted} to ${role}`);
  const whom = owner ? `role ${quoteIdentifier(owner)}, which owns schema ${schema.quoted}` : "another role";
  return `Migrate with ${whom}, and grant this one what it needs.`;
}

function migrateAfter(grant: string): string {
  return `Run \`${grant}\` as a role that may, or migrate with another role.`;
}

// $1 schema
const RIGHTS = `
  select
    current_user, pg_catalog.current_database(), pg_catalog.pg_get_userbyid(namespace.nspowner),
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),
    pg_catalog.has_schema_privilege(namespace.oid, 'create')
      and pg_catalog.has_schema_privilege(namespace.oid, 'usage')
  from (select) as nothing
  left join pg_catalog.pg_namespace as namespace on namespace.nspname operator(pg_catalog.=) $1`;
