import type { Schema } from "../schema.ts";

/** What is true for the workers of `$1` that are registered, and locks them by id: others lock several in that order, too. */
export function lockedWorkers(schema: Schema): string {
  return `id operator(pg_catalog.=) any(array(
  select id from ${schema.of("_private_workers")}
  where id operator(pg_catalog.=) any($1::pg_catalog.text[]) order by id for update
))`;
}
