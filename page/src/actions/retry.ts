import { readDuration } from "../format/durations.ts";
import type { ReadReschedule } from "./reschedule.ts";

/** Reads what a form of retrying says; what is left empty is as ever. */
export function readRetry(form: Pick<FormData, "get">): ReadReschedule {
  const text = (name: string): string => {
    const given = form.get(name);
    return typeof given === "string" ? given.trim() : "";
  };
  const [spread, attempts] = [text("spread"), text("attempts")];
  const spreadMs = readDuration(spread);
  if (spread !== "" && spreadMs === undefined) return { problem: `"${spread}" is no time such as 5m or 2h.` };
  if (attempts !== "" && !/^[1-9]\d{0,4}$/.test(attempts))
    return { problem: `"${attempts}" is no number of attempts.` };
  const again: Record<string, unknown> = {};
  if (spreadMs !== undefined) again["spread"] = `${spreadMs}ms`;
  if (attempts !== "") again["attempts"] = Number(attempts);
  return { changes: Object.keys(again).length === 0 ? {} : { again } };
}
