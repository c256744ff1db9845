import { HowdahError } from "../errors.ts";

/** A PostgreSQL schema, with its name ready to be put into SQL. */
export interface Schema {
  /** The name as it was given. */
  readonly name: string;
  /** The name as an SQL identifier: `"howdah"`. */
  readonly quoted: string;
  /** The name as an SQL string: `'howdah'`. */
  readonly literal: string;
  /** An object of this schema as an SQL identifier: `"howdah"."jobs"`. */
  of(object: string): string;
}

/** The longest name PostgreSQL keeps; it would cut a longer one off in silence. */
const MAX_IDENTIFIER_BYTES = 63;

/**
 * Makes a {@link Schema} of any name that PostgreSQL allows. Throws
 * `HOWDAH_OPTION_INVALID` when the name is empty, longer than 63 bytes, holds a
 * NUL, or is one that PostgreSQL keeps for itself.
 */
export function createSchema(name: string): Schema {
  checkName(name);
  const quoted = quoteIdentifier(name);
  return { name, quoted, literal: quoteLiteral(name), of: (object) => `${quoted}.${quoteIdentifier(object)}` };
}

/** Writes `name` as an SQL identifier, always in quotes. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes `text` as an SQL string that reads the same whatever `standard_conforming_strings` is. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return quoted.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

function checkName(name: string): void {
  const problem = problemOf(name);
  if (problem) throw new HowdahError("HOWDAH_OPTION_INVALID", `Option \`schema\` ${problem}.`);
}

function problemOf(name: unknown): string | undefined {
  if (typeof name !== "string") return `is a ${name === null ? "null" : typeof name}; it has to be a string`;
  if (name === "") return "is empty; it has to be the name of a schema";
  if (name.includes("\0")) return "holds a NUL character, which no name in PostgreSQL can";
  if (name.startsWith("pg_") || name === "information_schema") return "names a schema that PostgreSQL keeps for itself";
  if (/\p{Surrogate}/u.test(name)) return "holds half of a surrogate pair, which is not a character";
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_IDENTIFIER_BYTES) return `is ${bytes} bytes long; PostgreSQL keeps ${MAX_IDENTIFIER_BYTES} of a name`;
  return undefined;
}
