import { HowdahError } from "../../errors.ts";
import { type ApplyOptions, type MigrateResult, underMigrationLock } from "../apply-migrations.ts";
import type { Executor } from "../driver.ts";
import {
  ADOPTION,
  checkServer,
  OWNED_MARK,
  readSchemaState,
  SHARED_LEDGER,
  type SchemaState,
} from "../schema-revision.ts";
import { quoteIdentifier, type Schema } from "../schema.ts";
import { isLocked } from "../sqlstate.ts";
import { readForeignSchema, type SharedFunction } from "./read-foreign-schema.ts";
import { schemaBusy } from "./schema-busy.ts";
import { withoutOthers } from "./without-others.ts";

/**
 * Takes out of an adopted schema all that Howdah has added, in one transaction, and
 * brings back what it had replaced: it is graphile-worker's as before. Jobs stay;
 * schedules, pauses, samples and whatever else is Howdah's alone is gone. A schema
 * that was released before stays as it is. Throws `HOWDAH_OPTION_INVALID` for one
 * that was never adopted, and `HOWDAH_SCHEMA_BUSY` while workers of Howdah run or
 * tables stay locked.
 */
export async function releaseSchema(options: ApplyOptions): Promise<MigrateResult> {
  const { driver, schema, logger } = options;
  const before = await readSchemaState(driver, schema);
  checkServer(before.server);
  if (!before.isOurs && before.taken.includes(SHARED_LEDGER.table)) return RELEASED;
  if (!before.isAdopted) throw neverAdopted(schema);
  try {
    await withoutOthers(options, () => underMigrationLock(options, (transaction) => release(transaction, schema)));
  } catch (error) {
    throw isLocked(error) ? schemaBusy(schema, error) : error;
  }
  logger?.info(`Released schema ${schema.quoted}: it is graphile-worker's as before`, { schema: schema.name });
  return RELEASED;
}

const RELEASED: MigrateResult = { revision: 0, applied: [] };

async function release(transaction: Executor, schema: Schema): Promise<void> {
  const state = await readSchemaState(transaction, schema);
  // Another process was first.
  if (!state.isAdopted) return;
  if (state.revision > 0) await checkWorkers(transaction, schema);
  await transaction.query({
    text: `lock table ${schema.of("_private_jobs")}, ${schema.of("_private_job_queues")} in access exclusive mode`,
  });
  if (state.revision > 0) await transaction.query({ text: recovery(schema) });
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

interface Added {
  /** Triggers of ours, as `name on table`. */
  readonly triggers: readonly string[];
  /** Functions of ours alone, with their types. */
  readonly functions: readonly string[];
  /** Those of the shared interface, by name. */
  readonly shared: ReadonlyMap<string, string>;
  readonly tables: readonly string[];
  readonly types: readonly string[];
  readonly indexes: readonly string[];
  /** The columns of ours, by table. */
  readonly columns: readonly Named[];
  /** The storage options that tables have now. */
  readonly options: readonly Named[];
}

type Named = readonly [table: string, names: readonly string[]];

async function readAdded(executor: Executor, schema: Schema): Promise<Added> {
  const { rows } = await executor.query({ text: ADDED, values: [schema.name] });
  const [triggers, functions, shared, tables, types, indexes, columns, options] = (rows[0] ?? []).map(
    (cell) => JSON.parse(cell ?? "[]") as unknown,
  );
  return {
    triggers: triggers as string[],
    functions: functions as string[],
    shared: new Map(shared as [string, string][]),
    tables: tables as string[],
    types: types as string[],
    indexes: indexes as string[],
    columns: columns as Named[],
    options: options as Named[],
  };
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

/** What the column is called by which their claims would find unlocked queues. */
const HIDDEN = "_howdah_is_available";

// $1 schema
const ADDED = `
with space as (
  select oid from pg_namespace where nspname = $1
), relation as (
  select class.oid, class.relname, class.relkind, class.reloptions
  from pg_class as class join space on space.oid = class.relnamespace
)
select
  (
    select json_agg(format('%I on %I.%I', trigger.tgname, $1, relation.relname))
    from relation join pg_trigger as trigger on trigger.tgrelid = relation.oid
    where not trigger.tgisinternal and trigger.tgname like '\\_howdah\\_%'
  ),
  (
    select json_agg(function.oid::regprocedure::text)
    from pg_proc as function join space on space.oid = function.pronamespace
    where function.proname like '\\_howdah\\_%'
  ),
  (
    select json_agg(json_build_array(function.proname, function.oid::regprocedure::text))
    from pg_proc as function join space on space.oid = function.pronamespace
    where function.proname not like '\\_howdah\\_%'
  ),
  (select json_agg(relname) from relation where relkind = 'r' and relname like '\\_howdah\\_%'),
  (select json_agg(relname) from relation where relkind = 'c' and relname like '\\_howdah\\_%'),
  (
    select json_agg(relation.relname)
    from relation join pg_index as index on index.indexrelid = relation.oid
    join pg_class as owner on owner.oid = index.indrelid
    where relation.relname like '\\_howdah\\_%' and owner.relname not like '\\_howdah\\_%'
  ),
  (
    select json_agg(json_build_array(found.name, found.columns)) from (
      select relation.relname as name, json_agg(attribute.attname order by attribute.attnum) as columns
      from relation join pg_attribute as attribute on attribute.attrelid = relation.oid
      where relation.relkind = 'r' and attribute.attnum > 0 and not attribute.attisdropped
        and attribute.attname like '\\_howdah\\_%' and attribute.attname <> '${HIDDEN}'
      group by relation.relname
    ) as found
  ),
  (
    select json_agg(json_build_array(found.name, found.options)) from (
      select relation.relname as name, json_agg(split_part(option, '=', 1)) as options
      from relation cross join unnest(relation.reloptions) as option
      where relation.relname in ('_private_jobs', '_private_job_queues')
      group by relation.relname
    ) as found
  )`;
