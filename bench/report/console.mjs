import { formatFigure, formatRemark, formatTarget } from "./format.mjs";

/** Prints the figures of one scenario. */
export function printScenario({ title, unit, columns, rows, targets }) {
  console.log(`\n${title} [${unit}]`);
  for (const row of rows) {
    const figures = Object.entries(columns).map(([key, heading]) => `${heading} ${formatFigure(row.figures?.[key])}`);
    const cells = [row.label.padEnd(62), formatFigure(row.value).padStart(9), figures.join(", "), formatRemark(row)];
    console.log(`  ${cells.filter((cell) => cell !== "").join("  ")}`);
  }
  for (const target of targets) console.log(`  ${formatTarget(target)}`);
}
