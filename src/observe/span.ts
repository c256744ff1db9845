import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { errorMessage } from "../runtime/error-message.ts";

/** What all spans say. */
export const SYSTEM: Attributes = { "messaging.system": "howdah", "db.system.name": "postgresql" };

/** Does something about a span. What goes wrong there must not harm what is traced. */
export function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Makes a span one of something that failed. Takes whatever was thrown. */
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
