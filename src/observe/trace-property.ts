import { isSpanContextValid, type Link, type SpanContext, TraceFlags } from "@opentelemetry/api";

/** The property of a payload that identifies the span of the add. Other implementations use the same. */
export const TRACE_PROPERTY = "_trace";

/** A span as it is stored in a payload: 32 and 16 lower-case hexadecimal digits, and the flags of W3C Trace Context. */
export interface TraceProperty {
  readonly flags: number;
  readonly trace_id: string;
  readonly span_id: string;
}

/** The most links of one span that most backends keep. */
const MAX_LINKS = 128;

/** The stored form of a span; `undefined` for an invalid one. */
export function toTraceProperty(span: SpanContext): TraceProperty | undefined {
  if (!isSpanContextValid(span)) return undefined;
  return { flags: span.traceFlags, trace_id: span.traceId, span_id: span.spanId };
}

/** The spans in a payload or in its items, each once. Invalid ones are skipped. */
export function readTraces(payload: unknown): Link[] {
  const links = new Map<string, Link>();
  for (const item of Array.isArray(payload) ? (payload as readonly unknown[]) : [payload]) {
    const context = isRecord(item) ? toSpanContext(item[TRACE_PROPERTY]) : undefined;
    if (context && links.size < MAX_LINKS) links.set(`${context.traceId} ${context.spanId}`, { context });
  }
  return [...links.values()];
}

/** The payload as it was added. */
export function withoutTraces(payload: unknown): unknown {
  if (Array.isArray(payload)) return payload.map(withoutTrace);
  return withoutTrace(payload);
}

function withoutTrace(value: unknown): unknown {
  if (!isRecord(value) || !Object.hasOwn(value, TRACE_PROPERTY)) return value;
  const { [TRACE_PROPERTY]: _, ...rest } = value;
  return rest;
}

function toSpanContext(found: unknown): SpanContext | undefined {
  if (!isRecord(found)) return undefined;
  const { flags, trace_id: traceId, span_id: spanId } = found;
  if (typeof traceId !== "string" || typeof spanId !== "string") return undefined;
  const traceFlags = Number.isInteger(flags) ? (flags as number) & 0xff : TraceFlags.NONE;
  const context = { traceId, spanId, traceFlags, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
