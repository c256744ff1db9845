import type { Backlog } from "../client/backlog.ts";
import { METRIC_NAMES, metricOf, type NameOf } from "./metric-set.ts";
import type { TaskLabels } from "./task-labels.ts";

/** One value of a gauge; its labels are in the order of the table. */
export interface GaugeValue {
  readonly name: NameOf<"gauge">;
  readonly value: number;
  readonly labels: readonly string[];
}

/** What is in the table, as gauges. */
export function* backlogValues({ jobs, tasks, oldestDue, pools }: Backlog, labels: TaskLabels): Iterable<GaugeValue> {
  for (const state of STATES) yield { name: "howdah_queue_jobs", value: jobs[state].value, labels: [state] };
  yield* taskValues(tasks, labels);
  for (const { name, concurrency, running } of pools) {
    if (concurrency === "unlimited" || running === null) continue;
    yield { name: "howdah_pool_jobs", value: running, labels: [name] };
    yield { name: "howdah_pool_jobs_limit", value: concurrency, labels: [name] };
  }
  const { plainMs, queuedMs } = oldestDue;
  yield { name: "howdah_oldest_due_seconds", value: (plainMs ?? 0) / 1_000, labels: ["plain"] };
  yield { name: "howdah_oldest_due_seconds", value: (queuedMs ?? 0) / 1_000, labels: ["queued"] };
}

/** Gauges in the text format of Prometheus, version 0.0.4, in the order of the table. */
export function expositionOf(values: readonly GaugeValue[]): string {
  const blocks = METRIC_NAMES.flatMap((name) => {
    const { help, type, labels: names } = metricOf(name);
    const lines = values
      .filter((value) => value.name === name)
      .map(({ value, labels }) => `${name}${labelsOf(names, labels)} ${value}`);
    return lines.length === 0 ? [] : [[`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join("\n")];
  });
  return `${blocks.join("\n\n")}\n`;
}

/** Tasks that share a label are added up. */
function* taskValues(groups: Backlog["tasks"], labels: TaskLabels): Iterable<GaugeValue> {
  const sums = new Map<string, Record<State, number>>();
  for (const group of groups) {
    const label = labels.of(group.name);
    const sum = sums.get(label) ?? { ready: 0, scheduled: 0, running: 0, failed: 0 };
    for (const state of STATES) sum[state] += group[state].value;
    sums.set(label, sum);
  }
  for (const [task, sum] of sums) {
    for (const state of STATES) yield { name: "howdah_task_jobs", value: sum[state], labels: [task, state] };
  }
}

type State = (typeof STATES)[number];
const STATES = ["ready", "scheduled", "running", "failed"] as const;

function labelsOf(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return "";
  return `{${names.map((name, index) => `${name}="${escaped(values[index] ?? "")}"`).join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
