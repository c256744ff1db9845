import { quoteLiteral } from "../../schema.ts";
import { lackingRights } from "./lacking-rights.ts";
import type { Questions } from "./questions.ts";
import type { DatabaseFacts } from "./database-facts.ts";

/** Questions to the catalogs and the statistics of PostgreSQL: their cost does not depend on the number of jobs. */
export const DATABASE_QUESTIONS: Questions<DatabaseFacts> = {
  server: () => `
    select current_setting('server_version_num')::integer as version, pg_is_in_recovery() as "isStandby",
      current_setting('autovacuum')::boolean as autovacuum, current_setting('track_counts')::boolean as "trackCounts",
      current_setting('synchronous_commit') as "synchronousCommit"`,

  clock: () => `select extract(epoch from clock_timestamp()) * 1000 as "databaseMs"`,

  rights: (of, schema) => `
    select current_user as role, has_any_column_privilege(${regclass(of("_private_jobs"))}, 'insert') as "mayInsertJobs",
      has_table_privilege(${regclass(of("_private_jobs"))}, 'update') as "mayUpdateJobs", ${lackingRights(schema)} as lacking`,

  // The sessions of other roles are there, only what they do is hidden.
  connections: () => `
    select count(*) as used, current_setting('max_connections')::integer as most,
      case when ${SEES_ALL} then count(*) filter (where state like 'idle in transaction%') end as "idleInTransaction"
    from pg_stat_activity where backend_type is null or backend_type = 'client backend'`,

  snapshots: () => `
    select ${SEES_ALL} as "seesAll", (select json_agg(session) from (
      select pid, usename as user, application_name as application, state,
        extract(epoch from clock_timestamp() - xact_start) as "openSeconds"
      from pg_stat_activity
      where (backend_xmin is not null or backend_xid is not null) and pid <> pg_backend_pid() and xact_start is not null
        and datname = current_database()
      order by xact_start limit 5
    ) as session) as sessions`,

  xminHolders: () => `
    select ${SEES_ALL} as "seesAll", (select json_agg(holder) from (
      select 'slot' as kind, slot_name::text as name, greatest(age(xmin), age(catalog_xmin)) as age, active as "isActive"
      from pg_replication_slots where xmin is not null or catalog_xmin is not null
      union all
      select 'prepared', gid, age(transaction), true from pg_prepared_xacts
      union all
      select 'standby', coalesce(application_name, ''), age(backend_xmin), true
      from pg_stat_replication where backend_xmin is not null
      order by 3 desc limit 10
    ) as holder) as holders`,

  vacuum: (of, { name }) => `
    select ${isShared(of("_private_jobs"))} as "isShared", (select json_agg(found) from (
      select relname as name, n_live_tup as live, n_dead_tup as dead, n_tup_upd as updates, n_tup_hot_upd as "hotUpdates",
        coalesce(last_autovacuum, last_vacuum) is not null as "wasVacuumed"
      from pg_stat_user_tables where schemaname = ${quoteLiteral(name)} and relname in ${BUSY_TABLES} order by relname
    ) as found) as tables`,

  sizes: (_, { name }) => `
    select (select json_agg(found) from (
      select class.relname as name, class.relkind = 'i' as "isIndex", pg_relation_size(class.oid) as bytes,
        nullif(greatest(class.reltuples, case when class.relkind = 'r' then pg_stat_get_live_tuples(class.oid) end), -1) as rows,
        (select sum(stats.avg_width * (1 - stats.null_frac)) from pg_stats as stats
          where stats.schemaname = namespace.nspname and stats.tablename = class.relname) as width,
        coalesce((
          select option_value::float8 / 100 from pg_options_to_table(class.reloptions) where option_name = 'fillfactor'
        ), case when class.relkind = 'i' then 0.9 else 1 end) as "fillFactor"
      from pg_class as class join pg_namespace as namespace on namespace.oid = class.relnamespace
      left join pg_index as index on index.indexrelid = class.oid left join pg_class as owner on owner.oid = index.indrelid
      where namespace.nspname = ${quoteLiteral(name)} and class.relkind in ('r', 'i')
        and coalesce(owner.relname, class.relname) in ${BUSY_TABLES}
      order by 3 desc
    ) as found) as relations`,

  vacuumsUnderWay: (_, { name }) => `
    select ${SEES_ALL} as "seesAll", (select json_agg(vacuum) from (
      select activity.pid, class.relname as table, progress.phase,
        extract(epoch from clock_timestamp() - activity.xact_start) as seconds,
        activity.wait_event_type is not distinct from 'BufferPin' as "waitsForPage",
        pg_blocking_pids(activity.pid) as "blockedBy"
      from pg_stat_progress_vacuum as progress join pg_stat_activity as activity using (pid)
      join pg_class as class on class.oid = progress.relid join pg_namespace as namespace on namespace.oid = class.relnamespace
      where progress.datname = current_database() and namespace.nspname = ${quoteLiteral(name)}
      order by activity.xact_start limit 10
    ) as vacuum) as vacuums`,

  tableOptions: (of, { name }) => `
    select ${isShared(of("_private_jobs"))} as "isShared", (select json_agg(found) from (
      select class.relname as name, class.reloptions as options
      from pg_class as class join pg_namespace as namespace on namespace.oid = class.relnamespace
      where namespace.nspname = ${quoteLiteral(name)} and class.relname in ${BUSY_TABLES} order by 1
    ) as found) as tables`,

  indexes: (of) => `
    select (select json_agg(found) from (
      select class.relname as name, index.indisvalid as "isValid",
        class.relname in ${OUR_INDEXES} or ${isOfSharedLayout(of)} as "isOurs",
        not ${isOfSharedLayout(of)} and exists (
          select from pg_attribute as attribute
          where attribute.attrelid = index.indrelid and attribute.attname in ${CLAIMED}
            and (attribute.attnum = any (index.indkey)
              or pg_get_indexdef(index.indexrelid) ~ ('\\m' || attribute.attname || '\\M'))
        ) as "endsHot"
      from pg_index as index join pg_class as class on class.oid = index.indexrelid
      where index.indrelid = ${regclass(of("_private_jobs"))} order by 1
    ) as found) as indexes`,

  attachments: (of, { name }) => `
    select
      (select json_agg(tgname order by tgname) from pg_trigger
        where tgrelid = ${regclass(of("_private_jobs"))} and not tgisinternal and tgname not like '\\_howdah\\_%') as triggers,
      class.relrowsecurity as "hasRowSecurity",
      exists (select from pg_policy where polrelid = class.oid) as "hasPolicies",
      pg_has_role(class.relowner, 'usage') as "isOwner",
      (select json_agg(conname order by conname) from pg_constraint where confrelid = class.oid) as "foreignKeys",
      (select json_agg(pubname order by pubname) from pg_publication_tables
        where schemaname = ${quoteLiteral(name)} and tablename = '_private_jobs') as publications
    from pg_class as class where class.oid = ${regclass(of("_private_jobs"))}`,

  notifications: () => "select pg_notification_queue_usage() as share",

  lockWaits: (of) => `
    select ${SEES_ALL} as "seesAll", (select json_agg(wait) from (
      select activity.pid, class.relname as table, locks.mode,
        extract(epoch from clock_timestamp() - activity.query_start) as seconds,
        pg_blocking_pids(activity.pid) as "blockedBy"
      from pg_locks as locks join pg_stat_activity as activity using (pid) join pg_class as class on class.oid = locks.relation
      where not locks.granted and locks.relation in
        (${["_private_jobs", "_private_job_queues", "_private_tasks"].map((name) => regclass(of(name))).join(", ")})
      order by 4 desc limit 10
    ) as wait) as waits`,

  wraparound: () => `
    select age(datfrozenxid) as age, current_setting('autovacuum_freeze_max_age')::bigint as "freezeAge"
    from pg_database where datname = current_database()`,

  sequences: (_, { name }) => `
    select (select json_agg(found) from (
      select sequencename as name,
        case when has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'select, usage')
          then coalesce(last_value, 0)::float8 / max_value end as share
      from pg_sequences where schemaname = ${quoteLiteral(name)} order by 2 desc nulls last
    ) as found) as sequences`,

  extensions: () => `
    select exists (select from pg_extension where extname = 'pg_stat_statements') as "hasStatements",
      exists (select from pg_extension where extname = 'pgstattuple') as "hasStatTuple"`,
};

/** Whether this role sees what sessions of other roles do. */
const SEES_ALL = "pg_has_role('pg_read_all_stats', 'usage')";

/** The tables that are written all the time. */
const BUSY_TABLES = "('_private_jobs', '_private_job_queues')";

/** The indexes of the jobs table that migrations make, and constraints of it. */
const OUR_INDEXES =
  "('jobs_pkey1', 'jobs_key_key1', '_howdah_ready', '_howdah_queued', '_howdah_due', '_howdah_failed')";

/** The columns that a claim writes. */
const CLAIMED = "('locked_at', 'locked_by', 'attempts', 'is_available')";

/** The indexes by which claims of graphile-worker find jobs, which are part of the layout that is shared with it. */
function isOfSharedLayout(of: (object: string) => string): string {
  return `(class.relname in ('jobs_main_index', 'jobs_no_queue_index') and ${isShared(of("_private_jobs"))})`;
}

/** Whether the tables are those that another implementation made. */
function isShared(jobs: string): string {
  return `exists (
    select from pg_attribute as kept
    where kept.attrelid = ${regclass(jobs)} and kept.attname = '_howdah_exhausted' and kept.attgenerated = ''
  )`;
}

function regclass(name: string): string {
  return `${quoteLiteral(name)}::regclass`;
}
