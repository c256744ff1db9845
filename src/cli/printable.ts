import { logLine } from "../runtime/log-line.ts";

/** A text of the database in one line, with everything as an escape that could move the cursor or colour the screen. */
export function printable(text: string): string {
  return logLine(text, undefined);
}

/** As {@link printable}, for a text of several lines. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
