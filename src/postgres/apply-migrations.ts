import { HowdahError } from "../errors.ts";
import { backoffMs } from "../runtime/backoff.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Driver, Executor } from "./driver.ts";
import { ledgerColumns, lockName, type Migration, renderSql } from "./migration.ts";
import { migrations as released } from "./migrations.generated.ts";
import type { Schema } from "./schema.ts";
import { type Damage, findDamage, repairOf } from "./schema-damage.ts";
import { checkState, LEDGER, readSchemaState, type SchemaState } from "./schema-revision.ts";
import { forbiddenFor } from "./schema-rights.ts";
import { isLocked, sqlStateOf } from "./sqlstate.ts";

/**
 * Brings the schema to the revision of this release, creating it if needed. One
 * that a newer release has migrated stays as it is, if this release can use it.
 * Any number of processes may do this at once, and doing it again is harmless.
 * Throws `HOWDAH_DATABASE_UNSUPPORTED`, `HOWDAH_DATABASE_FORBIDDEN`,
 * `HOWDAH_SCHEMA_TOO_NEW`, `HOWDAH_SCHEMA_FOREIGN`, `HOWDAH_SCHEMA_DAMAGED`.
 */
export async function applyMigrations(options: ApplyOptions): Promise<MigrateResult> {
  const { driver, schema, logger, migrations = released } = options;
  const before = await readSchemaState(driver, schema);
  const latest = migrations.at(-1)?.id ?? 0;
  checkState(before, schema, latest);
  let { revision } = before;
  if (isComparable(before, latest) && (await findDamage(driver, schema, { state: before, migrations }))) {
    // Under the lock no other process migrates, so what is found wrong then is wrong.
    const mended = await underMigrationLock(options, (transaction) => mend(transaction, options));
    if (mended) logger?.warn(`Mended schema ${schema.quoted}: ${describeRepair(mended)}`, { schema: schema.name });
    revision = Math.max(revision, mended?.revision ?? 0);
  }
  const applied: number[] = [];
  for (const migration of migrations) {
    if (migration.id <= revision) continue;
    if (await underMigrationLock(options, (transaction) => apply(transaction, migration, options)))
      applied.push(migration.id);
  }
  if (applied.length > 0) {
    const done = revision === 0 ? "Created" : `Migrated from revision ${revision}`;
    logger?.info(`${done} schema ${schema.quoted}, now at revision ${latest}`, {
      schema: schema.name,
      revision: latest,
    });
  }
  return { revision: Math.max(revision, latest), applied };
}

/**
 * Does what {@link applyMigrations} does as part of a transaction of the caller, which
 * commits it or takes it back: waits for as long as the transaction may, tries
 * nothing twice, and leaves no setting changed. Other migrations of the schema
 * wait for the end of the transaction.
 */
export async function applyMigrationsWithin(options: ApplyWithinOptions): Promise<MigrateResult> {
  const { transaction, schema, logger, migrations = released } = options;
  const { rows } = await transaction.query({ text: "select pg_catalog.current_setting('search_path')" });
  await setPath(transaction, "pg_catalog, pg_temp");
  try {
    await transaction.query({ text: LOCK, values: [lockName(schema)] });
    const latest = migrations.at(-1)?.id ?? 0;
    const before = await readSchemaState(transaction, schema);
    checkState(before, schema, latest);
    const mended = await mend(transaction, { schema, migrations });
    if (mended) logger?.warn(`Mended schema ${schema.quoted}: ${describeRepair(mended)}`, { schema: schema.name });
    const applied: number[] = [];
    for (const migration of migrations) {
      if (await apply(transaction, migration, { schema, migrations })) applied.push(migration.id);
    }
    return { revision: Math.max(before.revision, latest), applied };
  } catch (error) {
    throw await explain(error, { driver: transaction, schema });
  } finally {
    // A transaction that has failed takes its settings back by itself.
    await setPath(transaction, rows[0]?.[0] ?? "").catch(() => undefined);
  }
}

/** What {@link applyMigrations} would do, found without changing anything. Throws as that does. */
export async function planMigrations({
  driver,
  schema,
}: Pick<ApplyOptions, "driver" | "schema">): Promise<MigratePlan> {
  const state = await readSchemaState(driver, schema);
  const latest = released.at(-1)?.id ?? 0;
  checkState(state, schema, latest);
  const damage = isComparable(state, latest)
    ? await findDamage(driver, schema, { state, migrations: released })
    : undefined;
  if (damage && damage.beyondRepair.length > 0) throw damaged(schema, damage);
  const revision = Math.max(state.revision, damage?.revision ?? 0);
  return { revision, pending: released.filter(({ id }) => id > revision), isDamaged: damage !== undefined };
}

/** Where a schema stands, and the migrations that it lacks. */
export interface MigratePlan {
  /** 0 when there is no schema. */
  readonly revision: number;
  readonly pending: readonly Migration[];
  /** Something is missing that would be made again. */
  readonly isDamaged: boolean;
}

/** What to migrate and how patient to be. */
export interface ApplyOptions {
  readonly driver: Driver;
  readonly schema: Schema;
  /** Where it is logged, once, what was created. Default: nowhere. */
  readonly logger?: Logger | undefined;
  /** Default: those of this release. */
  readonly migrations?: readonly Migration[];
  /** How long a migration waits for a table that another transaction uses before it lets others pass and tries again. Default 3000. */
  readonly lockTimeoutMs?: number;
  /** How often it tries. Default 40. */
  readonly attempts?: number | undefined;
  /** The source of time for the rests between tries. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What to migrate inside of a transaction. */
export interface ApplyWithinOptions extends Pick<ApplyOptions, "schema" | "logger" | "migrations"> {
  /** Has begun a transaction, which stays the caller's. */
  readonly transaction: Executor;
}

/** What a migration came to. */
export interface MigrateResult {
  /** The revision of the schema now: a later one than this release knows when a newer one has migrated it. */
  readonly revision: number;
  /** Ids of the migrations that were applied by this call. */
  readonly applied: readonly number[];
}

async function setPath(transaction: Executor, path: string): Promise<void> {
  // $1 search_path
  await transaction.query({ text: "select pg_catalog.set_config('search_path', $1, true)", values: [path] });
}

/**
 * Works in a transaction under the lock of migrations, with names that mean what they
 * say, and tries again while another transaction uses what it needs. `work` may be
 * called several times. Throws as {@link applyMigrations} does.
 */
export async function underMigrationLock<T>(
  options: Omit<ApplyOptions, "migrations">,
  work: (transaction: Executor) => Promise<T>,
): Promise<T> {
  const { driver, schema, lockTimeoutMs = 3_000, clock = systemClock } = options;
  const timeoutMs = MIGRATION_TIMEOUT_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await driver.transaction(async (transaction) => {
        // Names mean what they say, whatever the role's search_path holds.
        await transaction.query({ text: settings(lockTimeoutMs, timeoutMs) });
        await transaction.query({ text: LOCK, values: [lockName(schema)], timeoutMs });
        return work(transaction);
      });
    } catch (error) {
      if (attempt >= attemptsAfter(error, options)) throw await explain(error, options);
      await clock.sleep(backoffMs(RETRY, attempt));
    }
  }
}

function attemptsAfter(error: unknown, { attempts = 40 }: Pick<ApplyOptions, "attempts">): number {
  // Another transaction uses what the migration needs.
  if (isLocked(error)) return attempts;
  return CLASHES.has(sqlStateOf(error) ?? "") ? CLASH_ATTEMPTS : 1;
}

/** Gives an error of the server that an operator can act on a code of ours. */
async function explain(
  error: unknown,
  { driver, schema }: { readonly driver: Executor; readonly schema: Schema },
): Promise<unknown> {
  const state = sqlStateOf(error) ?? "";
  const said = error instanceof Error ? error.message : String(error);
  const name = schema.quoted;
  if (TAKEN.has(state)) {
    return new HowdahError(
      "HOWDAH_SCHEMA_FOREIGN",
      `Schema ${name} holds what Howdah did not make, under a name that it needs (${said}). Choose another schema.`,
      error,
    );
  }
  if (state === "25006") {
    return new HowdahError(
      "HOWDAH_DATABASE_UNREACHABLE",
      `Schema ${name} cannot be migrated, because the database can only be read (${said}): ` +
        "connect to the primary, and see that `default_transaction_read_only` is off.",
      error,
    );
  }
  return forbiddenFor(driver, schema, error);
}

/**
 * Makes good what can be made good: fills the ledgers and creates functions
 * again. Returns what it was; `undefined` when there is nothing wrong any more.
 * Throws `HOWDAH_SCHEMA_DAMAGED`.
 */
async function mend(
  transaction: Executor,
  options: Pick<ApplyOptions, "schema" | "migrations">,
): Promise<Damage | undefined> {
  const { schema, migrations = released } = options;
  const state = await readSchemaState(transaction, schema);
  if (!isComparable(state, migrations.at(-1)?.id ?? 0)) return undefined;
  const damage = await findDamage(transaction, schema, { state, migrations });
  if (!damage) return undefined;
  if (damage.beyondRepair.length > 0) throw damaged(schema, damage);
  for (const text of repairOf(damage, { migrations, schema })) await transaction.query({ text });
  if (!state.hasLedger) await transaction.query({ text: createLedger(schema) });
  for (const migration of damage.unnoted) await note(transaction, migration, schema);
  return damage;
}

/** Whether the migrations say what has to be there. A newer release may have replaced what they made. */
function isComparable({ isOurs, revision }: SchemaState, latest: number): boolean {
  return isOurs && revision <= latest;
}

function damaged(schema: Schema, { revision, beyondRepair }: Damage): HowdahError {
  const shown = beyondRepair.slice(0, MOST_SHOWN).join(", ");
  const more = beyondRepair.length > MOST_SHOWN ? ` and ${beyondRepair.length - MOST_SHOWN} more` : "";
  return new HowdahError(
    "HOWDAH_SCHEMA_DAMAGED",
    `Schema ${schema.quoted} is not what revision ${revision} makes. Missing or different: ${shown}${more}. ` +
      "Restore them from a backup or with the statements that `howdah migrate --sql` prints; " +
      "if none of its jobs is needed, drop the schema and migrate again.",
  );
}

function describeRepair({ unnoted, isSharedLacking, functions, formerName }: Damage): string {
  return [
    unnoted.length > 0 || isSharedLacking ? "filled its ledger of migrations again" : "",
    functions.length > 0
      ? `created ${functions.length} functions again` +
        (formerName === undefined ? "" : `, which still spoke of schema "${formerName}"`)
      : "",
  ]
    .filter((done) => done !== "")
    .join("; ");
}

/** Applies a migration unless another process just has. True when it was applied here. */
async function apply(
  transaction: Executor,
  migration: Migration,
  options: Pick<ApplyOptions, "schema" | "migrations">,
): Promise<boolean> {
  const { schema, migrations = released } = options;
  const state = await readSchemaState(transaction, schema);
  checkState(state, schema, migrations.at(-1)?.id ?? 0);
  if (state.revision >= migration.id) return false;
  // "if not exists" alone would ask for the right to create schemas even when there is nothing to create.
  if (!state.exists) await transaction.query({ text: `create schema ${schema.quoted}` });
  if (!state.hasLedger) await transaction.query({ text: createLedger(schema) });
  await transaction.query({ text: renderSql(migration.sql, schema), timeoutMs: MIGRATION_TIMEOUT_MS });
  await note(transaction, migration, schema);
  return true;
}

async function note(transaction: Executor, { id, name, breaksBefore = 0 }: Migration, schema: Schema): Promise<void> {
  const text = `insert into ${schema.of(LEDGER)} (id, name, breaks_before) values ($1, $2, $3)`;
  await transaction.query({ text, values: [String(id), name, String(breaksBefore)] });
}

function settings(lockTimeoutMs: number, timeoutMs: number): string {
  return `
    set local search_path = pg_catalog, pg_temp;
    set local statement_timeout = ${timeoutMs};
    set local lock_timeout = ${lockTimeoutMs};
    set local client_min_messages = warning`;
}

/** The most time that one migration may take; a table of millions of rows may be rewritten. */
const MIGRATION_TIMEOUT_MS = 3_600_000;

/** A transaction without our lock created the same object at the same moment: the next try finds it, or never will. */
const CLASHES = new Set(["23505", "42P06", "42P07", "42710", "42723"]);
const CLASH_ATTEMPTS = 3;

/** Something has the name already: a table, a schema, a type, a function. */
const TAKEN = new Set(["42P06", "42P07", "42710", "42723"]);

/** How many objects a message names. */
const MOST_SHOWN = 5;

const RETRY = { firstMs: 100, maxMs: 2_000 };

// $1 what is locked
const LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))";

/** The statement that creates our ledger. */
export const createLedger = (schema: Schema): string => `create table ${schema.of(LEDGER)} (${ledgerColumns})`;
