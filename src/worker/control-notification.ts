import { compareIntegers } from "../postgres/position.ts";

/** What a notification on the control channel says. */
export interface ControlNotification {
  /** Whose jobs were cancelled; `undefined` when something was paused or resumed. */
  readonly workerId: string | undefined;
  /** The jobs that were cancelled. */
  readonly jobIds: readonly string[];
}

/** Reads the payload of a notification; `null` when it is about another schema, or makes no sense. */
export function readControlNotification(payload: string, schema: string): ControlNotification | null {
  const said = parse(payload);
  if (said?.["schema"] !== schema) return null;
  const { worker, cancelled } = said;
  const jobIds = Array.isArray(cancelled) ? cancelled.filter(isJobId) : [];
  return { workerId: typeof worker === "string" ? worker : undefined, jobIds };
}

function parse(payload: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(payload);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    // Anybody may notify.
    return null;
  }
}

const MAX_ID = "9223372036854775807";

/** An id that is out of range would fail the statement that asks for it. */
function isJobId(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,19}$/.test(value) && compareIntegers(value, MAX_ID) <= 0;
}
