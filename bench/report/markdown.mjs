import { formatFigure, formatRemark, formatTarget } from "./format.mjs";
import { table } from "./table.mjs";

/** The whole report as a Markdown text; charts lie beside it under `charts/`. */
export function toMarkdown({ peers, results }) {
  const newest = results.toSorted((a, b) => b.conditions.at.localeCompare(a.conditions.at))[0];
  return [
    "# Benchmark results",
    "How this is measured, and how to repeat it: [docs/benchmarks.md](../../docs/benchmarks.md). " +
      "Ratios hold for other machines more or less; absolute figures hold for this one only.",
    surroundingsOf(newest.conditions),
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
    ...results.map((result) => sectionOf(result, newest.conditions)),
  ].join("\n\n");
}

/** What all scenarios have in common, unless their own line says otherwise. */
function surroundingsOf({ machine, server, node }) {
  const settings = server.settings ?? { settings: "those of the server given by DATABASE_URL" };
  return table(
    ["", ""],
    [
      ["machine", describe(machine)],
      ["PostgreSQL", server.version],
      ...Object.entries(settings).map(([name, value]) => [name, String(value)]),
      ["Node, for all sides", node],
      ["figures", "the median of the repeats, with the lowest and the highest"],
    ],
  );
}

function describe({ cores, cpu, memoryGb, system }) {
  return `${cores} cores, ${cpu}, ${memoryGb} GB, ${system}`;
}

/** When a scenario was measured, and what was different from the newest one. */
function occasionOf({ at, commit, repeats, load, seconds, machine, server, node }, newest) {
  const when = `${at.slice(0, 16).replace("T", " ")} UTC`;
  const parts = [
    `Measured ${when} at commit ${commit}, ${repeats} ${repeats === 1 ? "time" : "times"}, in ${seconds} s`,
    `load average before ${load.toFixed(2)}`,
  ];
  if (describe(machine) !== describe(newest.machine)) parts.push(`on ${describe(machine)}`);
  if (server.version !== newest.server.version) parts.push(`with PostgreSQL ${server.version}`);
  if (node !== newest.node) parts.push(`on Node ${node}`);
  return `${parts.join(", ")}.`;
}

function sectionOf({ name, title, unit, what, fair, columns, rows, targets, conditions }, newest) {
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
    occasionOf(conditions, newest),
    `![${title}](charts/${name}.svg)`,
    table(headings, lines),
    targets.map((target) => `- ${formatTarget(target)}`).join("\n"),
  ].join("\n\n");
}
