import { readFile } from "node:fs/promises";
import { HowdahError } from "../errors.ts";

/** Everything that was logged since the start. */
export async function readLog(logFile: string): Promise<string> {
  return readFile(logFile, "utf8").catch(() => "");
}

/** Enough for every error of PostgreSQL with its detail and hint. */
const LAST_LINES = 12;

/** The error for a program of PostgreSQL that failed, with the last lines it logged. */
export function startFailure(what: string, log: string): HowdahError {
  const lines = log.trim().split("\n").slice(-LAST_LINES);
  return new HowdahError("HOWDAH_EMBEDDED_FAILED", `${what}. The last lines of its log:\n${lines.join("\n")}`);
}
