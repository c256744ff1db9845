import { HowdahError } from "../errors.ts";
import { backoffMs } from "../runtime/backoff.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Driver, Executor } from "./driver.ts";
import { migrations as released } from "./migrations.generated.ts";
import type { Schema } from "./schema.ts";
import { LEDGER, readSchemaState, type SchemaState, tooNew } from "./schema-revision.ts";
import { forbiddenFor } from "./schema-rights.ts";
import { isLocked, sqlStateOf } from "./sqlstate.ts";

/** One step of the schema; `:"schema"` and `:'schema'` in the SQL stand for the schema's name. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly sql: string;
}

/** What to migrate and how patient to be. */
export interface MigrateOptions {
  readonly driver: Driver;
  readonly schema: Schema;
  /** Is told once what was created. Default: nobody. */
  readonly logger?: Logger;
  /** Default: those of this release. */
  readonly migrations?: readonly Migration[];
  /** How long a migration waits for a table that somebody uses before it lets others pass and tries again. Default 3000. */
  readonly lockTimeoutMs?: number;
  /** How often it tries. Default 40. */
  readonly attempts?: number;
  /** The source of time for the rests between tries. Default: the machine's. */
  readonly clock?: Clock;
}

/** What a migration came to. */
export interface MigrateResult {
  /** The revision of the schema now. */
  readonly revision: number;
  /** Ids of the migrations that were applied by this call. */
  readonly applied: readonly number[];
}

/** The oldest PostgreSQL, as `server_version_num`. */
const OLDEST_SERVER = 140_000;

/** The most time that one migration may take; a table of millions of rows may be rewritten. */
const MIGRATION_TIMEOUT_MS = 3_600_000;

/** Somebody without our lock created the same object at the same moment: the next try finds it, or never will. */
const CLASHES = new Set(["23505", "42P06", "42P07", "42710"]);
const CLASH_ATTEMPTS = 3;

const RETRY = { firstMs: 100, maxMs: 2_000 };

/**
 * Brings the schema to the revision of this release, creating it if needed.
 * Any number of processes may do this at once, and doing it again is harmless.
 * Throws `HOWDAH_DATABASE_UNSUPPORTED`, `HOWDAH_DATABASE_FORBIDDEN`,
 * `HOWDAH_SCHEMA_TOO_NEW`, `HOWDAH_SCHEMA_FOREIGN`.
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { driver, schema, logger, migrations = released } = options;
  await checkServer(driver);
  const before = await readSchemaState(driver, schema);
  checkState(before, options);
  const applied: number[] = [];
  for (const migration of migrations) {
    if (migration.id <= before.revision) continue;
    if (await applyOnce(migration, options)) applied.push(migration.id);
  }
  const revision = migrations.at(-1)?.id ?? 0;
  if (applied.length > 0) {
    const done = before.revision === 0 ? "Created" : `Migrated from revision ${before.revision}`;
    logger?.info(`${done} schema ${schema.quoted}, now at revision ${revision}`, { schema: schema.name, revision });
  }
  return { revision, applied };
}

async function checkServer(driver: Driver): Promise<void> {
  const { rows } = await driver.query({ text: "show server_version_num" });
  const found = Number(rows[0]?.[0]);
  if (found >= OLDEST_SERVER) return;
  throw new HowdahError(
    "HOWDAH_DATABASE_UNSUPPORTED",
    `PostgreSQL ${OLDEST_SERVER / 10_000} or newer is needed, this server is ${Math.floor(found / 10_000)} (${found}).`,
  );
}

function checkState({ foreign, revision }: SchemaState, { schema, migrations = released }: MigrateOptions): void {
  const latest = migrations.at(-1)?.id ?? 0;
  if (revision > latest) throw tooNew(schema, revision, latest);
  if (!foreign) return;
  throw new HowdahError(
    "HOWDAH_SCHEMA_FOREIGN",
    `Schema ${schema.quoted} holds the tables of another job queue (graphile_worker), which this release does not take over. ` +
      "Choose another schema.",
  );
}

/** Applies a migration unless somebody else just has. True when it was applied here. */
async function applyOnce(migration: Migration, options: MigrateOptions): Promise<boolean> {
  const { driver, schema, clock = systemClock } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await driver.transaction((transaction) => apply(transaction, migration, options));
    } catch (error) {
      if (attempt >= attemptsAfter(error, options)) throw await forbiddenFor(driver, schema, error);
      await clock.sleep(backoffMs(RETRY, attempt));
    }
  }
}

function attemptsAfter(error: unknown, { attempts = 40 }: MigrateOptions): number {
  // Somebody uses what the migration needs.
  if (isLocked(error)) return attempts;
  return CLASHES.has(sqlStateOf(error) ?? "") ? CLASH_ATTEMPTS : 1;
}

async function apply(transaction: Executor, migration: Migration, options: MigrateOptions): Promise<boolean> {
  const { schema, lockTimeoutMs = 3_000 } = options;
  const timeoutMs = MIGRATION_TIMEOUT_MS;
  // Names mean what they say, whatever the role's search_path holds.
  await transaction.query({ text: settings(lockTimeoutMs, timeoutMs) });
  await transaction.query({ text: LOCK, values: [`howdah migrate ${schema.name}`], timeoutMs });
  const state = await readSchemaState(transaction, schema);
  checkState(state, options);
  if (state.revision >= migration.id) return false;
  // "if not exists" alone would ask for the right to create schemas even when there is nothing to create.
  if (!state.exists) await transaction.query({ text: `create schema ${schema.quoted}` });
  await transaction.query({ text: createLedger(schema) });
  await transaction.query({ text: render(migration.sql, schema), timeoutMs });
  const text = `insert into ${schema.of(LEDGER)} (id, name) values ($1, $2)`;
  await transaction.query({ text, values: [String(migration.id), migration.name] });
  return true;
}

function render(sql: string, schema: Schema): string {
  // A name may hold what the bodies of functions are quoted with.
  let quote = "$$";
  for (let n = 0; schema.name.includes(quote); n += 1) quote = `$body${n}$`;
  const replacements: Readonly<Record<string, string>> = {
    ':"schema"': schema.quoted,
    ":'schema'": schema.literal,
    $$: quote,
  };
  return sql.replace(/:"schema"|:'schema'|\$\$/g, (found) => replacements[found] ?? found);
}

function settings(lockTimeoutMs: number, timeoutMs: number): string {
  return `
    set local search_path = pg_catalog, pg_temp;
    set local statement_timeout = ${timeoutMs};
    set local lock_timeout = ${lockTimeoutMs};
    set local client_min_messages = warning`;
}

// $1 what is locked
const LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))";

const createLedger = (schema: Schema): string => `
  create table if not exists ${schema.of(LEDGER)} (
    id integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
  )`;
