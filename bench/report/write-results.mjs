import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toChart } from "./chart.mjs";
import { toMarkdown } from "./markdown.mjs";

/** Writes the report into a folder: README.md for readers, results.json for programs, one chart a scenario. */
export async function writeResults(folder, report) {
  await mkdir(join(folder, "charts"), { recursive: true });
  await writeFile(join(folder, "results.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(folder, "README.md"), `${toMarkdown(report)}\n`);
  for (const result of report.results) {
    await writeFile(join(folder, "charts", `${result.name}.svg`), toChart(result));
  }
}
