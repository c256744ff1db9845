import { HowdahError } from "../../errors.ts";
import { type ApplyOptions, type MigrateResult, underMigrationLock } from "../apply-migrations.ts";
import type { Executor } from "../driver.ts";
import { ADOPTION, checkServer, OWNED_MARK, readSchemaState, type SchemaState } from "../schema-revision.ts";
import { SHARED_LEDGER } from "../foreign-schema.ts";
import { quoteIdentifier, type Schema } from "../schema.ts";
import { readForeignSchema, type SharedFunction } from "./read-foreign-schema.ts";
import { type Added, HIDDEN, readAdded } from "./read-added.ts";
import { renewSessions } from "./renew-sessions.ts";
import { whyUnchanged } from "./schema-busy.ts";
import { withoutOthers } from "./without-others.ts";

/**
 * Takes out of an adopted schema all that Howdah has added, in one transaction, and
 * brings back what it had replaced: it is graphile-worker's as before. Jobs stay;
 * schedules, pauses, samples and whatever else is Howdah's alone is gone. A schema
 * that was released before stays as it is. Throws `HOWDAH_OPTION_INVALID` for one
 * that was never adopted, and `HOWDAH_SCHEMA_BUSY` while workers of Howdah run or
 * tables stay locked.
 */
export async function releaseSchema(options: ReleaseOptions): Promise<MigrateResult> {
  const { driver, schema, logger } = options;
  const before = await readSchemaState(driver, schema);
  checkServer(before.server);
  const isReleased = !before.isOurs && before.taken.includes(SHARED_LEDGER.table);
  if (!isReleased && !before.isAdopted) throw neverAdopted(schema);
  try {
    // The process that released it may have been killed before it came to the sessions.
    await withoutOthers(options, async () => {
      if (!isReleased) await underMigrationLock(options, (transaction) => release(transaction, schema));
      const { rows } = await driver.query({ text: "select pg_catalog.clock_timestamp()" });
      await renewSessions(options, { ...options, changedAt: rows[0]?.[0] ?? "infinity" });
    });
  } catch (error) {
    throw whyUnchanged(schema, error);
  }
  if (isReleased) return RELEASED;
  logger?.info(`Released schema ${schema.quoted}: it is graphile-worker's as before`, { schema: schema.name });
  return RELEASED;
}

/** How patient to be. */
export interface ReleaseOptions extends ApplyOptions {
  /** How long to look for sessions of others that have to connect anew. Default 3000. */
  readonly watchMs?: number | undefined;
}

const RELEASED: MigrateResult = { revision: 0, applied: [] };

async function release(transaction: Executor, schema: Schema): Promise<void> {
  const state = await readSchemaState(transaction, schema);
  // Another process was first.
  if (!state.isAdopted) return;
  if (state.revision > 0) await checkWorkers(transaction, schema);
  await transaction.query({
    text: `lock table ${schema.of("_private_jobs")}, ${schema.of("_private_job_queues")}, ${schema.of("_private_tasks")} in access exclusive mode`,
  });
  if (state.revision > 0) {
    await transaction.query({ text: recovery(schema) });
    await transaction.query({ text: rulesEnd(schema) });
  }
  const found = await readForeignSchema(transaction, schema);
  const record = await readRecord(transaction, schema);
  const added = await readAdded(transaction, schema);
  for (const text of releaseStatements({ schema, state, found, record, added })) await transaction.query({ text });
}

/** Throws `HOWDAH_SCHEMA_BUSY` when a worker of ours has given a sign of life. */
async function checkWorkers(executor: Executor, schema: Schema): Promise<void> {
  const text = `select id from ${schema.of("_private_workers")}
where id ~ ${OURS} and last_heartbeat_at > now() - interval '30 seconds' and _howdah_swept = 0 order by id`;
  const { rows } = await executor.query({ text });
  if (rows.length === 0) return;
  throw new HowdahError(
    "HOWDAH_SCHEMA_BUSY",
    `Schema ${schema.quoted} is in use by ${rows.length} of Howdah's workers (${rows[0]?.[0]}). ` +
      "Stop them first; one that was killed is forgotten after 30 seconds.",
  );
}

const OURS = "'^howdah_[0-9a-f]{18}$'";

/** Gives back what workers of ours that are gone have left locked, by the function that is there for that. */
function recovery(schema: Schema): string {
  const holders = ["_private_jobs", "_private_job_queues"].map(
    (table) => `select locked_by from ${schema.of(table)} where locked_by ~ ${OURS}`,
  );
  return `select ${schema.of("recover_dead_worker_jobs")}(array(${holders.join(" union ")}))`;
}

/** Unlocks the queues that have rules: without these they run one job at a time, as theirs do. */
function rulesEnd(schema: Schema): string {
  return `update ${schema.of("_private_job_queues")} set locked_at = null, locked_by = null where locked_by = '_howdah_lanes'`;
}

async function readRecord(executor: Executor, schema: Schema): Promise<ReadonlyMap<string, string | null>> {
  const { rows } = await executor.query({ text: `select name, value from ${schema.of(ADOPTION)} order by name` });
  return new Map(rows.map(([name, value]) => [name ?? "", value ?? null]));
}

interface Release {
  readonly schema: Schema;
  readonly state: SchemaState;
  readonly found: { readonly ledger: number; readonly functions: readonly SharedFunction[] };
  readonly record: ReadonlyMap<string, string | null>;
  readonly added: Added;
}

function releaseStatements(release: Release): string[] {
  const { schema, record, added } = release;
  const { restored, dropped } = sharedFunctions(release);
  const keepsWorkers = record.get(`table ${WORKERS}`) !== null || release.found.ledger > SHARED_LEDGER.latest;
  const tables = [...added.tables, ...(keepsWorkers ? [] : [WORKERS])];
  const columns = added.columns.filter(([table]) => !tables.includes(table));
  const list = (names: readonly string[]): string => names.map((name) => schema.of(name)).join(", ");
  return [
    "set local check_function_bodies = off",
    ...added.triggers.map((trigger) => `drop trigger ${trigger}`),
    ...restored,
    ...some([...added.functions, ...dropped], (names) => `drop function ${names.join(", ")}`),
    ...some(tables, (names) => `drop table if exists ${list(names)}`),
    ...some(added.types, (names) => `drop type ${list(names)}`),
    ...some(added.indexes, (names) => `drop index if exists ${list(names)}`),
    ...columns.map(
      ([table, names]) =>
        `alter table ${schema.of(table)} ${names.map((column) => `drop column ${quoteIdentifier(column)}`).join(", ")}`,
    ),
    ...layoutStatements(release),
  ];
}

function some(names: readonly string[], statement: (names: readonly string[]) => string): string[] {
  return names.length === 0 ? [] : [statement(names)];
}

/** The functions of the shared interface that are ours now: back to what they were, or gone if there were none. */
function sharedFunctions({ record, found, added }: Release): { restored: string[]; dropped: string[] } {
  const ours = found.functions.filter(({ isOurs }) => isOurs).map(({ name }) => name);
  const restored = ours.flatMap((name) => record.get(`function ${name}`) ?? []);
  const dropped = ours
    .filter((name) => record.get(`function ${name}`) === null)
    .flatMap((name) => added.shared.get(name) ?? []);
  return { restored, dropped };
}

/** What was changed when the schema was made Howdah's own. */
function layoutStatements({ schema, state, record, added }: Release): string[] {
  if (state.layout === "shared") return [];
  const reset = added.options.map(([table, names]) => `alter table ${schema.of(table)} reset (${names.join(", ")})`);
  const again = [...record].flatMap(([key, value]) => {
    const [kind = "", name = ""] = key.split(" ");
    if (value === null || value === "") return [];
    if (kind === "index") return [value];
    if (kind === "options") return [`alter table ${schema.of(name)} set (${value})`];
    if (kind === "security" && value === "true") return [`alter table ${schema.of(name)} enable row level security`];
    return [];
  });
  return [
    ...reset,
    `alter table ${schema.of("_private_job_queues")} rename column ${HIDDEN} to is_available`,
    ...again,
    `delete from ${schema.of(SHARED_LEDGER.table)} where id = ${OWNED_MARK}`,
  ];
}

function neverAdopted(schema: Schema): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Schema ${schema.quoted} was not adopted from another job queue, so there is nothing to go back to.`,
  );
}

const WORKERS = "_private_workers";
