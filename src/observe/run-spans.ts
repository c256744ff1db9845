import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { JobRunDecision, JobRunEvent } from "../hooks/interceptors.ts";
import { quietly, setError, SYSTEM } from "./span.ts";
import { readTraces, withoutTraces } from "./trace-property.ts";

/** The consumer spans of the handlers of one worker. */
export class RunSpans {
  readonly #tracer: Tracer;
  readonly #continues: boolean;
  readonly #open = new WeakMap<object, Span>();

  constructor(tracer: Tracer, continues: boolean) {
    this.#tracer = tracer;
    this.#continues = continues;
  }

  /** Lets the handler be called within a span, without the trace in its payload. */
  before({ job, payload }: JobRunEvent): JobRunDecision {
    // Begun only when the handler is about to be called: another interceptor may still skip the job.
    const within = <T>(run: () => T): T => {
      const span = quietly(() => this.#begin(job, readTraces(payload), Array.isArray(payload)));
      if (!span) return run();
      const result = context.with(trace.setSpan(ROOT_CONTEXT, span), run);
      void Promise.resolve(result).then(
        (value) => this.#end(job, (open) => open.setAttribute("howdah.outcome", outcomeOf(value))),
        (error: unknown) => this.#end(job, (open) => setThrown(open, error)),
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
    quietly(() => finish(span));
    quietly(() => span.end());
  }
}

/** The outcome of a handler that has thrown. */
function setThrown(span: Span, error: unknown): void {
  if (quietly(() => outcomeOf(error)) === "snoozed") span.setAttribute("howdah.outcome", "snoozed");
  else setError(span.setAttribute("howdah.outcome", "failed"), error);
}

/** The outcome of a handler that has returned. */
function outcomeOf(value: unknown): string {
  const kind = typeof value === "object" && value !== null ? (value as { readonly kind?: unknown }).kind : undefined;
  if (kind === "snooze" || kind === "rateLimited") return "snoozed";
  return kind === "cancel" ? "cancelled" : "completed";
}
