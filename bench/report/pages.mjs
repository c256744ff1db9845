import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { toCaption, toPeers, withBlock } from "./overview.mjs";
import { toSummary } from "./summary.mjs";

/** The blocks of pages that are made of a report. */
const BLOCKS = [
  { page: "docs/benchmarks.md", name: "measured", write: toSummary },
  { page: "docs/guides/comparison.md", name: "peers", write: toPeers },
  { page: "README.md", name: "figures", write: toCaption },
];

/** The path of each page with a block, and what the page says once it shows this report. */
export function pagesWith(report) {
  return BLOCKS.map(({ page, name, write }) => {
    const path = fileURLToPath(new URL(`../../${page}`, import.meta.url));
    return [path, withBlock(readFileSync(path, "utf8"), name, write(report))];
  });
}

/** Lets the pages show a report. */
export function writePages(report) {
  for (const [path, text] of pagesWith(report)) writeFileSync(path, text);
}
