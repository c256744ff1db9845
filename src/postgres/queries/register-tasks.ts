import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * Stores the identifiers that are new and returns all of them by their ids.
 *
 * Beside another worker doing the same: one of them inserts, the other waits
 * for its commit and reads. Beside a clean-up, which takes table locks: before
 * or after it. May be repeated.
 */
export async function registerTasks(
  executor: Executor,
  schema: Schema,
  identifiers: readonly string[],
): Promise<Map<number, string>> {
  const values = [textArray(identifiers)];
  const tasks = schema.of("_private_tasks");
  // Only the missing ones, so that the sequence of ids is not used up; sorted, so that two workers cannot deadlock.
  await executor.query({
    text: `
      insert into ${tasks} (identifier)
      select wanted.identifier from pg_catalog.unnest($1::pg_catalog.text[]) as wanted(identifier)
      where not exists (select from ${tasks} as known where known.identifier operator(pg_catalog.=) wanted.identifier)
      order by wanted.identifier
      on conflict (identifier) do nothing`,
    values,
  });
  const { rows } = await executor.query({
    text: `select id, identifier from ${tasks} where identifier operator(pg_catalog.=) any ($1::pg_catalog.text[])`,
    values,
  });
  return new Map(rows.map(([id, identifier]) => [Number(id), String(identifier)]));
}
