import { type Attributes, type Span, SpanKind, type Tracer } from "@opentelemetry/api";
import type { JobScheduleDecision, JobScheduleEvent, ScheduleCall, ScheduleResult } from "../hooks/interceptors.ts";
import { quietly, setError, SYSTEM } from "./span.ts";
import { toTraceProperty, TRACE_PROPERTY } from "./trace-property.ts";

/** The producer spans of the adds of one worker or client. */
export class AddSpans {
  readonly #tracer: Tracer;
  readonly #open = new WeakMap<ScheduleCall, Add>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Begins the span of a call with its first job, and attaches the span to each of its jobs. */
  before(event: JobScheduleEvent): JobScheduleDecision | undefined {
    return quietly(() => this.#carry(event));
  }

  #carry({ task, spec, call }: JobScheduleEvent): JobScheduleDecision | undefined {
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
    call.whenEnded((result) => quietly(() => endAdd(add, result)));
    return add;
  }
}

/** The producer span of one call, which all of its jobs share. */
interface Add {
  readonly span: Span;
  /** The task of all jobs so far, if they share one. */
  task: string | undefined;
}

function endAdd({ span, task }: Add, { jobIds, error }: ScheduleResult): void {
  // Only at the end is it known whether all jobs had the same task.
  if (task === undefined) span.updateName("add");
  else span.setAttribute("messaging.destination.name", task);
  if (jobIds === undefined) setError(span, error);
  else if (jobIds.length === 1) span.setAttribute("messaging.message.id", jobIds[0] ?? "");
  span.end();
}
