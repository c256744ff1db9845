import { createLedger } from "../apply-migrations.ts";
import { type Migration, renderSql } from "../migration.ts";
import { objectsOf, statementsOf } from "../schema-objects.ts";
import { quoteIdentifier, quoteLiteral } from "../schema.ts";
import { SHARED_LEDGER } from "../foreign-schema.ts";
import { ADOPTION } from "../schema-revision.ts";
import type { Schema } from "../schema.ts";
import type { ForeignSchema } from "./read-foreign-schema.ts";

/**
 * What is left to do before workers of Howdah can use a schema of another
 * implementation. What is there already is left out, so that it can be planned
 * again after every step, and after a process was killed in the middle.
 */
export function planAdoption(found: ForeignSchema, order: AdoptionOrder): AdoptionPlan {
  return {
    columns: asOwner(found, columnStatements(found, order)),
    ...markingOf(order.schema),
    indexes: indexStatements(found, order),
    objects: asOwner(found, objectStatements(found, order)),
  };
}

/** What is added belongs to the role that the tables belong to: their workers connect with it. */
function asOwner({ owner }: ForeignSchema, statements: readonly string[]): readonly string[] {
  if (owner === undefined || statements.length === 0) return statements;
  return [`set local role ${quoteIdentifier(owner)}`, ...statements];
}

/** What a schema is to be adopted for. */
export interface AdoptionOrder {
  readonly schema: Schema;
  readonly migrations: readonly Migration[];
  /** Our own migrations that are noted; 0 as long as adopting is not finished. */
  readonly revision: number;
}

/** The statements of an adoption, each list in the order in which it is run. */
export interface AdoptionPlan {
  /** What changes tables of theirs: one short transaction. */
  readonly columns: readonly string[];
  /** Marks some of the jobs that failed for good before; it is run until it finds none. */
  readonly marking: string;
  /** Asks whether there are any that are not marked. */
  readonly unmarked: string;
  /** Indexes, each by itself and outside of any transaction. */
  readonly indexes: readonly IndexStep[];
  /** Tables and functions of ours, in one transaction that changes no table of theirs. */
  readonly objects: readonly string[];
}

/** An index that is missing, or that was left behind by a build that was killed. */
export interface IndexStep {
  readonly name: string;
  readonly drop: string | undefined;
  readonly create: string;
}

/** The tables that they have made; that of the workers is there only after graphile_worker_rs. */
const THEIR_TABLES = [
  "_private_jobs",
  "_private_job_queues",
  "_private_tasks",
  "_private_known_crontabs",
  SHARED_LEDGER.table,
];
const WORKERS = "_private_workers";

/** What says of each job that it failed for good: a plain column here, which a trigger keeps true. */
const EXHAUSTED = "_private_jobs._howdah_exhausted";
const PLAIN_EXHAUSTED = "_howdah_exhausted boolean not null default false";

function columnStatements(found: ForeignSchema, { schema, migrations, revision }: AdoptionOrder): string[] {
  const added = new Map<string, string[]>();
  for (const [key, definition] of objectsOf(migrations).definitions) {
    const [, table = "", column = ""] = /^column (\w+)\.(_howdah_\w+)$/.exec(key) ?? [];
    const isTheirs = THEIR_TABLES.includes(table) || (table === WORKERS && found.relations.has(WORKERS));
    if (!isTheirs || found.columns.has(`${table}.${column}`)) continue;
    const text = `${table}.${column}` === EXHAUSTED ? PLAIN_EXHAUSTED : definition;
    added.set(table, [...(added.get(table) ?? []), `add column ${text}`]);
  }
  const changes = [...added].map(([table, parts]) => `alter table ${schema.of(table)}\n  ${parts.join(",\n  ")}`);
  const triggers = TRIGGERS.every((name) => found.triggers.has(name)) ? [] : triggerStatements(schema);
  const record = changes.length === 0 && triggers.length === 0 && revision > 0 ? [] : recordStatements(schema, found);
  return [...record, ...changes, ...triggers];
}

/** The table with what was there before, and what of that is already known. */
function recordStatements(schema: Schema, { relations }: ForeignSchema): string[] {
  const record = schema.of(ADOPTION);
  return [
    `create table if not exists ${record} (name text primary key, value text)`,
    `insert into ${record} (name, value) values (${quoteLiteral(`table ${WORKERS}`)}, ${
      relations.has(WORKERS) ? "'theirs'" : "null"
    }) on conflict do nothing`,
  ];
}

const TRIGGERS = ["_howdah_keep_true", "_howdah_keep_true_added"];

/**
 * Keep two columns true for every statement that changes a job, of any implementation: whether it
 * failed for good, and whether it was removed or replaced while it ran, which others
 * say by taking its key. They cost a comparison, and call no function as long as it holds.
 */
function triggerStatements(schema: Schema): string[] {
  const jobs = schema.of("_private_jobs");
  const keep = schema.of("_howdah_keep_true");
  return [
    `create or replace function ${keep}() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' then
    new._howdah_exhausted := new.locked_at is null and new.attempts >= new.max_attempts;
    new._howdah_detached := new._howdah_detached
      or new.locked_at is not null and new.key is null and old.key is not null;
    return new;
  end if;
  update :"schema"._private_jobs as job set _howdah_exhausted = true where job.id = new.id;
  return null;
end
$$`,
    `create or replace trigger _howdah_keep_true before update on ${jobs} for each row
when (
  new._howdah_exhausted is distinct from (new.locked_at is null and new.attempts >= new.max_attempts)
  or new.locked_at is not null and new.key is null and old.key is not null
)
execute function ${keep}()`,
    `create or replace trigger _howdah_keep_true_added after insert on ${jobs} for each row
when (new.locked_at is null and new.attempts >= new.max_attempts and not new._howdah_exhausted)
execute function ${keep}()`,
  ].map((statement) => renderSql(statement, schema));
}

/** Steps over what others have locked at this moment; the count of what it has changed says how many it has marked. */
function markingOf(schema: Schema): Pick<AdoptionPlan, "marking" | "unmarked"> {
  const jobs = schema.of("_private_jobs");
  const unmarked = `select from ${jobs} as failed
  where failed.locked_at is null and failed.attempts >= failed.max_attempts and not failed._howdah_exhausted`;
  const ids = unmarked.replace("select from", "select failed.id from");
  return {
    marking: `update ${jobs} as job set _howdah_exhausted = true
where job.id = any (array(
  ${ids}
  limit 5000
  for update skip locked
))`,
    unmarked: `select exists (${unmarked})`,
  };
}

function indexStatements(found: ForeignSchema, { schema, migrations }: AdoptionOrder): IndexStep[] {
  return [...objectsOf(migrations).definitions].flatMap(([key, statement]) => {
    const name = /^index (_howdah_\w+)$/.exec(key)?.[1];
    if (name === undefined || !isOnTheirTable(statement)) return [];
    const isValid = found.indexes.get(name);
    if (isValid === true) return [];
    return {
      name,
      drop: isValid === false ? `drop index concurrently if exists ${schema.of(name)}` : undefined,
      create: renderSql(statement.replace(/^create index /, "create index concurrently "), schema),
    };
  });
}

function isOnTheirTable(statement: string): boolean {
  return THEIR_TABLES.includes(/ on :"schema"\.(\w+) /.exec(statement)?.[1] ?? "");
}

function objectStatements(found: ForeignSchema, { schema, migrations, revision }: AdoptionOrder): string[] {
  if (revision > 0) {
    return [...objectsOf(migrations).functions]
      .filter(([key]) => !key.startsWith("function _howdah_"))
      .flatMap(([, { statement }]) => functionStatements(statement, { found, schema }));
  }
  const made = migrations.flatMap(({ id, name, sql, breaksBefore = 0 }) => [
    ...statementsOf(sql).flatMap((statement) => adapted(statement, { found, schema })),
    `insert into ${schema.of("_howdah_migrations")} (id, name, breaks_before)
values (${id}, ${quoteLiteral(name)}, ${breaksBefore})`,
  ]);
  const layout = `insert into ${schema.of(ADOPTION)} (name, value) values ('layout', 'shared') on conflict do nothing`;
  return [createLedger(schema), ...made, layout, grantStatement(found, schema)];
}

/**
 * Lets the roles that were granted rights on the table of jobs do with what was added what they
 * may do with it: functions that they call use it now.
 */
function grantStatement({ relations }: ForeignSchema, schema: Schema): string {
  const workers = relations.has(WORKERS) ? "" : ` or class.relname = '${WORKERS}'`;
  return `do $$
declare
  right_of_jobs record;
  added record;
begin
  for right_of_jobs in
    select acl.privilege_type as kind, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee
    from pg_class as class cross join aclexplode(class.relacl) as acl
    where class.oid = ${quoteLiteral(schema.of("_private_jobs"))}::regclass and acl.grantee <> class.relowner
      and acl.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  loop
    for added in
      select class.oid::regclass as name from pg_class as class
      where class.relnamespace = ${quoteLiteral(schema.quoted)}::regnamespace and class.relkind in ('r', 'p')
        and (class.relname like '\\_howdah\\_%'${workers})
    loop
      execute format('grant %s on table %s to %s', right_of_jobs.kind, added.name, right_of_jobs.grantee);
    end loop;
    if right_of_jobs.kind = 'INSERT' then
      for added in
        select function.oid::regprocedure as name from pg_proc as function
        where function.pronamespace = ${quoteLiteral(schema.quoted)}::regnamespace
          and function.proname like '\\_howdah\\_%' and function.proacl is not null
      loop
        execute format('grant execute on function %s to %s', added.name, right_of_jobs.grantee);
      end loop;
    end if;
  end loop;
end
$$`;
}

interface Adapting {
  readonly found: ForeignSchema;
  readonly schema: Schema;
}

/** A statement of a migration as it is run in a schema whose tables others have made. */
function adapted(statement: string, { found, schema }: Adapting): string[] {
  const [, kind = "", name = ""] =
    /^create (?:or replace |unlogged )?(\w+) (?::"schema"\.)?(\w+)/.exec(statement) ?? [];
  if (kind === "function") return functionStatements(statement, { found, schema });
  const table = kind === "table" ? name : (/ (?:on|table|into) :"schema"\.(\w+)/.exec(statement)?.[1] ?? "");
  // Theirs, or to come: their migration creates the view and would find its name taken.
  if (THEIR_TABLES.includes(table) || kind === "view") return [];
  if (kind !== "trigger" && found.relations.has(name)) return [];
  const text = statement.startsWith("insert ") ? `${statement} on conflict do nothing` : statement;
  return [renderSql(text, schema)];
}

/**
 * Functions of the shared interface are replaced by ours as long as theirs are known,
 * and kept for the way back. After a newer migration of theirs they stay.
 */
function functionStatements(statement: string, { found, schema }: Adapting): string[] {
  const name = /^create (?:or replace )?function :"schema"\.(\w+)/.exec(statement)?.[1] ?? "";
  const create = renderSql(statement.replace(/^create (?:or replace )?function/, "create or replace function"), schema);
  if (name.startsWith("_howdah_")) return [create];
  const theirs = found.functions.find((shared) => shared.name === name);
  if (theirs && (theirs.isOurs || found.ledger > SHARED_LEDGER.latest)) return [];
  const kept = theirs ? quoteLiteral(theirs.definition) : "null";
  return [
    `insert into ${schema.of(ADOPTION)} as kept (name, value) values (${quoteLiteral(`function ${name}`)}, ${kept})
on conflict (name) do update set value = excluded.value where excluded.value is not null`,
    create,
    ...(theirs?.isDefiner === true ? [`alter function ${theirs.signature} security definer`] : []),
  ];
}
