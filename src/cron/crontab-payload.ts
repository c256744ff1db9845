import json5 from "json5";
import type { Fail } from "./field.ts";

/** Reads the JSON5 object that begins at `offset` and goes on to the end of the line. */
export function readCrontabPayload(line: string, offset: number, fail: Fail): object {
  let payload: unknown;
  try {
    payload = json5.parse(line.slice(offset).trimEnd());
  } catch (error) {
    const { message, columnNumber } = error as Error & { columnNumber?: number };
    const reason = message.replace(/^JSON5: /, "").replace(/ at \d+:\d+$/, "");
    return fail(offset + (columnNumber ?? 1) - 1, `the payload is not JSON5: ${reason}`);
  }
  if (!isJson(payload)) fail(offset, "the payload holds Infinity or NaN, which JSON cannot");
  return payload as object;
}

/** Whether JSON can represent a value that JSON5 has read. */
function isJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isJson);
}
