import type { WorkerView } from "../../../../src/admin/contract/worker-views.ts";

/** How a worker does, as far as one look tells. */
export type WorkerLife = "alive" | "silent" | "dead" | "stopping" | "retired";

/** Several times as long as workers keep silent between two heartbeats. */
const SILENT_MS = 30_000;

/** The same of one whose session is gone. */
const LOST_MS = 8_000;

/** How it does, by its heartbeat, its session, and what it says itself. */
export function lifeOf(worker: WorkerView, now: number): WorkerLife {
  const silentMs = now - Date.parse(worker.lastHeartbeatAt);
  if (worker.isStale || (worker.session === "lost" && silentMs > LOST_MS)) return "dead";
  if (silentMs > SILENT_MS) return "silent";
  if (worker.report?.isStopping) return "stopping";
  return worker.report?.isRetired ? "retired" : "alive";
}

/** How long a slot has been at work, as its cell shows it. */
export type SlotLook = "idle" | "short" | "second" | "ten" | "minute" | "long";

/** One cell for each slot: what runs, the longest first, and then those that are idle. */
export function slotsOf(worker: WorkerView, now: number): readonly SlotLook[] {
  const { report } = worker;
  if (!report) return [];
  const busy = report.running.map(({ since }) => now - Date.parse(since)).toSorted((a, b) => b - a);
  const unknown = Math.max(0, report.busy - busy.length);
  const idle = Math.max(0, report.slots - busy.length - unknown);
  return [
    ...busy.map(lookOf),
    ...Array.from({ length: unknown }, (): SlotLook => "short"),
    ...Array.from({ length: idle }, (): SlotLook => "idle"),
  ];
}

function lookOf(ms: number): SlotLook {
  if (ms < 1_000) return "short";
  if (ms < 10_000) return "second";
  if (ms < 60_000) return "ten";
  return ms < 600_000 ? "minute" : "long";
}
