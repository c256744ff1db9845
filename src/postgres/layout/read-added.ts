import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/** Looks what there is of Howdah in an adopted schema. Run inside of a transaction whose search_path is pg_catalog. */
export async function readAdded(executor: Executor, schema: Schema): Promise<Added> {
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

/** What there is of Howdah in a schema, by its names. */
export interface Added {
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

/** What the column is called by which their claims would find unlocked queues. */
export const HIDDEN = "_howdah_is_available";

// $1 schema
const ADDED = `
with space as (
  select oid from pg_namespace where nspname = $1
), relation as (
  select class.oid, class.relname, class.relkind, class.reloptions, class.relispartition
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
  (
    select json_agg(relname) from relation
    where relkind in ('r', 'p') and not relispartition and relname like '\\_howdah\\_%'
  ),
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
