import {
  type Attributes,
  type Counter,
  type Histogram,
  type Meter,
  type MeterProvider,
  metrics,
} from "@opentelemetry/api";
import type { Plugin } from "../hooks/plugin.ts";
import { systemClock } from "../runtime/clock.ts";
import { boolean, integer, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { BacklogReader } from "./backlog-reader.ts";
import { type CounterInstrument, type HistogramInstrument, type Instruments, JobMeter } from "./job-meter.ts";
import { type Label, METRIC_NAMES, metricOf, type MetricName, type NameOf } from "./metric-set.ts";
import { ProcessGauges } from "./process-gauges.ts";
import { TaskLabels } from "./task-labels.ts";

/**
 * Measures with OpenTelemetry what `howdah/prometheus` shows. Make one for the
 * process and give it to all of its workers and clients. Throws
 * `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`.
 */
export function openTelemetryMetrics(options: OpenTelemetryMetricsOptions = {}): Plugin {
  const read = readOptions("openTelemetryMetrics", options, {
    meterProvider: object<MeterProvider>(["getMeter"]),
    maxTasks: integer({ min: 1, max: 10_000, default: 100 }),
    backlog: boolean({ default: true }),
  });
  const tasks = new TaskLabels(read.maxTasks);
  const gauges = new ProcessGauges(read.backlog ? new BacklogReader(systemClock, tasks) : undefined);
  let meter: JobMeter | undefined;
  return {
    name: "opentelemetry-metrics",
    register(hooks) {
      // Not before there is a worker or client: the application may set the global provider until then.
      meter ??= createMeter((read.meterProvider ?? metrics.getMeterProvider()).getMeter("howdah"), tasks, gauges);
      meter.follow(hooks);
      gauges.follow(hooks);
    },
  };
}

/** Options of {@link openTelemetryMetrics}. */
export interface OpenTelemetryMetricsOptions {
  /** The provider of the instruments. Default: the global one. */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * How many tasks have an attribute value of their own, the first that are
   * named; all others are `_other` together. 1 to 10000. Default 100.
   */
  readonly maxTasks?: number | undefined;
  /**
   * Whether what is in the table is read as well: when metrics are collected,
   * and not again before ten seconds, or twenty times what the last reading
   * took, have passed. One process of many is enough. Default true.
   */
  readonly backlog?: boolean | undefined;
}

function createMeter(meter: Meter, tasks: TaskLabels, gauges: ProcessGauges): JobMeter {
  observe(meter, gauges);
  return new JobMeter(new OtelInstruments(meter), tasks);
}

class OtelInstruments implements Instruments {
  readonly #counters = new Map<MetricName, Counter>();
  readonly #histograms = new Map<MetricName, Histogram>();

  constructor(meter: Meter) {
    for (const name of METRIC_NAMES) {
      const { type, otel, help: description, buckets = [] } = metricOf(name);
      const described = { description, unit: unitOf(name) };
      if (type === "counter") this.#counters.set(name, meter.createCounter(otel, described));
      if (type === "histogram") {
        const advice = { explicitBucketBoundaries: [...buckets] };
        this.#histograms.set(name, meter.createHistogram(otel, { ...described, advice }));
      }
    }
  }

  counter(name: NameOf<"counter">, ...labels: string[]): CounterInstrument {
    const counter = this.#counters.get(name);
    const attributes = attributesOf(name, labels);
    return { add: (count) => counter?.add(count, attributes) };
  }

  histogram(name: NameOf<"histogram">, ...labels: string[]): HistogramInstrument {
    const histogram = this.#histograms.get(name);
    const attributes = attributesOf(name, labels);
    return { record: (value) => histogram?.record(value, attributes) };
  }
}

/** Gauges are read when metrics are collected. */
function observe(meter: Meter, gauges: ProcessGauges): void {
  const observed = new Map(
    METRIC_NAMES.filter((name) => metricOf(name).type === "gauge").map((name) => {
      const { otel, help: description } = metricOf(name);
      return [name, meter.createObservableGauge(otel, { description, unit: unitOf(name) })];
    }),
  );
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { name, value, labels } of await gauges.read()) {
        const gauge = observed.get(name);
        if (gauge) result.observe(gauge, value, attributesOf(name, labels));
      }
    },
    [...observed.values()],
  );
}

/** The operation of a metric that has a name of the conventions. */
const OPERATIONS: { readonly [Name in MetricName]?: Attributes } = {
  howdah_jobs_added_total: { "messaging.operation.name": "add", "messaging.operation.type": "send" },
  howdah_job_run_seconds: { "messaging.operation.name": "run", "messaging.operation.type": "process" },
  howdah_claim_seconds: { "messaging.operation.name": "claim", "messaging.operation.type": "receive" },
};

/** What a label is called. */
const ATTRIBUTES: Readonly<Record<Label, string>> = {
  task: "messaging.destination.name",
  outcome: "howdah.outcome",
  result: "howdah.result",
  state: "howdah.state",
  kind: "howdah.kind",
  pool: "howdah.pool",
};

function attributesOf(name: MetricName, values: readonly string[]): Attributes {
  const attributes: Attributes = { "messaging.system": "howdah", ...OPERATIONS[name] };
  for (const [index, label] of metricOf(name).labels.entries()) attributes[ATTRIBUTES[label]] = values[index] ?? "";
  return attributes;
}

/** In the notation of UCUM. */
function unitOf(name: MetricName): string {
  if (name.endsWith("_seconds")) return "s";
  if (name.includes("jobs")) return "{job}";
  return "1";
}
