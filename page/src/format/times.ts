import { durationText } from "./durations.ts";

/** How the page writes times: as people of one zone do, or how far away they are. */
export type Zone = "utc" | "local" | "relative";

/** A time as the page shows it; `relative` ones are absolute again where `isAbsolute` asks for it. */
export function timeText(atMs: number, { now, zone }: { readonly now: number; readonly zone: Zone }): string {
  if (zone === "relative") return relativeTime(atMs, now);
  return absoluteTime(atMs, now, zone === "utc");
}

/** `4 m 10 s ago`, `in 8 m`, `now`. */
export function relativeTime(atMs: number, now: number): string {
  const away = atMs - now;
  if (Math.abs(away) < 1_000) return "now";
  return away > 0 ? `in ${durationText(away)}` : `${durationText(-away)} ago`;
}

/** `12:04:10` of the same day, else `2026-11-30 12:04:10`; with `Z` in UTC. */
export function absoluteTime(atMs: number, now: number, isUtc: boolean): string {
  const [day, time] = parts(atMs, isUtc);
  const suffix = isUtc ? "Z" : "";
  return day === parts(now, isUtc)[0] ? `${time}${suffix}` : `${day} ${time}${suffix}`;
}

/** A time in full, in UTC and in the zone of the reader. */
export function timeTitle(atMs: number): string {
  const local = parts(atMs, false).join(" ");
  const zone = zoneText(-new Date(atMs).getTimezoneOffset());
  return `${new Date(atMs).toISOString()} (here ${local} ${zone})`;
}

function parts(atMs: number, isUtc: boolean): [day: string, time: string] {
  const offsetMs = isUtc ? 0 : new Date(atMs).getTimezoneOffset() * 60_000;
  const iso = new Date(atMs - offsetMs).toISOString();
  return [iso.slice(0, 10), iso.slice(11, 19)];
}

function zoneText(minutes: number): string {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}
