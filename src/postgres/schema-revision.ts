import { HowdahError } from "../errors.ts";
import type { Executor } from "./driver.ts";
import { migrations } from "./migrations.generated.ts";
import type { Schema } from "./schema.ts";
import { forbiddenFor } from "./schema-rights.ts";

/** The table in which a migration is noted once it is done. */
export const LEDGER = "_howdah_migrations";

/** The revision that this release works with. */
const LATEST_REVISION = migrations.at(-1)?.id ?? 0;

/** What is found where the schema should be. */
export interface SchemaState {
  /** The schema itself exists, with whatever in it. */
  readonly exists: boolean;
  /** Another job queue lives in it. */
  readonly foreign: boolean;
  /** The last migration of ours; 0 before the first. */
  readonly revision: number;
}

/**
 * The revision of a schema that somebody else migrates. Throws
 * `HOWDAH_SCHEMA_MISSING` when it is not there or behind this release,
 * `HOWDAH_SCHEMA_TOO_NEW` when it is ahead, and `HOWDAH_DATABASE_FORBIDDEN`
 * when the role may not look.
 */
export async function readSchemaRevision(options: { driver: Executor; schema: Schema }): Promise<number> {
  const { schema } = options;
  const { revision } = await readSchemaState(options.driver, schema);
  if (revision > LATEST_REVISION) throw tooNew(schema, revision, LATEST_REVISION);
  if (revision === LATEST_REVISION) return revision;
  const found = revision === 0 ? "has not been migrated" : `is at revision ${revision} of ${LATEST_REVISION}`;
  throw new HowdahError(
    "HOWDAH_SCHEMA_MISSING",
    `Schema ${schema.quoted} ${found}, and migrating is switched off. ` +
      "Run `howdah migrate` with a role that may create tables, or set `migrate: true`.",
  );
}

/** Looks at the schema. Needs no rights as long as it is not there. */
export async function readSchemaState(executor: Executor, schema: Schema): Promise<SchemaState> {
  const { rows } = await executor.query({ text: STATE, values: [schema.name] });
  const [exists, ledger, foreign] = (rows[0] ?? []).map((cell) => cell === "t");
  const revision = ledger ? await readLedger(executor, schema) : 0;
  return { exists: exists === true, foreign: foreign === true && !ledger, revision };
}

/** The error for a schema from the future. */
export function tooNew(schema: Schema, revision: number, latest: number): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_TOO_NEW",
    `Schema ${schema.quoted} is at revision ${revision}, this release knows revisions up to ${latest}. ` +
      "A newer release migrated it: upgrade this one.",
  );
}

async function readLedger(executor: Executor, schema: Schema): Promise<number> {
  const text = `select coalesce(pg_catalog.max(id), 0) from ${schema.of(LEDGER)}`;
  const { rows } = await executor.query({ text }).catch(async (error: unknown) => {
    throw await forbiddenFor(executor, schema, error);
  });
  return Number(rows[0]?.[0]);
}

// $1 schema
const STATE = `
  select
    exists (select from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) $1),
    coalesce(pg_catalog.bool_or(relation.relname operator(pg_catalog.=) '${LEDGER}'), false),
    coalesce(
      pg_catalog.bool_or(relation.relname operator(pg_catalog.=) 'migrations')
        and pg_catalog.bool_or(relation.relname operator(pg_catalog.=) any('{_private_jobs,jobs}')),
      false
    )
  from pg_catalog.pg_class as relation
  join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) relation.relnamespace
  where namespace.nspname operator(pg_catalog.=) $1`;
