import type { Cell } from "./driver.ts";

/** Writes ids or other plain numbers as a PostgreSQL array, without looking at them: they need no quotes. */
export function numberArray(values: readonly (string | number | bigint)[]): string {
  return `{${values.join(",")}}`;
}

/** Writes texts as a PostgreSQL array; `null` stays null. */
export function textArray(values: readonly Cell[]): string {
  return `{${values.map(element).join(",")}}`;
}

function element(value: Cell): string {
  return value === null ? "null" : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}
