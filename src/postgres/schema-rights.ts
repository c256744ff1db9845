import { HowdahError } from "../errors.ts";
import type { Executor } from "./driver.ts";
import { quoteIdentifier, type Schema } from "./schema.ts";
import { sqlStateOf } from "./sqlstate.ts";

/**
 * Turns "permission denied" (SQLSTATE 42501) into `HOWDAH_DATABASE_FORBIDDEN`
 * with the grant that is missing; other errors come back as they are. Outside
 * of a failed transaction only.
 */
export async function forbiddenFor(executor: Executor, schema: Schema, error: unknown): Promise<unknown> {
  if (sqlStateOf(error) !== "42501") return error;
  const { rows } = await executor.query({ text: RIGHTS, values: [schema.name] });
  const [role = "", database = "", mayCreateSchema, exists, owner, mayCreate, mayUse] = (rows[0] ?? []) as string[];
  const user = quoteIdentifier(role);
  const remedy =
    exists !== "t"
      ? mayCreateSchema === "t"
        ? undefined
        : `grant create on database ${quoteIdentifier(database)} to ${user}`
      : mayCreate !== "t" || mayUse !== "t"
        ? `grant usage, create on schema ${schema.quoted} to ${user}`
        : undefined;
  const advice = remedy
    ? `Run \`${remedy}\` as its owner, or migrate with another role.`
    : `Migrate with the role that owns schema ${schema.quoted}${owner ? ` (${owner})` : ""}, and grant this one what it needs.`;
  const reason = error instanceof Error ? error.message : String(error);
  return new HowdahError("HOWDAH_DATABASE_FORBIDDEN", `Role ${user} lacks a right: ${reason}. ${advice}`, error);
}

// $1 schema
const RIGHTS = `
  select
    current_user, current_database(),
    has_database_privilege(current_database(), 'create'),
    namespace.oid is not null,
    pg_catalog.pg_get_userbyid(namespace.nspowner),
    has_schema_privilege(namespace.oid, 'create'),
    has_schema_privilege(namespace.oid, 'usage')
  from (select) as nothing
  left join pg_catalog.pg_namespace as namespace on namespace.nspname = $1`;
