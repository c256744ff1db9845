import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toChart, toPanels } from "./chart.mjs";
import { toMarkdown } from "./markdown.mjs";
import { picked } from "./overview.mjs";

/** The report in a folder as it was written last, or an empty one. */
export function readReport(folder) {
  const file = join(folder, "results.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { peers: [], results: [] };
}

/**
 * `report` with these results in place of older ones of the same scenarios; the others stay, with their conditions.
 * `scenarioNames` is the order of all there are; results of others are dropped.
 */
export function mergeReports(report, { peers, results, scenarioNames }) {
  const inOrder = (names, lists) => {
    const newest = new Map(lists.flat().map((item) => [item.name, item]));
    return names.flatMap((name) => newest.get(name) ?? []);
  };
  const peerNames = [...new Set([...report.peers, ...peers].map(({ name }) => name))];
  return {
    peers: inOrder(peerNames, [report.peers, peers]),
    results: inOrder(scenarioNames, [report.results, results]),
  };
}

/** Writes the report into a folder: README.md for readers, results.json for programs, a chart for each scenario and one of a few. */
export async function writeReport(folder, report) {
  await mkdir(join(folder, "charts"), { recursive: true });
  for (const [path, text] of filesOf(report)) await writeFile(join(folder, path), text);
}

/** What the files of a report contain, by their paths in its folder. */
export function filesOf(report) {
  return [
    ["results.json", `${JSON.stringify(report, undefined, 2)}\n`],
    ["README.md", `${toMarkdown(report)}\n`],
    ...report.results.map((result) => [join("charts", `${result.name}.svg`), toChart(result)]),
    [join("charts", "overview.svg"), toPanels("Howdah and other queues on PostgreSQL", picked(report))],
  ];
}
