import type { Schema } from "./schema.ts";

/** One step of the schema; `:"schema"` and `:'schema'` in the SQL stand for the schema's name. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** A release that knows no revision as late as this one cannot use the schema any more. Default 0: every release can. */
  readonly breaksBefore?: number;
}

/** The SQL of a migration, or a part of it, for one schema. */
export function renderSql(sql: string, schema: Schema): string {
  // A name may hold what the bodies of functions are quoted with.
  let quote = "$$";
  for (let n = 0; schema.name.includes(quote); n += 1) quote = `$body${n}$`;
  const replacements: Readonly<Record<string, string>> = {
    ':"schema"': schema.quoted,
    ":'schema'": schema.literal,
    $$: quote,
  };
  return sql.replace(/:"schema"|:'schema'|\$\$/g, (found) => replacements[found] ?? found);
}

/**
 * The columns of our ledger of migrations. By `breaks_before` a release that does
 * not know a migration learns whether it can use the schema all the same.
 */
export const ledgerColumns = `
    id integer primary key,
    name text not null,
    applied_at timestamptz not null default now(),
    breaks_before integer not null default 0
  `;

/** What stands for the migrations of a schema where they take a lock. */
export const lockName = (schema: Schema): string => `howdah migrate ${schema.name}`;
