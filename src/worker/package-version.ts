import { readFileSync } from "node:fs";

/** The version of this package, or "unknown" where a bundler has taken it apart. */
export function packageVersion(): string {
  try {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const { name, version } = JSON.parse(text) as { name?: string; version?: string };
    return name === "howdah" && version !== undefined ? version : "unknown";
  } catch {
    return "unknown";
  }
}
