import { readDuration } from "../format/durations.ts";
import type { Changes } from "./what-if-state.ts";

/** What a form of rescheduling or retrying says, or what is wrong with it. */
export interface ReadReschedule {
  readonly changes?: Changes;
  readonly problem?: string;
}

/** Reads it; at least one thing has to change. A time is that of the browser. */
export function readReschedule(form: Pick<FormData, "get">): ReadReschedule {
  const text = (name: string): string => {
    const given = form.get(name);
    return typeof given === "string" ? given.trim() : "";
  };
  const [runIn, runAt] = [text("runIn"), text("runAt")];
  if (runIn !== "" && runAt !== "") return { problem: "Say when by one of both: in how long, or at which time." };
  const waitMs = runIn === "now" ? 0 : readDuration(runIn);
  if (runIn !== "" && waitMs === undefined) return { problem: `"${runIn}" is no time such as 5m or 2h.` };
  if (runAt !== "" && Number.isNaN(Date.parse(runAt))) return { problem: `"${runAt}" is no time.` };
  const to: Record<string, unknown> = {};
  if (waitMs !== undefined) to["runIn"] = `${waitMs}ms`;
  if (runAt !== "") to["runAt"] = new Date(runAt).toISOString();
  for (const name of ["priority", "attempts", "maxAttempts"]) {
    const given = text(name);
    if (given === "") continue;
    if (!/^-?\d{1,5}$/.test(given)) return { problem: `"${given}" is no whole number.` };
    to[name] = Number(given);
  }
  if (Object.keys(to).length === 0) return { problem: "Say what is to change." };
  return { changes: { to } };
}

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
