import type { Command } from "../keyboard/key-map.ts";
import type { IconName } from "../parts/icons.tsx";

/** A place that the navigation leads to. */
export interface Place {
  /** Behind the path that the page is served from. */
  readonly path: string;
  readonly title: string;
  readonly icon: IconName;
  readonly command: Command;
  /** On a phone: one of the tabs at the bottom. */
  readonly isTab?: boolean;
}

/** All of them, in the order of the rail. */
export const PLACES: readonly Place[] = [
  { path: "", title: "Overview", icon: "overview", command: "go-overview", isTab: true },
  { path: "jobs", title: "Jobs", icon: "jobs", command: "go-jobs", isTab: true },
  { path: "history", title: "History", icon: "history", command: "go-history" },
  { path: "queues", title: "Queues", icon: "queues", command: "go-queues", isTab: true },
  { path: "tasks", title: "Tasks", icon: "tasks", command: "go-tasks" },
  { path: "workers", title: "Workers", icon: "workers", command: "go-workers" },
  { path: "schedules", title: "Schedules", icon: "schedules", command: "go-schedules" },
  { path: "health", title: "Health", icon: "health", command: "go-health" },
  { path: "activity", title: "Activity", icon: "activity", command: "go-activity" },
  { path: "operations", title: "Operations", icon: "operations", command: "go-operations" },
];

/** The place that an address belongs to. */
export function placeOfPath(path: string, base: string): Place | undefined {
  const [first = ""] = path.startsWith(base) ? path.slice(base.length).split("/") : [""];
  return PLACES.find((place) => place.path === first);
}
