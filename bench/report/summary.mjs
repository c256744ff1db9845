import { formatFigure, formatTarget, isBare } from "./format.mjs";
import { table } from "./table.mjs";

/** One row a scenario: Howdah's figure, the best of the others, and the targets that were reached or missed. */
export function toSummary({ results }) {
  if (results.length === 0) return "No results are stored yet: `npm run bench` writes them.";
  const rows = results.map((result) => {
    const own = result.rows.find(({ peer }) => peer === "howdah");
    const other = bestOther(result);
    return [
      `[${result.title}](../bench/results/README.md#${anchorOf(result.title)})`,
      result.unit,
      own ? `${formatFigure(own.value)} (${own.label})` : "–",
      other ? `${formatFigure(other.value)} (${other.label})` : "–",
      result.targets.map((target) => formatTarget(target)).join("<br>"),
      result.conditions.at.slice(0, 10),
    ];
  });
  return table(["scenario", "unit", "howdah", "best of the others", "targets", "measured"], rows);
}

function bestOther({ rows, isLessBetter }) {
  const others = rows.filter(({ peer, value }) => peer !== "howdah" && !isBare(peer) && Number.isFinite(value));
  const sorted = others.toSorted((a, b) => (isLessBetter ? a.value - b.value : b.value - a.value));
  return sorted[0];
}

function anchorOf(title) {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} -]/gu, "")
    .replaceAll(" ", "-");
}
