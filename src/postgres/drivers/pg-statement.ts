import { createHash } from "node:crypto";
import { HowdahError } from "../../errors.ts";
import type { Query, QueryResult, Row } from "../driver.ts";

/** One statement, as `pg` takes it. */
export interface PgStatement {
  name?: string | undefined;
  text: string;
  values?: unknown[] | undefined;
  rowMode?: "array" | undefined;
  types?: PgTypes | undefined;
}

/** How `pg` asks what to do with a value of some type. */
export interface PgTypes {
  /** How a value of this type becomes one of JavaScript. */
  getTypeParser(typeId: number, format?: "text" | "binary"): (value: string) => unknown;
}

/** What `pg` answers to one statement. */
export interface PgAnswer {
  command: string;
  rowCount: number | null;
  rows: unknown[];
}

/**
 * Leaves every value as the text that PostgreSQL sent. It goes along with each
 * statement, so no parser of the process, the pool or the client is touched.
 */
const RAW_TEXT: PgTypes = { getTypeParser: (_typeId, format) => (format === "binary" ? refuseBinary : asItIs) };

function asItIs(value: string): string {
  return value;
}

/** Not thrown by `getTypeParser`: `pg` calls that where an error would end the process. */
function refuseBinary(): never {
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "The database answers with binary values, because this client sets `binary: true` behind the back of the statement. Values have to come as text: leave `binary` out.",
  );
}

/** What a client of `pg` adds to each statement. */
interface WithBinary {
  binary?: boolean;
}

/**
 * Sends a statement whose values come as text, also on a client with
 * `binary: true`: what it adds to a statement it adds in this very call.
 */
export function sendAsText<T>(client: { query(statement: PgStatement): T }, statement: PgStatement): T {
  const flags = client as WithBinary;
  if (flags.binary !== true) return client.query(statement);
  flags.binary = false;
  try {
    return client.query(statement);
  } finally {
    flags.binary = true;
  }
}

/** PostgreSQL cuts the name of a prepared statement off after this many bytes. */
const MAX_NAME_LENGTH = 63;

/** A text that was renamed so often is no longer prepared: what it is about never stays the same. */
const MAX_RENAMES = 20;

interface SentName {
  /** `undefined`: it is sent without a name. */
  readonly name: string | undefined;
  readonly renames: number;
}

const sentNames = new Map<string, SentName>();

/** A statement for `pg`, with its text in and its text out. Without `named` it is not prepared under a name. */
export function toPgStatement(query: Query, named: boolean): PgStatement {
  const { name, text, values } = query;
  const statement: PgStatement = { text, rowMode: "array", types: RAW_TEXT };
  if (values !== undefined) statement.values = values as unknown[];
  if (named && name !== undefined) statement.name = sentName(name, text);
  return statement;
}

/** The answer to the last statement of a text. */
export function lastAnswer(answer: PgAnswer | PgAnswer[]): PgAnswer {
  return Array.isArray(answer) ? (answer.at(-1) as PgAnswer) : answer;
}

/** A {@link QueryResult} of an answer in raw mode. */
export function toQueryResult(answer: PgAnswer): QueryResult {
  const rows = answer.rows as Row[];
  return { rows, count: answer.rowCount ?? rows.length };
}

/**
 * The name under which a statement is prepared. It depends on the text, so that
 * two schemas, two releases or a stranger can share one connection.
 */
function sentName(name: string, text: string): string | undefined {
  let sent = sentNames.get(text);
  if (sent === undefined) {
    sent = { name: digestedName(name, text), renames: 0 };
    sentNames.set(text, sent);
  }
  return sent.name;
}

/**
 * From now on the statement is prepared under another name: what sessions have
 * under `failed` answers with columns of other types than it would now. Nothing
 * is done when another session has met that before.
 */
export function renameStatement({ name, text }: Query, failed: string | undefined): void {
  const sent = sentNames.get(text);
  if (name === undefined || failed === undefined || sent?.name !== failed) return;
  const renames = sent.renames + 1;
  sentNames.set(text, { name: renames > MAX_RENAMES ? undefined : digestedName(name, failed), renames });
}

function digestedName(name: string, source: string): string {
  const digest = createHash("sha256").update(source).digest("hex").slice(0, 12);
  return `howdah_${name}`.slice(0, MAX_NAME_LENGTH - digest.length - 1) + `_${digest}`;
}
