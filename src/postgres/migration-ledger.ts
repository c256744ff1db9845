import type { Schema } from "./schema.ts";

/** The columns of our ledger of migrations. */
export const ledgerColumns = `
    id integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
  `;

/** What stands for the migrations of a schema where they take a lock. */
export const lockName = (schema: Schema): string => `howdah migrate ${schema.name}`;
