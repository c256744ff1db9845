import { describe, expect, it } from "vitest";
import { METRIC_NAMES, type MetricName, metricOf } from "../../src/observe/metric-set.ts";
import { readProjectFile } from "./project-tree.ts";

const dashboard = readProjectFile("docs/observability/grafana-dashboard.json");
const alerts = readProjectFile("docs/observability/alerts.yml");
const guide = readProjectFile("docs/guides/metrics.md");

/** Whether a series of this name is exported. */
function isExported(series: string): boolean {
  return METRIC_NAMES.some((name) => {
    if (metricOf(name).type !== "histogram") return series === name;
    return ["_bucket", "_sum", "_count"].some((suffix) => series === name + suffix);
  });
}

/** The queries of the dashboard, those of its variables among them. */
function queriesOf(json: string): string[] {
  const { panels, templating } = JSON.parse(json) as {
    panels: { targets?: { expr: string }[] }[];
    templating: { list: { query: string | { query: string } }[] };
  };
  const variables = templating.list.map(({ query }) => (typeof query === "string" ? query : query.query));
  return [...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), ...variables];
}

const seriesOf = (text: string): string[] => [...new Set(text.match(/\bhowdah_\w+/g))];

describe.each([
  ["the dashboard", queriesOf(dashboard).join("\n")],
  ["the alert rules", alerts],
])("%s", (_, text) => {
  it("asks for exported metrics only", () => {
    const series = seriesOf(text);
    expect(series.length).toBeGreaterThan(5);
    expect(series.filter((name) => !isExported(name))).toEqual([]);
  });

  it("tells series apart by labels that they have", () => {
    const used = [...text.matchAll(/(howdah_\w+)\{([^}]*)\}/g)].flatMap(([, series = "", matchers = ""]) =>
      [...matchers.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label = ""]) => [series, label] as const),
    );
    const unknown = used.filter(([series, label]) => {
      const name = METRIC_NAMES.find((known) => series.startsWith(known)) as MetricName;
      return label !== "job" && label !== "le" && !(metricOf(name).labels as readonly string[]).includes(label);
    });
    expect(unknown).toEqual([]);
  });
});

it("shows each metric of the set on the dashboard or in the alert rules", () => {
  const shown = seriesOf(`${dashboard}\n${alerts}`);
  expect(METRIC_NAMES.filter((name) => !shown.some((series) => series.startsWith(name)))).toEqual([]);
});

it("explains each alert in the guide, and no other", () => {
  const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
  const explained = [...guide.matchAll(/^### (Howdah\w+)$/gm)].map(([, name = ""]) => name);
  expect(explained.sort()).toEqual(names.sort());
  const links = [...alerts.matchAll(/runbook: docs\/guides\/metrics\.md#(\w+)/g)].map(([, anchor = ""]) => anchor);
  expect(links.sort()).toEqual(names.map((name) => name.toLowerCase()).sort());
  expect([...alerts.matchAll(/severity: (page|ticket) /g)]).toHaveLength(names.length);
});

it("lists the metrics in the guide with their types, labels and names in OpenTelemetry", () => {
  const rows = [...guide.matchAll(/^\| `(howdah_\w+)` +\| (\w+) +\| (.*?) +\| `([\w.]+)` +\|/gm)];
  const listed = rows.map(([, name, type, labels = "", otel]) => [name, type, labels.replaceAll("`", ""), otel]);
  const known = METRIC_NAMES.map((name) => {
    const { type, labels, otel } = metricOf(name);
    return [name, type, labels.join(", "), otel];
  });
  expect(listed).toEqual(known);
});

it("has names in the style of Prometheus", () => {
  for (const name of METRIC_NAMES) {
    const { type, help } = metricOf(name);
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(help).toMatch(/^[A-Z0-9][^\n]*\.$/);
  }
});
