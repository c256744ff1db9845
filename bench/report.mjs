/**
 * Writes everything that is made of bench/results/results.json again: the report, its charts, and what pages show of
 * it. `--check` only says whether they are current.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pagesWith, writePages } from "./report/pages.mjs";
import { filesOf, readReport, writeReport } from "./report/store.mjs";

const RESULTS = fileURLToPath(new URL("results", import.meta.url));

const { values: flags } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const report = readReport(RESULTS);

if (flags.check) {
  const files = report.results.length === 0 ? [] : filesOf(report);
  const expected = [...files.map(([path, text]) => [join(RESULTS, path), text]), ...pagesWith(report)];
  const stale = expected.filter(([path, text]) => !existsSync(path) || readFileSync(path, "utf8") !== text);
  for (const [path] of stale) console.error(`${path} is not what results.json says; run node bench/report.mjs.`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  if (report.results.length > 0) await writeReport(RESULTS, report);
  writePages(report);
}
