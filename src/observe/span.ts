import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { errorMessage } from "../runtime/error-message.ts";

/** The attributes of all spans. */
export const SYSTEM: Attributes = { "messaging.system": "howdah", "db.system.name": "postgresql" };

/** Runs an operation on a span. Its errors must not affect the traced code. */
export function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Marks a span as failed, with any thrown value. */
export function setError(span: Span, error: unknown): void {
  const message = errorMessage(error);
  const name = textOf(error, "name") ?? "Error";
  const stack = textOf(error, "stack");
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute("error.type", textOf(error, "code") ?? name);
  span.recordException({ name, message, ...(stack === undefined ? {} : { stack }) });
}

function textOf(thrown: unknown, property: string): string | undefined {
  const found = quietly(() => (thrown as Readonly<Record<string, unknown>> | null | undefined)?.[property]);
  return typeof found === "string" && found !== "" ? found : undefined;
}
