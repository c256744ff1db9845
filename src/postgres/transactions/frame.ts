import { HowdahError } from "../../errors.ts";
import type { Cell, Query, QueryResult, Row } from "../driver.ts";

/**
 * A statement in the form in which every client library passes text through:
 * each value arrives as text, `$1::pg_catalog.text::type`, and each row comes
 * back as one column of type text. Otherwise libraries read and write values by
 * their types: numbers are rounded, times lose their microseconds, JSON is
 * encoded twice.
 *
 * The statement has to return rows, and to write each value with its type. It
 * may change something, but not in a `with` of its own.
 */
export function frame({ text, values = [] }: Query): FramedStatement {
  if (!/^\s*(?:select|insert|update|delete|with)\b/i.test(text)) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "Only a client of `pg` can run this in a transaction, because it answers with no rows. " +
        "To migrate with another library, run the SQL of `migrationSql()`.",
    );
  }
  const typed = replaceValues(text, (value, isTyped) => {
    if (!isTyped) throw new TypeError(`The value ${value} has no type: ${text}`);
    return `${value}::pg_catalog.text`;
  });
  return {
    text: `with howdah_answer as materialized (\n${typed}\n)\nselect howdah_answer::pg_catalog.text as howdah from howdah_answer`,
    values,
  };
}

/** What a library is given to send. */
export interface FramedStatement {
  readonly text: string;
  readonly values: readonly Cell[];
}

/** Replaces what stands for values (`$1`) in a statement, and nothing that looks like it in a quoted name or text. */
export function replaceValues(text: string, replace: (value: string, isTyped: boolean) => string): string {
  return text.replaceAll(QUOTED_OR_VALUE, (found, value: string | undefined, type: string | undefined) =>
    value === undefined ? found : `${replace(value, type !== undefined)}${type ?? ""}`,
  );
}

const QUOTED_OR_VALUE = /"(?:[^"]|"")*"|'(?:[^']|'')*'|(\$\d+)(::)?/g;

/** Reads the rows of a framed statement; `undefined` for what is no answer to one. */
export function readFrame(rows: unknown): QueryResult | undefined {
  if (!Array.isArray(rows)) return undefined;
  const read: Row[] = [];
  for (const row of rows as readonly unknown[]) {
    const text = (row as { readonly howdah?: unknown } | null | undefined)?.howdah;
    const cells = typeof text === "string" ? readRecord(text) : undefined;
    if (!cells) return undefined;
    read.push(cells);
  }
  return { rows: read, count: read.length };
}

/**
 * The cells of a row as PostgreSQL writes it: `(1,"two words",,"")` has a
 * null and an empty text. `undefined` for what is none.
 * https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX
 */
export function readRecord(text: string): Row | undefined {
  if (!text.startsWith("(") || !text.endsWith(")")) return undefined;
  const cells: Cell[] = [];
  const cell = /(?:"((?:[^"\\]|""|\\.)*)"|([^",()\\]*))([,)])/suy;
  for (let at = 1; at < text.length; at = cell.lastIndex) {
    cell.lastIndex = at;
    const found = cell.exec(text);
    if (!found) return undefined;
    const [, quoted, plain = "", end] = found;
    cells.push(quoted === undefined ? plain || null : unquoted(quoted));
    if (end === ")") return cell.lastIndex === text.length ? cells : undefined;
  }
  return undefined;
}

/** Within quotes, a quote and a backslash are written twice. */
function unquoted(text: string): string {
  return text.replaceAll(/""|\\(.)/gsu, (_pair, escaped: string | undefined) => escaped ?? '"');
}
