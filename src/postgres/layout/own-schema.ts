import type { Executor } from "../driver.ts";
import { applyMigrations, type ApplyOptions, type MigrateResult, underMigrationLock } from "../apply-migrations.ts";
import { renderSql } from "../migration.ts";
import { SHARED_LEDGER } from "../foreign-schema.ts";
import { migrations as released } from "../migrations.generated.ts";
import { objectsOf, statementsOf } from "../schema-objects.ts";
import { ADOPTION, checkState, OWNED_MARK, readSchemaState, type SchemaState } from "../schema-revision.ts";
import { quoteLiteral, type Schema } from "../schema.ts";
import { whyUnchanged } from "./schema-busy.ts";
import { readForeignTraces, type Traces } from "./read-foreign-traces.ts";
import { withoutOthers } from "./without-others.ts";

/**
 * Makes an adopted schema Howdah's own: the tables are written anew with what makes
 * claims cheap, in one transaction during which no other can use them. Workers of others
 * fail at their next claim from then on, and refuse to start. Jobs stay. A schema
 * that is Howdah's own already is migrated only. Throws what `applyMigrations`
 * throws, and `HOWDAH_SCHEMA_BUSY` when tables stay locked.
 */
export async function ownSchema(options: ApplyOptions): Promise<MigrateResult> {
  const { schema, logger } = options;
  const migrated = await applyMigrations(options);
  try {
    const traces = await withoutOthers(options, () =>
      underMigrationLock(options, async (transaction) => {
        const state = await readSchemaState(transaction, schema);
        if (state.layout === "owned") return undefined;
        const left = await readForeignTraces(transaction, schema);
        for (const text of ownStatements(schema)) await transaction.query({ text, timeoutMs: REWRITE_TIMEOUT_MS });
        return left;
      }),
    );
    if (traces) logger?.info(`Schema ${schema.quoted} is Howdah's own now`, { schema: schema.name });
    if (traces) sayLeft(options, traces);
    return migrated;
  } catch (error) {
    throw whyUnchanged(schema, error);
  }
}

/** Warns of workers of others that were seen: graphile-worker tells only a debugger that its claims fail. */
function sayLeft({ schema, logger }: ApplyOptions, { holders, registered, sessions, hiddenSessions }: Traces): void {
  if (holders.length > 0) {
    logger?.warn(`Jobs or queues of schema ${schema.quoted} are still locked by ${holders.join(", ")}`, {
      schema: schema.name,
      holders,
    });
  }
  const seen = registered.length + sessions.length;
  if (seen === 0 && hiddenSessions === 0) return;
  const what = seen > 0 ? `${seen} sessions or registrations` : `${hiddenSessions} sessions of other roles`;
  logger?.warn(
    `Workers of others on schema ${schema.quoted} claim nothing any more, and may not say so: ` +
      `stop them, if the ${what} that were seen are theirs`,
    { schema: schema.name, seen, hidden: hiddenSessions },
  );
}

/**
 * What {@link ownSchema} would do and what it can see of workers of others, which
 * cannot be seen whole: graphile-worker registers nowhere. Changes nothing. Throws
 * as that does.
 */
export async function planOwning(options: ApplyOptions): Promise<OwnPlan> {
  const { driver, schema, migrations = released } = options;
  return underMigrationLock({ driver, schema }, async (transaction) => {
    const state = await readSchemaState(transaction, schema);
    checkState(state, schema, migrations.at(-1)?.id ?? 0);
    const bytes = await sizeOf(transaction, schema, state);
    const traces = await readForeignTraces(transaction, schema);
    return { isOwned: state.layout === "owned", bytes, seconds: Math.ceil(bytes / BYTES_A_SECOND), traces };
  });
}

/** What making a schema our own comes to. */
export interface OwnPlan {
  /** There is nothing to do. */
  readonly isOwned: boolean;
  /** The size of the table of jobs, with its indexes. */
  readonly bytes: number;
  /** How long the rewrite may take, on a slow disk. */
  readonly seconds: number;
  /** What is seen of workers of others. */
  readonly traces: Traces;
}

async function sizeOf(executor: Executor, schema: Schema, { revision }: SchemaState): Promise<number> {
  if (revision === 0) return 0;
  const jobs = quoteLiteral(schema.of("_private_jobs"));
  const { rows } = await executor.query({ text: `select pg_total_relation_size(${jobs}::regclass)` });
  return Number(rows[0]?.[0] ?? 0);
}

/** The statements of one transaction, for tables that were adopted. */
function ownStatements(schema: Schema): string[] {
  const { definitions } = objectsOf(released);
  const [jobs, queues] = [schema.of("_private_jobs"), schema.of("_private_job_queues")];
  const record = schema.of(ADOPTION);
  const exhausted = definitions.get("column _private_jobs._howdah_exhausted");
  const indexes = [...definitions]
    .filter(([key, text]) => key.startsWith("index _howdah_") && text.includes("_howdah_exhausted"))
    .map(([, text]) => text);
  const settings = released
    .flatMap(({ sql }) => statementsOf(sql))
    .filter((text) => /^alter table :"schema"\._private_(jobs|job_queues) set \(/.test(text));
  return [
    `lock table ${jobs}, ${queues} in access exclusive mode`,
    recordOf(schema),
    `drop trigger if exists _howdah_keep_true on ${jobs}`,
    `drop trigger if exists _howdah_keep_true_added on ${jobs}`,
    `drop function if exists ${schema.of("_howdah_keep_true")}()`,
    ...THEIR_INDEXES.map((name) => `drop index if exists ${schema.of(name)}`),
    ...settings.map((text) => renderSql(text, schema)),
    `alter table ${jobs} drop column _howdah_exhausted, add column ${exhausted}`,
    ...indexes.map((text) => renderSql(text, schema)),
    // Their claims name this column, and no other statement of theirs does.
    `alter table ${queues} rename column is_available to _howdah_is_available`,
    ...SECURED.map((table) => `alter table ${schema.of(table)} disable row level security`),
    // What their workers look at when they start.
    `insert into ${schema.of(SHARED_LEDGER.table)} (id, breaking) values (${OWNED_MARK}, true) on conflict do nothing`,
    `insert into ${record} as kept (name, value) values ('layout', 'owned')
on conflict (name) do update set value = excluded.value`,
  ];
}

/** Keeps what the way back needs to know of what is about to be dropped. */
function recordOf(schema: Schema): string {
  return `insert into ${schema.of(ADOPTION)} (name, value)
select concat('index ', class.relname), pg_get_indexdef(class.oid) from pg_class as class
where class.relnamespace = ${quoteLiteral(schema.quoted)}::regnamespace and class.relname in (${names(THEIR_INDEXES)})
union all
select concat('options ', class.relname), array_to_string(class.reloptions, ', ') from pg_class as class
where class.relnamespace = ${quoteLiteral(schema.quoted)}::regnamespace
  and class.relname in ('_private_jobs', '_private_job_queues')
union all
select concat('security ', class.relname), class.relrowsecurity::text from pg_class as class
where class.relnamespace = ${quoteLiteral(schema.quoted)}::regnamespace and class.relname in (${names(SECURED)})
on conflict (name) do update set value = excluded.value`;
}

function names(list: readonly string[]): string {
  return list.map(quoteLiteral).join(", ");
}

/** Those that a claim would have to write. */
const THEIR_INDEXES = ["jobs_main_index", "jobs_no_queue_index"];

/** The tables on which theirs have row security. */
const SECURED = ["_private_jobs", "_private_job_queues", "_private_tasks", "_private_known_crontabs"];

/** A slow disk. The table is read once and written once, and its indexes are made. */
const BYTES_A_SECOND = 20_000_000;

const REWRITE_TIMEOUT_MS = 3_600_000;
