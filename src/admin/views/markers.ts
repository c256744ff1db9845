import type { AuditEntry } from "../../client/operator-access.ts";
import type { Sample } from "../../client/samples.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { formatSpan } from "../../client/why/times.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import type { MarkerView } from "../contract/overview-views.ts";
import { toActivityText } from "./activity-view.ts";

/** What happened while these samples were taken, in the order of time: what people changed, and how workers came and went. */
export function markersOf({ samples, entries, workers }: Happenings): MarkerView[] {
  const from = samples[0]?.at.getTime() ?? Infinity;
  const all = [...changes(entries), ...starts(workers), ...silences(workers), ...losses(samples), ...gaps(samples)];
  return all
    .filter(({ at }) => at.getTime() >= from)
    .sort((a, b) => a.at.getTime() - b.at.getTime())
    .map((marker) => ({ ...marker, at: marker.at.toISOString() }));
}

/** What markers are made of. */
export interface Happenings {
  readonly samples: readonly Pick<Sample, "at" | "workers">[];
  /** Of the record. */
  readonly entries: readonly AuditEntry[];
  /** Those that are registered now. */
  readonly workers: readonly WorkerInfo[];
}

interface Marker extends Omit<MarkerView, "at"> {
  readonly at: Date;
}

/** What of the record is marked. */
const MARKED = /^(?:(?:queues|tasks|schedules)\.(?:pause|resume)|operations\.start|workers\.|queues\.unlock)/;

function changes(entries: readonly AuditEntry[]): Marker[] {
  return entries
    .filter(({ action, outcome }) => outcome === "done" && MARKED.test(action))
    .map((entry) => ({ at: entry.at, kind: entry.action, text: toActivityText(entry) }));
}

/** Workers that are still registered, by when they were started: several within a minute are a deploy, or a restart. */
function starts(workers: readonly WorkerInfo[]): Marker[] {
  const started = workers
    .map(({ report, startedAt }) => ({ at: report?.runsSince ?? startedAt, report }))
    .sort((a, b) => a.at.getTime() - b.at.getTime());
  const groups: (typeof started)[] = [];
  for (const one of started) {
    const group = groups.at(-1);
    const first = group?.[0];
    if (group && first && one.at.getTime() - first.at.getTime() < TOGETHER_MS) group.push(one);
    else groups.push([one]);
  }
  return groups.map((group) => {
    const releases = listed(group.map(({ report }) => report?.version));
    const hosts = listed(group.map(({ report }) => report?.host));
    const of = releases === "" ? "" : `: release ${releases} on ${hosts}`;
    const at = group[0]?.at ?? new Date(0);
    return { at, kind: "workers.started", text: `${formatCount(group.length, "worker")} started${of}` };
  });
}

/** Workers that are dead, and whose recovery is not over. */
function silences(workers: readonly WorkerInfo[]): Marker[] {
  return workers
    .filter(({ isStale, session }) => isStale || session === "lost")
    .map(({ id, lastHeartbeatAt }) => ({
      at: lastHeartbeatAt,
      kind: "workers.silent",
      text: `last heartbeat of the worker ${id}, which died`,
    }));
}

/** Samples with fewer workers than the one before; a fall over several samples is one. */
function losses(samples: Happenings["samples"]): Marker[] {
  const found: { at: Date; lost: number; left: number }[] = [];
  let falling: (typeof found)[number] | undefined;
  for (const [index, { at, workers }] of samples.entries()) {
    const left = Math.round(workers);
    const lost = Math.round(samples[index - 1]?.workers ?? left) - left;
    if (lost <= 0) falling = undefined;
    else if (falling) Object.assign(falling, { lost: falling.lost + lost, left });
    else {
      falling = { at, lost, left };
      found.push(falling);
    }
  }
  return found.map(({ at, lost, left }) => ({
    at,
    kind: "workers.fewer",
    text: `${formatCount(lost, "worker")} fewer: ended, or died; ${left} left`,
  }));
}

/** Times without a sample: while a worker is active, one is taken. */
function gaps(samples: Happenings["samples"]): Marker[] {
  const shortest = Math.min(...samples.slice(1).map(({ at }, index) => msBetween(samples[index]?.at, at)));
  return samples.slice(1).flatMap(({ at }, index) => {
    const before = samples[index]?.at ?? at;
    const ms = msBetween(before, at);
    if (ms <= Math.max(SHORTEST_GAP_MS, 3 * shortest)) return [];
    return [{ at: before, kind: "workers.none", text: `no sample for ${formatSpan(ms)}: no worker was active` }];
  });
}

function msBetween(from: Date | undefined, to: Date): number {
  return from === undefined ? 0 : to.getTime() - from.getTime();
}

/** Each once, the first three by name. */
function listed(names: readonly (string | undefined)[]): string {
  const all = [...new Set(names.filter((name) => name !== undefined))];
  return all.length > 3 ? `${all.slice(0, 3).join(", ")} and ${all.length - 3} more` : all.join(", ");
}

/** As long as a deploy takes to start all workers of a host. */
const TOGETHER_MS = 60_000;

/** A worker may be slow to take a sample. */
const SHORTEST_GAP_MS = 60_000;
