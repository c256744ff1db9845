import type { Executor } from "./driver.ts";
import { textArray } from "./literal.ts";
import type { Schema } from "./schema.ts";
import { relationNames, type SchemaObjects } from "./schema-objects.ts";

/** What is there of these objects, as keys and details. Needs no rights. */
export async function readObjects(
  executor: Executor,
  schema: Schema,
  wanted: SchemaObjects,
): Promise<ReadonlyMap<string, string>> {
  const functions = [...wanted.functions.keys()].map((key) => key.slice("function ".length, key.indexOf("(")));
  const values = [schema.name, textArray(relationNames(wanted)), textArray(functions)];
  const { rows } = await executor.query({ text: FOUND, values });
  const found = rows.map(([key, detail]): [string, string] => [key ?? "", detail ?? ""]);
  return new Map(found.filter(([key]) => wanted.plain.has(key) || wanted.functions.has(key)));
}

/** The source of one function of the schema; `undefined` when there is none. */
export async function readSource(executor: Executor, schema: Schema, name: string): Promise<string | undefined> {
  const { rows } = await executor.query({ text: SOURCE, values: [schema.name, name] });
  return rows[0]?.[0] ?? undefined;
}

/** The type with this alias, as the keys of `SchemaObjects` have it: `@` before one of the schema. */
const TYPE_NAME = (type: string): string =>
  `pg_catalog.concat(case when ${type}.typnamespace operator(pg_catalog.=) space.oid then '@' end, ${type}.typname)`;

// $1 schema   $2 relations   $3 functions
const FOUND = `
with space as (
  select oid from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) $1
), relation as (
  select relation.oid, relation.relname, relation.relkind, relation.reltype
  from pg_catalog.pg_class as relation join space on space.oid operator(pg_catalog.=) relation.relnamespace
  where relation.relname operator(pg_catalog.=) any($2::pg_catalog.name[])
)
select
  pg_catalog.concat(
    case
      when relkind operator(pg_catalog.=) any('{r,p}'::pg_catalog."char"[]) then 'table'
      when relkind operator(pg_catalog.=) 'v' then 'view'
      when relkind operator(pg_catalog.=) any('{i,I}'::pg_catalog."char"[]) then 'index'
      when relkind operator(pg_catalog.=) 'S' then 'sequence'
      when relkind operator(pg_catalog.=) 'c' then 'type'
      else 'other'
    end, ' ', relname
  ), ''
from relation
union all
select pg_catalog.concat('column ', relation.relname, '.', attname), ${TYPE_NAME("type")}
from relation
cross join space
join pg_catalog.pg_attribute on attrelid operator(pg_catalog.=) relation.oid
join pg_catalog.pg_type as type on type.oid operator(pg_catalog.=) atttypid
where attnum operator(pg_catalog.>) 0 and not attisdropped
  and relation.relkind operator(pg_catalog.=) any('{r,p,c}'::pg_catalog."char"[])
union all
select pg_catalog.concat('constraint ', relation.relname, '.', conname), ''
from relation join pg_catalog.pg_constraint on conrelid operator(pg_catalog.=) relation.oid
where contype operator(pg_catalog.=) any('{p,u,c}'::pg_catalog."char"[])
union all
select pg_catalog.concat('trigger ', relation.relname, '.', tgname), ''
from relation join pg_catalog.pg_trigger on tgrelid operator(pg_catalog.=) relation.oid
where not tgisinternal
union all
select
  pg_catalog.concat(
    'function ', proname, '(',
    (
      select pg_catalog.string_agg(${TYPE_NAME("type")}, ', ' order by argument.place)
      from pg_catalog.unnest(proargtypes::pg_catalog.oid[]) with ordinality as argument(type, place)
      join pg_catalog.pg_type as type on type.oid operator(pg_catalog.=) argument.type
    ),
    ')'
  ),
  case when prosqlbody is null then pg_catalog.md5(pg_catalog.convert_to(prosrc, 'UTF8')) else '' end
from pg_catalog.pg_proc
join space on space.oid operator(pg_catalog.=) pronamespace
where proname operator(pg_catalog.=) any($3::pg_catalog.name[])`;

// $1 schema   $2 name
const SOURCE = `
select prosrc from pg_catalog.pg_proc
join pg_catalog.pg_namespace as space on space.oid operator(pg_catalog.=) pronamespace
where space.nspname operator(pg_catalog.=) $1 and proname operator(pg_catalog.=) $2`;
