import type { TestDatabase } from "./database.ts";

/**
 * All that a dump of a schema says of it but for the rows, in lines that can be compared:
 * relations with their columns, options, rights and row security, constraints, indexes,
 * triggers, functions and types.
 */
export async function describeSchema({ sql }: Pick<TestDatabase, "sql">, name: string): Promise<string[]> {
  const rows = await sql(DESCRIPTION, [name]);
  return rows.map(({ line }) => line as string);
}

// $1 schema
const DESCRIPTION = `
with space as (select oid from pg_namespace where nspname = $1),
relation as (select class.* from pg_class as class join space on space.oid = class.relnamespace)
select concat_ws(' ', 'relation', relname, relkind, relrowsecurity, relforcerowsecurity, reloptions, relacl, relowner) as line
from relation
union all
select concat_ws(' ', 'column', relname, row_number() over (partition by relation.oid order by attnum), attname,
  format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attacl, pg_get_expr(adbin, adrelid))
from relation
join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped and relkind in ('r', 'v', 'c')
left join pg_attrdef on adrelid = attrelid and adnum = attnum
union all
select concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(pg_constraint.oid))
from relation join pg_constraint on conrelid = relation.oid where contype <> 'n'
union all
select concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid) from relation join pg_index on indexrelid = relation.oid
union all
select concat_ws(' ', 'trigger', pg_get_triggerdef(pg_trigger.oid))
from relation join pg_trigger on tgrelid = relation.oid where not tgisinternal
union all
select concat_ws(' ', 'function', pg_get_functiondef(function.oid), function.proacl, function.proowner)
from pg_proc as function join space on space.oid = function.pronamespace
union all
select concat_ws(' ', 'type', typname, typtype, typacl) from pg_type join space on space.oid = typnamespace
union all
select concat_ws(' ', 'view', relname, pg_get_viewdef(relation.oid)) from relation where relkind = 'v'
union all
select concat_ws(' ', 'sequence', relname, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
from relation join pg_sequence on seqrelid = relation.oid
union all
select concat_ws(' ', 'policy', polname) from relation join pg_policy on polrelid = relation.oid
order by 1`;
