import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { mainFile, type Release } from "../graphile-worker.ts";
import { SCHEMA } from "../layouts.ts";

/** A schema that another implementation has made. */
export interface ForeignKind {
  readonly name: string;
  /** Whose files of SQL are run, up to and including this one. */
  readonly release: Release;
  readonly ledger: number;
  /** Whether the migrations of graphile_worker_rs come on top. */
  readonly isRust?: boolean;
}

/** What can be adopted: each release as it makes it, the older ledgers, and graphile_worker_rs. */
export const KINDS: readonly ForeignKind[] = [
  { name: "graphile-worker 0.16.6", release: "0.16", ledger: 18 },
  { name: "graphile-worker 0.17.3", release: "0.17", ledger: 19 },
  { name: "graphile-worker 0.18.0", release: "0.18", ledger: 20 },
  { name: "a ledger at 16", release: "0.16", ledger: 16 },
  { name: "a ledger at 17", release: "0.16", ledger: 17 },
  { name: "graphile_worker_rs", release: "0.16", ledger: 18, isRust: true },
];

const RUST = new URL("fixtures/rust-19-20.sql", import.meta.url);

/** Makes a database with such a schema, as its own migrations make it, and jobs in every state. */
export async function createForeignDatabase({ release, ledger, isRust }: ForeignKind): Promise<TestDatabase> {
  const database = await createDatabase({ migrate: false });
  await database.sql(`
    create schema ${SCHEMA};
    create table ${SCHEMA}.migrations (
      id integer primary key, ts timestamptz not null default now(), breaking boolean not null default false)`);
  const folder = join(dirname(mainFile(release)), "../sql");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql")).toSorted();
  for (const name of files) {
    const id = Number.parseInt(name, 10);
    if (id > ledger) continue;
    const text = await readFile(join(folder, name), "utf8");
    const isBreaking = text.startsWith("--! breaking");
    await database.sql(`begin;
      insert into ${SCHEMA}.migrations (id, breaking) values (${id}, ${isBreaking});
      ${inSchema(text)};
      commit`);
  }
  if (isRust) await database.sql(inSchema(await readFile(RUST, "utf8")));
  await database.sql(USED);
  return database;
}

function inSchema(text: string): string {
  return text.replaceAll(":GRAPHILE_WORKER_SCHEMA", SCHEMA);
}

/** Eight jobs: three due, one of them in a queue; one for later; one that failed once; one for good; two that run. */
const USED = `
  select ${SCHEMA}.add_job('t', '1'), ${SCHEMA}.add_job('t', '2', queue_name => 'q', job_key => 'k'),
    ${SCHEMA}.add_job('t', '3', flags => '{slow}', priority => 3),
    ${SCHEMA}.add_job('t', '4', run_at => '2099-01-01Z', job_key => 'later'),
    ${SCHEMA}.add_job('t', '5', max_attempts => 3), ${SCHEMA}.add_job('t', '6', max_attempts => 2),
    ${SCHEMA}.add_job('t', '7', job_key => 'runs'), ${SCHEMA}.add_job('t', '8', queue_name => 'held');
  update ${SCHEMA}._private_jobs set attempts = 1, last_error = 'once', run_at = now() + interval '1 hour'
    where payload::text = '5';
  update ${SCHEMA}._private_jobs set attempts = 2, last_error = 'for good' where payload::text = '6';
  update ${SCHEMA}._private_jobs set attempts = 1, locked_at = now(), locked_by = 'pool-alive'
    where payload::text in ('7', '8');
  update ${SCHEMA}._private_job_queues set locked_at = now(), locked_by = 'pool-alive' where queue_name = 'held';
  insert into ${SCHEMA}._private_known_crontabs values ('t', '2020-01-01Z', '2020-02-01Z')`;

/** Everything that there is in the schema, line by line: what a dump of it without data would say. */
export const OBJECTS = `
  select line from (
    select format('column %s.%s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull,
      attidentity::text || attgenerated::text, pg_get_expr(adbin, adrelid)) as line
    from pg_attribute join pg_class on pg_class.oid = attrelid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where relnamespace = '${SCHEMA}'::regnamespace and attnum > 0 and not attisdropped and relkind in ('r', 'v', 'c')
    union all
    select format('relation %s %s %s %s', relname, relkind, reloptions, relrowsecurity) from pg_class
    where relnamespace = '${SCHEMA}'::regnamespace
    union all
    select format('constraint %s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
    where connamespace = '${SCHEMA}'::regnamespace and contype <> 'n'
    union all
    select indexdef from pg_indexes where schemaname = '${SCHEMA}'
    union all
    select pg_get_functiondef(oid) from pg_proc where pronamespace = '${SCHEMA}'::regnamespace
    union all
    select format('trigger %s', pg_get_triggerdef(pg_trigger.oid)) from pg_trigger join pg_class on pg_class.oid = tgrelid
    where relnamespace = '${SCHEMA}'::regnamespace and not tgisinternal
    union all
    select format('migration %s %s', id, breaking) from ${SCHEMA}.migrations
  ) as lines order by line`;

/** The jobs with what both sides know of them. */
export const JOBS = `
  select payload::text, identifier, queue_name, priority, attempts, max_attempts, last_error, key, revision, flags,
    jobs.locked_by, run_at > now() + interval '1 year' as later
  from ${SCHEMA}._private_jobs jobs join ${SCHEMA}._private_tasks tasks on tasks.id = task_id
  left join ${SCHEMA}._private_job_queues queues on queues.id = job_queue_id order by payload::text`;
