import type { Cell } from "./driver.ts";

/** Writes numbers, booleans or `null` as a PostgreSQL array, without looking at them: they need no quotes. */
export function numberArray(values: readonly (string | number | bigint)[]): string {
  return `{${values.join(",")}}`;
}

/** Writes texts as a PostgreSQL array; `null` stays null. */
export function textArray(values: readonly Cell[]): string {
  return `{${values.map(element).join(",")}}`;
}

/**
 * Writes texts that `JSON.stringify` has made as a PostgreSQL array. They hold
 * no control characters and no half of a surrogate pair, and what is left to
 * escape JSON escapes as an array does, at many times the speed.
 */
export function jsonArray(texts: readonly string[]): string {
  return `{${JSON.stringify(texts).slice(1, -1)}}`;
}

/** How much is escaped at once: a regular expression with more matches than fit an array would end the process. */
const CHUNK_LENGTH = 65_536;

function element(value: Cell): string {
  if (value === null) return "null";
  let escaped = "";
  for (let from = 0; from < value.length; from += CHUNK_LENGTH) {
    escaped += value.slice(from, from + CHUNK_LENGTH).replace(/[\\"]/g, "\\$&");
  }
  return `"${escaped}"`;
}

/** An integer as text; null stays. */
export function integerCell(value: number | null): Cell {
  return value === null ? null : String(value);
}

/** The numbers of an array as PostgreSQL writes it. */
export function readNumbers(literal: Cell | undefined): Cell[] {
  if (literal == null || literal === "{}") return [];
  return literal
    .slice(1, -1)
    .split(",")
    .map((element) => (element === "NULL" ? null : element));
}
