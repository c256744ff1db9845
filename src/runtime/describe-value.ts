const LONGEST_SHOWN = 60;

/**
 * Describes an unexpected value in a few words, for error messages. Short texts
 * and numbers are shown; a text that could be a connection string, and the
 * content of objects are not.
 */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return describeText(value);
    case "bigint":
      return `${value}n`;
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "object":
      return describeObject(value);
    default:
      return `a ${typeof value}`;
  }
}

function describeText(text: string): string {
  if (text === "") return "an empty string";
  if (text.includes("://") || /password/i.test(text)) return "a string";
  if (text.length > LONGEST_SHOWN) return `a string of ${text.length} characters`;
  return JSON.stringify(text);
}

function describeObject(value: object | null): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid date" : "a date";
  return "an object";
}
