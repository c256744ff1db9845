import { trace, type TracerProvider } from "@opentelemetry/api";
import type { Plugin } from "../hooks/plugin.ts";
import { object, oneOf } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { AddSpans } from "./add-spans.ts";
import { RunSpans } from "./run-spans.ts";

/**
 * Traces jobs with OpenTelemetry: a producer span for each call that adds jobs,
 * a consumer span for each call of a handler, in which the handler runs. The
 * trace is stored as `_trace` in the payload, which the handler does not see.
 * For workers and clients alike. Throws `HOWDAH_OPTION_UNKNOWN` or
 * `HOWDAH_OPTION_INVALID`.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Plugin {
  const read = readOptions("openTelemetry", options, {
    tracerProvider: object<TracerProvider>(["getTracer"]),
    relation: oneOf(["link", "child"], { default: "link" }),
  });
  return {
    name: "opentelemetry",
    register(hooks) {
      const tracer = (read.tracerProvider ?? trace.getTracerProvider()).getTracer("howdah");
      const adds = new AddSpans(tracer);
      const runs = new RunSpans(tracer, read.relation === "child");
      hooks.on("beforeJobSchedule", (event) => adds.before(event));
      hooks.on("beforeJobRun", (event) => runs.before(event));
      // A handler that ignores its signal may never settle, but its attempt ends.
      hooks.on("jobInterrupted", ({ job }) => runs.abandon(job));
      hooks.on("jobFail", ({ job }) => runs.abandon(job));
      hooks.on("jobPermanentlyFail", ({ job }) => runs.abandon(job));
      hooks.on("jobReleaseRefused", ({ job }) => runs.abandon(job));
      hooks.on("jobOutcomeUnknown", ({ job }) => runs.abandon(job));
    },
  };
}

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions {
  /** The provider of the spans. Default: the global one. */
  readonly tracerProvider?: TracerProvider | undefined;
  /**
   * How the span of a run refers to the span of its add: `"link"` begins a
   * trace of its own for each attempt, `"child"` continues the trace of the
   * add. The items of a batch are always links. Default `"link"`.
   */
  readonly relation?: "link" | "child" | undefined;
}

export { openTelemetryMetrics, type OpenTelemetryMetricsOptions } from "./opentelemetry-metrics.ts";
