/**
 * A statement's text with its first value, `$1`, put into something else. The
 * text has to write it with its type, which could not be told otherwise.
 */
export function wrapFirstValue(text: string, wrap: (argument: string) => string): string {
  if (!FIRST_VALUE.test(text)) throw new TypeError(`The first value has no type: ${text}`);
  return text.replace(FIRST_VALUE, wrap);
}

const FIRST_VALUE = /\$1::pg_catalog\.[a-z0-9]+(\[\])?/;
