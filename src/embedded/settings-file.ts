import type { SettingValue } from "./options.ts";

/**
 * The text of a configuration file that starts from the file `base` and changes
 * `settings`. Names must have been checked; values may be any text without NUL.
 */
export function settingsFile(base: string, settings: Readonly<Record<string, SettingValue>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return [`include ${quoteSetting(base)}`, ...lines, ""].join("\n");
}

/** Inside of quotes the file knows two quotes for one and backslash escapes, but no end of line. */
function quoteSetting(value: SettingValue): string {
  const text = typeof value === "boolean" ? (value ? "on" : "off") : String(value);
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("'", "''").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `'${escaped}'`;
}
