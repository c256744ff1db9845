import { formatFigure, formatRemark, isBare } from "./format.mjs";

const WIDTH = 920;
const LABELS = 390;
const BAR = 20;
const STEP = 28;
const TOP = 52;
const COLORS = { howdah: "#c2410c", bare: "#fdba74", others: "#64748b" };
/** Leaves room behind the longest bar for its figure and remark. */
const BARS = WIDTH - LABELS - 210;

/** A bar for each side, on a linear scale from zero. */
export function toChart(result) {
  return toPanels(result.title, [result]);
}

/** Several charts below each other in one picture, each with a scale of its own. */
export function toPanels(title, results) {
  const heights = results.map(({ rows }) => TOP + rows.length * STEP + 12);
  const height = heights.reduce((sum, one) => sum + one, 0);
  const panels = results.flatMap((result, index) =>
    panelOf(
      result,
      heights.slice(0, index).reduce((sum, one) => sum + one, 0),
    ),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="sans-serif" font-size="13">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function panelOf({ title, unit, isLessBetter, rows }, y) {
  const longest = Math.max(...rows.map(({ value }) => value ?? 0)) || 1;
  return [
    `<text x="12" y="${y + 22}" font-size="16" font-weight="bold" fill="#0f172a">${escape(title)}</text>`,
    `<text x="12" y="${y + 40}" fill="#475569">${escape(unit)}, ${isLessBetter ? "less" : "more"} is better</text>`,
    ...rows.map((row, index) => barOf(row, { y: y + TOP + index * STEP, longest })),
  ];
}

function barOf(row, { y, longest }) {
  const width = Math.max(1, ((row.value ?? 0) / longest) * BARS);
  const middle = y + BAR / 2 + 4;
  const remark = formatRemark(row);
  return [
    `<text x="${LABELS - 8}" y="${middle}" text-anchor="end" fill="#0f172a">${escape(row.label)}</text>`,
    `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colorOf(row.peer)}"/>`,
    `<text x="${(LABELS + width + 6).toFixed(1)}" y="${middle}" fill="#0f172a">${formatFigure(row.value)}` +
      `${remark ? `<tspan fill="#475569" font-size="11"> ${escape(remark)}</tspan>` : ""}</text>`,
  ].join("\n");
}

function colorOf(peer) {
  if (isBare(peer)) return COLORS.bare;
  return COLORS[peer] ?? COLORS.others;
}

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
