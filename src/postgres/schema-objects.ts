import { createHash } from "node:crypto";
import { type Migration, renderSql } from "./migration.ts";
import type { Schema } from "./schema.ts";

/** What migrations make, as they leave it. */
export interface SchemaObjects {
  /** By a key like `table jobs` or `column jobs.id`, what else has to be the same: the type of a column. */
  readonly plain: ReadonlyMap<string, string>;
  /** By a key like `function f(int8, text)`. */
  readonly functions: ReadonlyMap<string, FunctionObject>;
  /** The statements that insert rows, for any schema. */
  readonly seeds: readonly string[];
  /** By the key of a column its definition, by that of an index the statement that creates it, for any schema. */
  readonly definitions: ReadonlyMap<string, string>;
}

/** A function that a migration creates. */
export interface FunctionObject {
  /** The statement that creates it, for any schema. */
  readonly statement: string;
  /** The statements that say later what it is run with, and who may not call it. */
  readonly settings: readonly string[];
  /** Its source, for any schema; `undefined` for one that PostgreSQL parses when it is created. */
  readonly body: string | undefined;
}

/**
 * Reads the statements of migrations and returns what they make; the same list
 * is read once. It knows the forms that migrations are written in; a test
 * compares it with the catalogs of a database that was migrated, in both
 * directions.
 */
export function objectsOf(migrations: readonly Pick<Migration, "sql">[]): SchemaObjects {
  const objects = known.get(migrations) ?? readObjectsOf(migrations);
  known.set(migrations, objects);
  return objects;
}

/** What lists of migrations make, for those that were read: every start of a worker or client asks several times. */
const known = new WeakMap<readonly Pick<Migration, "sql">[], SchemaObjects>();

function readObjectsOf(migrations: readonly Pick<Migration, "sql">[]): SchemaObjects {
  const plain = new Map<string, string>();
  const functions = new Map<string, FunctionObject>();
  const seeds: string[] = [];
  const definitions = new Map<string, string>();
  for (const { sql } of migrations) {
    for (const statement of statementsOf(sql)) {
      if (statement.startsWith("insert ")) seeds.push(statement);
      else readStatement(statement, { plain, functions, definitions });
    }
  }
  return { plain, functions, seeds, definitions };
}

/** Everything that is in one of several lists of objects. */
export function joinObjects(lists: readonly SchemaObjects[]): SchemaObjects {
  return {
    plain: new Map(lists.flatMap(({ plain }) => [...plain])),
    functions: new Map(lists.flatMap(({ functions }) => [...functions])),
    seeds: lists.flatMap(({ seeds }) => seeds),
    definitions: new Map(lists.flatMap(({ definitions }) => [...definitions])),
  };
}

/** The names of tables, views, indexes, sequences and types, which no other object of the schema may have. */
export function relationNames({ plain }: SchemaObjects): string[] {
  return [...plain.keys()].flatMap((key) => /^(?:table|view|index|sequence|type) (.*)$/.exec(key)?.[1] ?? []);
}

/** What each function must be like in `schema`, by its key: a hash of its source. */
export function functionDetail({ body }: FunctionObject, schema: Schema): string {
  return body === undefined ? "" : createHash("md5").update(renderSql(body, schema)).digest("hex");
}

interface Collected {
  readonly plain: Map<string, string>;
  readonly functions: Map<string, FunctionObject>;
  readonly definitions: Map<string, string>;
}

/** The statements of a text, without comments outside of function bodies. */
export function statementsOf(sql: string): string[] {
  let current = "";
  const statements: string[] = [];
  for (const token of sql.match(/\$\$[\s\S]*?\$\$|'(?:[^']|'')*'|--[^\n]*\n?|;|[^$'\-;]+|[$\-']/g) ?? []) {
    if (token === ";") {
      statements.push(current.trim());
      current = "";
    } else if (!token.startsWith("--")) current += token;
  }
  return [...statements, current.trim()].filter((statement) => statement !== "");
}

function readStatement(statement: string, into: Collected): void {
  const { plain, functions, definitions } = into;
  const [, kind = "", rest = ""] = /^create (?:or replace |unique |unlogged )*(\w+) ([\s\S]*)$/.exec(statement) ?? [];
  const name = /^(?::"schema"\.)?(\w+)/.exec(rest)?.[1] ?? "";
  if (kind === "function") readFunction(statement, functions);
  else if (kind === "table" || kind === "type") {
    plain.set(`${kind} ${name}`, "");
    // A partition has the columns of its table.
    if (/^\S+ partition of /.test(rest)) return;
    for (const item of splitList(inParentheses(rest))) readItem(name, item, into);
  } else if (kind === "view" || kind === "index") {
    plain.set(`${kind} ${name}`, "");
    if (kind === "index") definitions.set(`index ${name}`, statement);
  } else if (kind === "trigger") {
    plain.set(`trigger ${/\son :"schema"\.(\w+)/.exec(rest)?.[1]}.${name}`, "");
  } else readChange(statement, into);
}

/** A column or a constraint of a table. */
function readItem(table: string, item: string, { plain, definitions }: Collected): void {
  const constraint = /^constraint (\w+)/.exec(item)?.[1];
  if (constraint) plain.set(`constraint ${table}.${constraint}`, "");
  else {
    const key = `column ${table}.${/^\w+/.exec(item)?.[0]}`;
    plain.set(key, typeName(item.replace(/^\w+\s+/, "")));
    definitions.set(key, item);
  }
  const sequence = /sequence name :"schema"\.(\w+)/.exec(item)?.[1];
  if (sequence) plain.set(`sequence ${sequence}`, "");
}

function readFunction(statement: string, functions: Map<string, FunctionObject>): void {
  const name = /function :"schema"\.(\w+)/.exec(statement)?.[1];
  const types = splitList(inParentheses(statement))
    .filter((argument) => !argument.startsWith("out "))
    .map((argument) => typeName(argument.replace(/^(?:inout |variadic )?\w+\s+/, "")));
  const body = /\$\$([\s\S]*)\$\$/.exec(statement)?.[1];
  functions.set(`function ${name}(${types.join(", ")})`, { statement, settings: [], body });
}

/** What a later migration does to objects of earlier ones. */
function readChange(statement: string, into: Collected): void {
  const { plain, functions } = into;
  const [, table = "", action = ""] = /^alter table :"schema"\.(\w+)\s+([\s\S]*)$/.exec(statement) ?? [];
  for (const part of splitList(action)) {
    const added = /^add (?:column )?([\s\S]*)$/.exec(part)?.[1];
    if (added) readItem(table, added, into);
    const dropped = /^drop (column|constraint) (?:if exists )?(\w+)/.exec(part);
    if (dropped) plain.delete(`${dropped[1]} ${table}.${dropped[2]}`);
  }
  const set = /^(?:alter function|revoke execute on function) :"schema"\.(\w+) (?:set|from) /.exec(statement)?.[1];
  for (const [key, made] of functions) {
    if (set !== undefined && key.startsWith(`function ${set}(`)) {
      functions.set(key, { ...made, settings: [...made.settings, statement] });
    }
  }
  const [, kind, name] = /^drop (\w+) (?:if exists )?(?::"schema"\.)?(\w+)/.exec(statement) ?? [];
  for (const key of [...plain.keys(), ...functions.keys()]) {
    if (kind === "function" ? !key.startsWith(`function ${name}(`) : !isPartOf(key, kind, name)) continue;
    plain.delete(key);
    functions.delete(key);
  }
}

function isPartOf(key: string, kind: string | undefined, name: string | undefined): boolean {
  return key === `${kind} ${name}` || (kind === "table" && /^\w+ (\w+)\./.exec(key)?.[1] === name);
}

/** What stands between the first parenthesis and the one that closes it. */
function inParentheses(text: string): string {
  const start = text.indexOf("(");
  let depth = 0;
  for (let at = start; at >= 0 && at < text.length; at += 1) {
    depth += text[at] === "(" ? 1 : text[at] === ")" ? -1 : 0;
    if (depth === 0) return text.slice(start + 1, at);
  }
  return "";
}

/** The items of a list, at whose commas no parenthesis is open. */
function splitList(list: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let current = "";
  for (const char of `${list},`) {
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    if (char === "," && depth === 0) {
      items.push(current.trim());
      current = "";
    } else current += char;
  }
  return items.filter((item) => item !== "");
}

/** The name of a type as `pg_type` has it, with `@` before one of the schema. */
function typeName(text: string): string {
  const [, own, name = "", array] = /^(:"schema"\.)?(double precision|"char"|\w+)(\[\])?/.exec(text) ?? [];
  return `${own ? "@" : ""}${array ? "_" : ""}${own ? name : (ALIASES[name] ?? name)}`;
}

const ALIASES: Readonly<Record<string, string>> = {
  bigint: "int8",
  integer: "int4",
  smallint: "int2",
  boolean: "bool",
  real: "float4",
  "double precision": "float8",
  '"char"': "char",
};
