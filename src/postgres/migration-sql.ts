import { HowdahError } from "../errors.ts";
import { ledgerColumns, lockName, type Migration, renderSql } from "./migration.ts";
import { migrations as released } from "./migrations.generated.ts";
import { quoteLiteral, type Schema } from "./schema.ts";
import { LEDGER } from "./schema-revision.ts";

/**
 * The migrations as one statement of SQL, for psql and for other tools: all of
 * it happens or nothing does, inside of a transaction or without one, and again
 * it does nothing. No setting stays changed. Throws `HOWDAH_OPTION_INVALID`.
 */
export function writeMigrationSql({ schema, from, migrations = released }: WriteMigrationSqlOptions): string {
  const latest = migrations.at(-1)?.id ?? 0;
  if (from > latest) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Option \`from\` is ${from}; this release knows revisions up to ${latest}.`,
    );
  }
  const steps = migrations.filter(({ id }) => id > from);
  const body = `
declare
  former_path constant pg_catalog.text := pg_catalog.current_setting('search_path');
  found_revision integer;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  perform pg_advisory_xact_lock(hashtextextended(${quoteLiteral(lockName(schema))}, 0));
  if current_setting('server_version_num')::integer < 140000 then
    raise exception 'Howdah needs PostgreSQL 14 or newer.';
  end if;
  if not exists (select from pg_namespace where nspname = ${schema.literal}) then
    create schema ${schema.quoted};
  end if;
  if to_regclass(${quoteLiteral(schema.of(LEDGER))}) is null then
    create table ${schema.of(LEDGER)} (${ledgerColumns});
  end if;
  select coalesce(max(id), 0) into found_revision from ${schema.of(LEDGER)};
  if exists (select from ${schema.of(LEDGER)} where breaks_before > ${latest}) then
    raise exception 'The schema is at revision %, these migrations end at ${latest}.', found_revision;
  end if;
  if found_revision < ${from} then
    raise exception 'The schema is at revision %, these migrations begin after ${from}.', found_revision;
  end if;
${steps.map((step) => writeStep(step, schema)).join("")}  perform set_config('search_path', former_path, true);
end
`;
  const quote = quoteFor("howdah", body);
  const range = steps.length === 0 ? `at revision ${latest}, nothing to do` : `revisions ${from + 1} to ${latest}`;
  return `-- Howdah, schema ${schema.quoted.replaceAll(/[\r\n]/g, " ")}: ${range}.
-- One statement: all of it happens or nothing does. Again it does nothing.
do ${quote}${body}${quote};
`;
}

/** What to write down. */
export interface WriteMigrationSqlOptions {
  readonly schema: Schema;
  /** The revision that the schema has; 0 for none. */
  readonly from: number;
  /** Default: those of this release. */
  readonly migrations?: readonly Migration[];
}

function writeStep({ id, name, sql, breaksBefore = 0 }: Migration, schema: Schema): string {
  const text = renderSql(sql, schema);
  const quote = quoteFor("migration", text);
  const ledger = schema.of(LEDGER);
  return `
  -- ${id}: ${name}
  if not exists (select from ${ledger} where id = ${id}) then
    execute ${quote}
${text}
${quote};
    insert into ${ledger} (id, name, breaks_before) values (${id}, ${quoteLiteral(name)}, ${breaksBefore});
  end if;
`;
}

/** A quote that does not occur in what it encloses. */
function quoteFor(name: string, text: string): string {
  let quote = `$${name}$`;
  for (let n = 1; text.includes(quote); n += 1) quote = `$${name}${n}$`;
  return quote;
}
