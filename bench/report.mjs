/**
 * Writes everything that is made of bench/results/results.json again: the report, its charts, and what pages show of
 * it. `--check` only says whether they are current.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { toCaption, toPeers, withBlock } from "./report/overview.mjs";
import { filesOf, readReport, writeReport } from "./report/store.mjs";
import { toSummary } from "./report/summary.mjs";

const RESULTS = fileURLToPath(new URL("results", import.meta.url));

/** The blocks of pages that are written here. */
const BLOCKS = [
  { page: "docs/benchmarks.md", name: "measured", write: toSummary },
  { page: "docs/guides/comparison.md", name: "peers", write: toPeers },
  { page: "README.md", name: "figures", write: toCaption },
];

const { values: flags } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const report = readReport(RESULTS);
const pages = BLOCKS.map(({ page, name, write }) => {
  const path = fileURLToPath(new URL(`../${page}`, import.meta.url));
  return [path, withBlock(readFileSync(path, "utf8"), name, write(report))];
});

if (flags.check) {
  const files = report.results.length === 0 ? [] : filesOf(report);
  const expected = [...files.map(([path, text]) => [join(RESULTS, path), text]), ...pages];
  const stale = expected.filter(([path, text]) => !existsSync(path) || readFileSync(path, "utf8") !== text);
  for (const [path] of stale) console.error(`${path} is not what results.json says; run node bench/report.mjs.`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  if (report.results.length > 0) await writeReport(RESULTS, report);
  for (const [path, text] of pages) writeFileSync(path, text);
}
