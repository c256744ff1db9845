import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** Names of tasks and queues. */
export interface Names {
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
}

/** Those of the names that have no row, or one that another transaction has not committed. */
export async function listMissingNames(executor: Executor, schema: Schema, names: Names): Promise<Names> {
  const missing = (table: string, column: string, parameter: string): string => `array(
    select given.name from pg_catalog.unnest(${parameter}::pg_catalog.text[]) as given(name)
    where not exists (
      select from ${schema.of(table)} as stored where stored.${column} operator(pg_catalog.=) given.name
    )
  )`;
  // $1 tasks   $2 queues
  const text = `select pg_catalog.to_json(${missing("_private_tasks", "identifier", "$1")}),
  pg_catalog.to_json(${missing("_private_job_queues", "queue_name", "$2")})`;
  const { rows } = await executor.query({ text, values: [textArray(names.tasks), textArray(names.queues)] });
  const [tasks, queues] = (rows[0] ?? []).map((cell) => JSON.parse(cell ?? "[]") as string[]);
  return { tasks: tasks ?? [], queues: queues ?? [] };
}
