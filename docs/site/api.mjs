import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SITE, STAGED } from "./pages.mjs";

const API = join(STAGED, "api");

/** Writes a page for each export of the package, from the comments in the sources. */
export function writeApiPages() {
  const program = join(SITE, "node_modules/typedoc/bin/typedoc");
  const args = [program, "--options", join(SITE, "typedoc.config.mjs"), "--out", API];
  const { status } = spawnSync(process.execPath, args, { cwd: join(SITE, "../.."), stdio: "inherit" });
  if (status !== 0) throw new Error("typedoc failed.");
}

/** The navigation of those pages. */
export function readApiNavigation() {
  const file = join(API, "typedoc-sidebar.json");
  if (!existsSync(file)) return [];
  return JSON.parse(readFileSync(file, "utf8"));
}
