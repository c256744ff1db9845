import {
  Counter,
  Gauge,
  Histogram,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from "prom-client";
import type { Plugin } from "../hooks/plugin.ts";
import { systemClock } from "../runtime/clock.ts";
import { boolean, integer, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { BacklogReader } from "./backlog-reader.ts";
import { JobMeter } from "./job-meter.ts";
import { Measurements } from "./measurements.ts";
import { METRIC_NAMES, metricOf, type MetricName } from "./metric-set.ts";
import { ProcessGauges } from "./process-gauges.ts";
import { TaskLabels } from "./task-labels.ts";

/**
 * Shows what workers and clients do in a registry of `prom-client`. Make one
 * for the process and give it to all of its workers and clients: their figures
 * are added up. Throws `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`, and
 * an error of `prom-client` when the registry has these metrics already.
 */
export function prometheus(options: PrometheusOptions = {}): PrometheusPlugin {
  const read = readOptions("prometheus", options, {
    registry: object<MetricRegistry>(["registerMetric", "metrics"]),
    maxTasks: integer({ min: 1, max: 10_000, default: 100 }),
    backlog: boolean({ default: true }),
  });
  const registry: MetricRegistry = read.registry ?? new Registry();
  const tasks = new TaskLabels(read.maxTasks);
  const measurements = new Measurements();
  const backlog = read.backlog ? new BacklogReader(systemClock, tasks) : undefined;
  const gauges = new ProcessGauges(backlog);
  const meter = new JobMeter(measurements, tasks);
  for (const name of METRIC_NAMES) present(registry, name, new Reading(measurements, gauges));
  return {
    name: "prometheus",
    registry,
    register(hooks) {
      meter.follow(hooks);
      gauges.follow(hooks);
    },
  };
}

/** Options of {@link prometheus}. */
export interface PrometheusOptions {
  /** Where the metrics are shown. Default: a registry of its own. */
  readonly registry?: MetricRegistry | undefined;
  /**
   * How many tasks have a label of their own, the first that are named; all
   * others are `_other` together. 1 to 10000. Default 100.
   */
  readonly maxTasks?: number | undefined;
  /**
   * Whether what is in the table is read as well: when metrics are asked for,
   * and not again before ten seconds, or twenty times what the last reading
   * took, have passed. One process of many is enough. Default true.
   */
  readonly backlog?: boolean | undefined;
}

/** What {@link prometheus} returns: a plugin for `plugins`, and the registry with its metrics. */
export interface PrometheusPlugin extends Plugin {
  /** `await registry.metrics()` is what an endpoint answers, with the content type `registry.contentType`. */
  readonly registry: MetricRegistry;
}

/** A registry of `prom-client`, of either text format. */
export type MetricRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>;

/** Reads the values of metrics, in the form that `prom-client` prints. */
class Reading {
  readonly #measurements: Measurements;
  readonly #gauges: ProcessGauges;

  constructor(measurements: Measurements, gauges: ProcessGauges) {
    this.#measurements = measurements;
    this.#gauges = gauges;
  }

  async of(name: MetricName, shownName: string): Promise<readonly Value[]> {
    const { type, labels: names, buckets = [] } = metricOf(name);
    const labelled = (values: readonly string[]): Labels =>
      Object.fromEntries(names.map((label, index) => [label, values[index] ?? ""]));
    if (type === "gauge") {
      const values = (await this.#gauges.read()).filter((gauge) => gauge.name === name);
      return values.map(({ value, labels }) => ({ value, labels: labelled(labels) }));
    }
    if (type === "counter") {
      return [...this.#measurements.counts(name)].map(({ value, labels }) => ({ value, labels: labelled(labels) }));
    }
    return [...this.#measurements.distributions(name)].flatMap(({ labels, atMost, sum, count }) => {
      const own = labelled(labels);
      const bucket = (le: number | string, value: number): Value => ({
        metricName: `${shownName}_bucket`,
        labels: { le, ...own },
        value,
      });
      return [
        ...buckets.map((bound, index) => bucket(bound, atMost[index] ?? 0)),
        bucket("+Inf", count),
        { metricName: `${shownName}_sum`, labels: own, value: sum },
        { metricName: `${shownName}_count`, labels: own, value: count },
      ];
    });
  }
}

type Labels = Readonly<Record<string, string | number>>;

interface Value {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

const KINDS = { counter: Counter, gauge: Gauge, histogram: Histogram };

/**
 * Registers a metric whose values are read when they are asked for: those of
 * `prom-client` cost each job a hash of its labels for each measurement.
 */
function present(registry: MetricRegistry, name: MetricName, reading: Reading): void {
  const { type, help, labels } = metricOf(name);
  const Kind = KINDS[type];
  const metric = new Kind({ name, help, labelNames: [...labels], registers: [registry] });
  // The registry renames counters for OpenMetrics.
  const shown = metric as unknown as { readonly name: string; readonly aggregator: string };
  const get = async () => {
    const values = await reading.of(name, shown.name);
    return { name: shown.name, help, type, aggregator: shown.aggregator, values };
  };
  Object.assign(metric, { get, getForPromString: get });
}
