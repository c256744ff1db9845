import type { TestDatabase } from "./database.ts";

/** A schema full of traps, for a role whose search_path holds it before `pg_catalog`. */
export interface HostileSchema {
  /** Name of the trap that was sprung last, also by a transaction that was rolled back; `undefined` for none. */
  sprung(): Promise<string | undefined>;
  /** Makes all traps ready again. */
  reset(): Promise<void>;
}

/**
 * Makes the schema `hostile`: in it every operator, function, aggregate, type, table and view of `pg_catalog` has a
 * namesake with the same arguments, and so has every table of `ours`. Whatever resolves to one of them springs it: it
 * notes its number in a sequence, which no rollback takes back, and fails.
 */
export async function createHostileSchema(database: TestDatabase, ours?: string): Promise<HostileSchema> {
  await database.sql(FOUNDATION);
  for (const source of ["pg_catalog", ...(ours === undefined ? [] : [ours])]) {
    await database.sql(LAY_TRAPS.replaceAll(":source", `'${source}'`));
  }
  return {
    async sprung() {
      const [row] = await database.sql(
        "select trap.what from hostile.sprung join hostile_traps.trap on trap.id = sprung.last_value where sprung.is_called",
      );
      return row?.["what"] as string | undefined;
    },
    async reset() {
      await database.sql("select setval('hostile.sprung', 1, false)");
    },
  };
}

const FOUNDATION = `
create schema hostile;
create schema hostile_traps;
create table hostile_traps.trap (id bigint generated always as identity primary key, what text not null);
create sequence hostile.sprung;
create function hostile.spring(id integer) returns boolean language plpgsql
set search_path = pg_catalog as $$
declare
  what text;
begin
  perform pg_catalog.setval('hostile.sprung', id);
  raise exception 'trap % was sprung', id;
end $$;
grant usage on schema hostile to public;
grant usage, update on sequence hostile.sprung to public`;

/** What cannot be made (functions of internal types, polymorphic results without such arguments) cannot be a trap. */
const LAY_TRAPS = `
do $do$
declare
  item record;
  id bigint;
begin
  set local check_function_bodies = off;
  for item in
    select 'operator ' || oprname || ' (' || oprleft::regtype || ', ' || oprright::regtype || ')' as what,
      format(
        'create function hostile.operator_$id(%s) returns %s language plpgsql as $$ begin perform hostile.spring($id); end $$;
        create operator hostile.%s (%s rightarg = %s, function = hostile.operator_$id)',
        concat_ws(', ', nullif(oprleft, 0)::regtype::text, oprright::regtype::text), oprresult::regtype,
        oprname, 'leftarg = ' || nullif(oprleft, 0)::regtype || ', ', oprright::regtype
      ) as statement
    from pg_operator where oprnamespace = :source::regnamespace
    union all
    select 'function ' || oid::regprocedure,
      format(
        'create function hostile.%I(%s) returns %s language plpgsql as $$ begin perform hostile.spring($id); end $$',
        proname, pg_get_function_arguments(oid), pg_get_function_result(oid)
      )
    from pg_proc where pronamespace = :source::regnamespace and prokind = 'f'
    union all
    select 'aggregate ' || oid::regprocedure,
      format(
        'create function hostile.step_$id(%s) returns integer language plpgsql as $$ begin perform hostile.spring($id); end $$;
        create function hostile.final_$id(integer) returns %s language plpgsql as $$ begin perform hostile.spring($id); end $$;
        create aggregate hostile.%I(%s) (sfunc = hostile.step_$id, stype = integer, finalfunc = hostile.final_$id)',
        concat_ws(', ', 'integer', nullif(pg_get_function_arguments(oid), '')), pg_get_function_result(oid),
        proname, coalesce(nullif(pg_get_function_arguments(oid), ''), '*')
      )
    from pg_proc where pronamespace = :source::regnamespace and prokind = 'a'
    union all
    select 'type ' || typname,
      format('create domain hostile.%I as %s check (hostile.spring($id))', typname, oid::regtype)
    from pg_type where typnamespace = :source::regnamespace and typtype = 'b' and typelem = 0
    union all
    select 'table ' || relname,
      format(
        'create view hostile.%I as select source.* from %s as source where hostile.spring($id);
        grant all on hostile.%I to public', relname, oid::regclass, relname
      )
    from pg_class where relnamespace = :source::regnamespace and relkind in ('r', 'v')
  loop
    insert into hostile_traps.trap (what) values (item.what) returning trap.id into id;
    begin
      execute replace(item.statement, '$id', id::text);
    exception when others then
      delete from hostile_traps.trap where trap.id = currval('hostile_traps.trap_id_seq');
    end;
  end loop;
end $do$`;
