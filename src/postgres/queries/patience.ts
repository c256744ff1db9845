import type { Query } from "../driver.ts";

/**
 * An argument of a function call, in a statement that waits for no lock of
 * others for longer than the milliseconds that `parameter` stands for: then it
 * fails with 55P03 and has changed nothing. Arguments are evaluated before the
 * call, so the limit counts for all that the function does. It ends with the
 * transaction, hence it is not for those of an application.
 */
export function limited(argument: string, parameter: string): string {
  return `case when pg_catalog.set_config('lock_timeout', ${parameter}, true) is not null then ${argument} end`;
}

/**
 * The same for a statement whose first value is such an argument, or is
 * compared with what is changed. The text has to write it with its type.
 */
export function patiently(query: Query, patienceMs: number): Query {
  const { name, text, values = [] } = query;
  return {
    ...query,
    ...(name === undefined ? {} : { name: `${name}_patiently` }),
    text: wrapFirstValue(text, (argument) => limited(argument, `$${values.length + 1}::pg_catalog.text`)),
    values: [...values, String(patienceMs)],
  };
}

/**
 * A statement's text with its first value, `$1`, put into something else. The
 * text has to write it with its type, which could not be told otherwise.
 */
export function wrapFirstValue(text: string, wrap: (argument: string) => string): string {
  if (!FIRST_VALUE.test(text)) throw new TypeError(`The first value has no type: ${text}`);
  return text.replace(FIRST_VALUE, wrap);
}

const FIRST_VALUE = /\$1::pg_catalog\.[a-z0-9]+(\[\])?/;
