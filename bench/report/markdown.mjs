import { formatFigure, formatRemark, formatTarget } from "./format.mjs";

/** The whole report as a Markdown text; charts lie beside it under `charts/`. */
export function toMarkdown({ conditions, peers, results }) {
  return [
    "# Benchmark results",
    "How this is measured, and how to repeat it: [docs/benchmarks.md](../../docs/benchmarks.md). " +
      "Ratios hold for other machines more or less; absolute figures hold for this one only.",
    conditionsOf(conditions),
    "## Sides",
    table(
      ["side", "version", "settings", "options", "source"],
      peers.flatMap(({ label, version, settings }) =>
        Object.entries(settings).map(([name, { options, source }]) => [
          label,
          version,
          name,
          `\`${JSON.stringify(options)}\``,
          source,
        ]),
      ),
    ),
    ...results.map(sectionOf),
  ].join("\n\n");
}

function conditionsOf({ machine, load, server, node, repeats, startedAt, seconds }) {
  const settings = server.settings ?? { settings: "those of the server given by DATABASE_URL" };
  return table(
    ["", ""],
    [
      ["when", `${startedAt.toISOString().slice(0, 16).replace("T", " ")} UTC, ${Math.round(seconds / 60)} minutes`],
      ["machine", `${machine.cores} cores, ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}`],
      ["load before", load.toFixed(2)],
      ["PostgreSQL", server.version],
      ...Object.entries(settings).map(([name, value]) => [name, String(value)]),
      ["Node, for all sides", node],
      ["repeats", `${repeats}; the median is shown, with the lowest and the highest`],
    ],
  );
}

function sectionOf({ name, title, unit, what, fair, columns, rows, targets }) {
  const headings = ["", unit, "lowest – highest", ...Object.values(columns), ""];
  const lines = rows.map((row) => [
    row.label,
    formatFigure(row.value),
    row.runs > 1 ? `${formatFigure(row.least)} – ${formatFigure(row.most)}` : "",
    ...Object.keys(columns).map((key) => formatFigure(row.figures?.[key])),
    formatRemark(row),
  ]);
  return [
    `## ${title}`,
    `${what} ${fair}`,
    `![${title}](charts/${name}.svg)`,
    table(headings, lines),
    targets.map((target) => `- ${formatTarget(target)}`).join("\n"),
  ].join("\n\n");
}

function table(headings, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(headings), line(headings.map(() => "---")), ...rows.map(line)].join("\n");
}
