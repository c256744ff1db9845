import { storableText } from "./error-message.ts";

const MAX_CAUSES = 8;

/**
 * The stack of an error and of its causes, as Node.js writes it; `undefined`
 * without a stack. For logs: it names files. Never throws, and returns at most
 * 10,000 characters.
 */
export function errorStack(thrown: unknown): string | undefined {
  const seen = new Set<unknown>();
  const stacks: string[] = [];
  for (let current = thrown; stacks.length <= MAX_CAUSES && !seen.has(current); current = read(current, "cause")) {
    seen.add(current);
    const stack = read(current, "stack");
    if (typeof stack !== "string" || stack === "") break;
    stacks.push(stack);
  }
  return stacks.length === 0 ? undefined : storableText(stacks.join("\ncaused by: "));
}

/** Reads a property of anything; a getter or proxy that throws has none. */
function read(value: unknown, key: "stack" | "cause"): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
