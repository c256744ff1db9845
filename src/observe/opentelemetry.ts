import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import type { JobRunDecision, JobRunEvent, JobScheduleDecision, JobScheduleEvent } from "../hooks/interceptors.ts";
import type { ScheduleCall, ScheduleResult } from "../hooks/interceptors.ts";
import type { Plugin } from "../hooks/plugin.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { oneOf, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { readTraces, toTraceProperty, TRACE_PROPERTY, withoutTraces } from "./trace-property.ts";

/** How jobs are traced. */
export interface OpenTelemetryOptions {
  /** Where spans go. Default: the global provider. */
  readonly tracerProvider?: TracerProvider;
  /**
   * How the span of a run hangs together with the span of its add: `"link"`
   * begins a trace of its own for each attempt, `"child"` continues the trace
   * of the add. The items of a batch are always links. Default `"link"`.
   */
  readonly relation?: "link" | "child";
}

/**
 * Traces jobs with OpenTelemetry: a producer span for each call that adds jobs,
 * a consumer span for each call of a handler, in which the handler runs. The
 * trace travels as `_trace` in the payload, which the handler does not see.
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
      const adds = new Adds(tracer);
      const runs = new Runs(tracer, read.relation === "child");
      hooks.on("beforeJobSchedule", (event) => adds.before(event));
      hooks.on("beforeJobRun", (event) => runs.before(event));
      // A handler that ignores its signal may never settle; its attempt ends all the same.
      hooks.on("jobInterrupted", ({ job }) => runs.abandon(job));
      hooks.on("jobFail", ({ job }) => runs.abandon(job));
      hooks.on("jobPermanentlyFail", ({ job }) => runs.abandon(job));
      hooks.on("jobReleaseRefused", ({ job }) => runs.abandon(job));
    },
  };
}

const SYSTEM: Attributes = { "messaging.system": "howdah", "db.system.name": "postgresql" };

/** The producer span of one call, which all of its jobs share. */
interface Add {
  readonly span: Span;
  /** That of all jobs so far, if they have one in common. */
  task: string | undefined;
}

class Adds {
  readonly #tracer: Tracer;
  readonly #open = new WeakMap<ScheduleCall, Add>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  before({ task, spec, call }: JobScheduleEvent): JobScheduleDecision | undefined {
    const add = this.#open.get(call) ?? this.#begin(task, call, spec.queueName);
    if (add.task !== task) add.task = undefined;
    const property = toTraceProperty(add.span.spanContext());
    return property && { action: "continue", attach: { [TRACE_PROPERTY]: property } };
  }

  #begin(task: string, call: ScheduleCall, queueName: string | undefined): Add {
    const attributes: Attributes = {
      ...SYSTEM,
      "messaging.operation.name": "add",
      "messaging.operation.type": "send",
      "howdah.method": call.method,
    };
    if (call.size > 1) attributes["messaging.batch.message_count"] = call.size;
    else {
      attributes["messaging.destination.name"] = task;
      if (queueName !== undefined) attributes["howdah.queue_name"] = queueName;
    }
    const span = this.#tracer.startSpan(`add ${task}`, { kind: SpanKind.PRODUCER, attributes });
    const add: Add = { span, task };
    this.#open.set(call, add);
    call.whenEnded((result) => endAdd(add, result));
    return add;
  }
}

function endAdd({ span, task }: Add, { jobIds, error }: ScheduleResult): void {
  // Only now it is known whether all jobs were of one task.
  if (task === undefined) span.updateName("add");
  else span.setAttribute("messaging.destination.name", task);
  if (jobIds === undefined) setError(span, error);
  else if (jobIds.length === 1) span.setAttribute("messaging.message.id", jobIds[0] ?? "");
  span.end();
}

class Runs {
  readonly #tracer: Tracer;
  readonly #continues: boolean;
  readonly #open = new WeakMap<object, Span>();

  constructor(tracer: Tracer, continues: boolean) {
    this.#tracer = tracer;
    this.#continues = continues;
  }

  before({ job, payload }: JobRunEvent): JobRunDecision {
    // Begun only when the handler is about to be called: another interceptor may still skip the job.
    const within = <T>(run: () => T): T => {
      const span = this.#begin(job, readTraces(payload), Array.isArray(payload));
      const result = context.with(trace.setSpan(ROOT_CONTEXT, span), run);
      void Promise.resolve(result).then(
        (value) => this.#end(job, (open) => open.setAttribute("howdah.outcome", outcomeOf(value))),
        (error: unknown) => this.#end(job, (open) => setError(open.setAttribute("howdah.outcome", "failed"), error)),
      );
      return result;
    };
    return { action: "continue", payload: withoutTraces(payload), within };
  }

  /** The attempt has ended although its handler has not. */
  abandon(job: object): void {
    this.#end(job, (span) => span.setAttribute("howdah.outcome", "abandoned"));
  }

  #begin(job: JobRunEvent["job"], links: readonly Link[], isBatch: boolean): Span {
    const { id, task, queueName, attempts, payload } = job;
    const attributes: Attributes = {
      ...SYSTEM,
      "messaging.operation.name": "run",
      "messaging.operation.type": "process",
      "messaging.destination.name": task,
      "messaging.message.id": id,
      "howdah.attempt": attempts,
    };
    if (queueName !== null) attributes["howdah.queue_name"] = queueName;
    if (isBatch && Array.isArray(payload)) attributes["messaging.batch.message_count"] = payload.length;
    const [first] = links;
    const continued = this.#continues && !isBatch ? first : undefined;
    const parent = continued ? trace.setSpanContext(ROOT_CONTEXT, continued.context) : ROOT_CONTEXT;
    const kind = SpanKind.CONSUMER;
    const span = this.#tracer.startSpan(
      `run ${task}`,
      { kind, attributes, links: continued ? [] : [...links] },
      parent,
    );
    this.#open.set(job, span);
    return span;
  }

  #end(job: object, finish: (span: Span) => void): void {
    const span = this.#open.get(job);
    if (!span) return;
    this.#open.delete(job);
    finish(span);
    span.end();
  }
}

/** What a handler that returned has made of its job. */
function outcomeOf(value: unknown): string {
  const kind = typeof value === "object" && value !== null ? (value as { readonly kind?: unknown }).kind : undefined;
  if (kind === "snooze") return "snoozed";
  return kind === "cancel" ? "cancelled" : "completed";
}

function setError(span: Span, error: unknown): void {
  const message = errorMessage(error);
  const exception = error instanceof Error ? error : { name: "Error", message };
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  span.setAttribute("error.type", typeof code === "string" ? code : exception.name);
  span.recordException(exception);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}
