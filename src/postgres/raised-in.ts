import { causesOf } from "./sqlstate.ts";
import type { Schema } from "./schema.ts";

/**
 * Where an error of PostgreSQL was raised when that is no code of Howdah, such
 * as the trigger of an application on the jobs: the innermost line of its
 * context, as the server wrote it. `undefined` when it was raised by a statement
 * or a function of Howdah.
 */
export function raisedElsewhere(error: unknown, schema: Schema): string | undefined {
  const context = contextOf(error);
  if (context === undefined) return undefined;
  const frame = context.split("\n").find((line) => /\bPL\/\w+|^SQL function "/.test(line) && !EXPRESSION.test(line));
  // Without the name of a function it is something that the database does by itself, such as a foreign key.
  if (frame === undefined) return context.split("\n", 1)[0];
  return isOurs(frame, schema) ? undefined : frame;
}

/**
 * The line about an expression or an assignment, which stands above that of its
 * function: what is quoted there is no name with a dot or a parenthesis behind it.
 */
const EXPRESSION = /\bPL\/pgSQL\S*(?: \S+)? ["\u00ab\u00bb\u201c\u201e](?!(?:[^"]|"")+"[.(])/;

function contextOf(error: unknown): string | undefined {
  for (const link of causesOf(error)) {
    const { where } = link as { readonly where?: unknown };
    if (typeof where === "string" && where !== "") return where;
  }
  return undefined;
}

/** Reads the signature of a PL/pgSQL function, with its schema unless the search path has that, or the name of one in SQL. */
function isOurs(frame: string, schema: Schema): boolean {
  const name = '"(?:[^"]|"")+"|[\\w$]+';
  const [, inSchema, signature] = new RegExp(`(?:(${name})\\.)?(${name})\\(`).exec(frame) ?? [];
  const found = unquoted(signature ?? /(?:"([^"]+)"|inline_code_block)/.exec(frame)?.[0] ?? "");
  if (inSchema !== undefined && unquoted(inSchema) !== schema.name) return false;
  return found.startsWith("_howdah_") || OUR_FUNCTIONS.has(found);
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** Functions of the schema whose names do not begin with `_howdah_`. */
const OUR_FUNCTIONS = new Set(
  (
    "add_job add_jobs complete_jobs delete_stale_workers force_unlock_workers inline_code_block list_orphan_locked_workers " +
    "list_stale_workers permanently_fail_jobs recover_dead_worker_jobs remove_job reschedule_jobs worker_deregister worker_heartbeat"
  ).split(" "),
);
