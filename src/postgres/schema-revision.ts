import { HowdahError } from "../errors.ts";
import type { Executor } from "./driver.ts";
import { readNumbers, textArray } from "./literal.ts";
import { migrations as released } from "./migrations.generated.ts";
import type { Schema } from "./schema.ts";
import { objectsOf, relationNames } from "./schema-objects.ts";
import { foreignSchema, SHARED_LEDGER, unfinishedAdoption, unknownBreaking, unstorableName } from "./foreign-schema.ts";
import { forbiddenToLook } from "./schema-rights.ts";
import { sqlStateOf } from "./sqlstate.ts";

/**
 * The revision of a schema that another process migrates, which may be a later
 * one than this release knows. Throws `HOWDAH_SCHEMA_MISSING` when it is not there
 * or behind this release, `HOWDAH_SCHEMA_TOO_NEW` when a migration of a newer
 * release was marked as breaking this one, `HOWDAH_SCHEMA_FOREIGN` when it is another application's, and `HOWDAH_DATABASE_FORBIDDEN` when the role may not look.
 */
export async function readSchemaRevision(options: { driver: Executor; schema: Schema }): Promise<number> {
  const { schema } = options;
  const state = await readSchemaState(options.driver, schema);
  checkState(state, schema, LATEST_REVISION);
  const { revision, isOurs } = state;
  if (revision >= LATEST_REVISION) return revision;
  throw new HowdahError(
    "HOWDAH_SCHEMA_MISSING",
    revision === 0 && isOurs
      ? `The ledger of migrations in schema ${schema.quoted} is empty, and migrating is switched off. ` +
          "Run `howdah migrate` with the role that owns the schema: it fills the ledger again, if nothing else is missing."
      : `Schema ${schema.quoted} ${revision === 0 ? "has not been migrated" : `is at revision ${revision} of ${LATEST_REVISION}`}, ` +
          "and migrating is switched off. " +
          "Run `howdah migrate` with a role that may create tables, or set `migrate: true`.",
  );
}

/**
 * Refuses what no release, or not this one, may work with. Throws
 * `HOWDAH_DATABASE_UNSUPPORTED`, `HOWDAH_SCHEMA_FOREIGN`, `HOWDAH_SCHEMA_TOO_NEW`.
 */
export function checkState(state: SchemaState, schema: Schema, latest: number): void {
  const { server, revision, breaksBefore, breaking, taken } = state;
  if (server < OLDEST_SERVER) throw unsupported(server);
  if (breaksBefore > latest) {
    throw new HowdahError(
      "HOWDAH_SCHEMA_TOO_NEW",
      `Schema ${schema.quoted} is at revision ${revision}, this release knows revisions up to ${latest}, ` +
        `and the schema needs a release that knows revision ${breaksBefore}. ` +
        "A newer release migrated it: upgrade this one.",
    );
  }
  if (breaking !== undefined) throw unknownBreaking(schema, breaking);
  if (taken.length > 0) throw foreignSchema(schema, taken);
  if (state.isAdopted && revision === 0) throw unfinishedAdoption(schema);
}

/** Throws `HOWDAH_DATABASE_UNSUPPORTED` for a server that is too old, told by its `server_version_num`. */
export function checkServer(server: number): void {
  if (server < OLDEST_SERVER) throw unsupported(server);
}

function unsupported(server: number): HowdahError {
  return new HowdahError(
    "HOWDAH_DATABASE_UNSUPPORTED",
    `PostgreSQL ${OLDEST_SERVER / 10_000} or newer is needed, this server is ${Math.floor(server / 10_000)} (${server}).`,
  );
}

/** Looks at the schema. Needs no rights as long as it is not there. */
export async function readSchemaState(executor: Executor, schema: Schema): Promise<SchemaState> {
  const { rows } = await executor
    .query({ text: STATE, values: [schema.name, textArray(takenNames())] })
    .catch((error: unknown) => {
      throw UNSTORABLE.has(sqlStateOf(error) ?? "") ? unstorableName(schema, error) : error;
    });
  const [server, exists, names, isShared] = rows[0] ?? [];
  const found = JSON.parse(names ?? "[]") as string[];
  const isOurs = found.some((name) => name.startsWith("_howdah_"));
  const hasLedger = found.includes(LEDGER);
  const hasShared = found.includes(SHARED_LEDGER.table);
  const ledgers = isOurs ? await readLedgers(executor, schema, { hasLedger, hasShared }) : NO_LEDGERS;
  return {
    server: Number(server),
    exists: exists === "t",
    isOurs,
    taken: isOurs ? [] : found,
    layout: isShared === "t" ? "shared" : "owned",
    isAdopted: found.includes(ADOPTION),
    hasLedger,
    revision: ledgers.applied.at(-1) ?? 0,
    ...ledgers,
  };
}

/** What is found where the schema should be. */
export interface SchemaState {
  /** As `server_version_num`. */
  readonly server: number;
  /** The schema itself exists, with whatever in it. */
  readonly exists: boolean;
  /** Something of ours alone is in it. */
  readonly isOurs: boolean;
  /** Relations of another application that have names of ours; none when the schema is ours. */
  readonly taken: readonly string[];
  /** Whether its tables are those that another job queue made, or as Howdah makes them. */
  readonly layout: SchemaLayout;
  /** It was another job queue's, and what is needed for the way back is kept. */
  readonly isAdopted: boolean;
  readonly hasLedger: boolean;
  /** The migrations that are noted, ascending. */
  readonly applied: readonly number[];
  /** The last of them; 0 before the first. */
  readonly revision: number;
  /** A release needs to know this revision to use the schema; 0 when none needs to. */
  readonly breaksBefore: number;
  /** How many of the migrations that the others look for are noted in the table that is shared with them. */
  readonly shared: number;
  /** A migration of theirs that is not known here and without which the schema must not be used. */
  readonly breaking: number | undefined;
}

/**
 * How the jobs of a schema are stored: `owned` is what Howdah makes, `shared` what it
 * adopted from another job queue, whose workers can go on beside its own.
 */
export type SchemaLayout = "owned" | "shared";

/** The table in which a migration is noted once it is done. */
export const LEDGER = "_howdah_migrations";

/** The table with what a schema was like before it was adopted; only such schemas have it. */
export const ADOPTION = "_howdah_adoption";

/**
 * The row of {@link SHARED_LEDGER} that keeps workers of other implementations from
 * starting, in a schema that was adopted and then made Howdah's own.
 */
export const OWNED_MARK = 1_000_000;

/** The oldest PostgreSQL, as `server_version_num`. */
const OLDEST_SERVER = 140_000;

/** The revision that this release works with. */
const LATEST_REVISION = released.at(-1)?.id ?? 0;

/** A character that the encoding of the database does not have. */
const UNSTORABLE = new Set(["22P05", "22021"]);

type Ledgers = Pick<SchemaState, "applied" | "breaksBefore" | "shared" | "breaking">;

const NO_LEDGERS: Ledgers = { applied: [], breaksBefore: 0, shared: 0, breaking: undefined };

async function readLedgers(
  executor: Executor,
  schema: Schema,
  { hasLedger, hasShared }: { readonly hasLedger: boolean; readonly hasShared: boolean },
): Promise<Ledgers> {
  const { table, latest } = SHARED_LEDGER;
  const shared = schema.of(table);
  const text = `
select
  ${hasLedger ? `(select pg_catalog.array_agg(id order by id) from ${schema.of(LEDGER)})` : "null"},
  ${hasLedger ? `(select pg_catalog.max(breaks_before) from ${schema.of(LEDGER)})` : "null"},
  ${hasShared ? `(select pg_catalog.count(*) from ${shared} where id operator(pg_catalog.<=) ${latest})` : "0"},
  ${hasShared ? `(select pg_catalog.max(id) from ${shared} where breaking and id operator(pg_catalog.>) ${latest} and id operator(pg_catalog.<>) ${OWNED_MARK})` : "null"}`;
  const { rows } = await executor.query({ text }).catch(async (error: unknown) => {
    throw await forbiddenToLook(executor, schema, error);
  });
  const [applied, breaksBefore, count, breaking] = rows[0] ?? [];
  return {
    applied: readNumbers(applied).map(Number),
    breaksBefore: Number(breaksBefore ?? 0),
    shared: Number(count),
    breaking: breaking == null ? undefined : Number(breaking),
  };
}

/**
 * What migrations of this release may not find there already, and the ledger.
 * Read when it is asked for, not when the module is.
 */
function takenNames(): string[] {
  return [LEDGER, ADOPTION, ...relationNames(objectsOf(released))];
}

// $1 schema   $2 names
const STATE = `
select
  pg_catalog.current_setting('server_version_num'),
  exists (select from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) $1),
  (
    select pg_catalog.json_agg(relation.relname order by relation.relname)
    from pg_catalog.pg_class as relation
    join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) relation.relnamespace
    where namespace.nspname operator(pg_catalog.=) $1
      and relation.relname operator(pg_catalog.=) any($2::pg_catalog.name[])
  ),
  exists (
    select from pg_catalog.pg_attribute as attribute
    join pg_catalog.pg_class as relation on relation.oid operator(pg_catalog.=) attribute.attrelid
    join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) relation.relnamespace
    where namespace.nspname operator(pg_catalog.=) $1
      and relation.relname operator(pg_catalog.=) '_private_jobs'
      and attribute.attname operator(pg_catalog.=) '_howdah_exhausted'
      and attribute.attgenerated operator(pg_catalog.=) ''
      and not attribute.attisdropped
  )`;
