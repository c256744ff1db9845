/** What keys can ask for. Which of it a view can do, it says itself. */
export type Command =
  | "search"
  | `go-${"overview" | "jobs" | "history" | "queues" | "tasks" | "workers" | "schedules" | "health" | "activity" | "operations"}`
  | "row-next"
  | "row-previous"
  | "select"
  | "select-range"
  | "select-page"
  | "select-filter"
  | "open"
  | "retry"
  | "cancel"
  | "pause"
  | "copy-id"
  | "absolute-times"
  | "pause-live"
  | "cursor-back"
  | "cursor-forward"
  | "sheet"
  | "back";

/** Some keys, and what they ask for. */
export interface KeyBinding {
  /** As `KeyboardEvent.key` names them; several are pressed one after another. */
  readonly keys: readonly string[];
  readonly command: Command;
  readonly says: string;
  readonly group: "Go to" | "Rows" | "Jobs, queues, tasks" | "Page";
}

const go = (key: string, place: Command & `go-${string}`, says: string): KeyBinding => ({
  keys: ["g", key],
  command: place,
  says,
  group: "Go to",
});

/** All keys of the page, in the order of the sheet. */
export const KEY_MAP: readonly KeyBinding[] = [
  go("o", "go-overview", "Overview"),
  go("j", "go-jobs", "Jobs"),
  go("f", "go-history", "History (finished jobs)"),
  go("q", "go-queues", "Queues"),
  go("t", "go-tasks", "Tasks"),
  go("w", "go-workers", "Workers"),
  go("s", "go-schedules", "Schedules"),
  go("h", "go-health", "Health"),
  go("a", "go-activity", "Activity"),
  go("b", "go-operations", "Operations (bulk changes)"),
  { keys: ["j"], command: "row-next", says: "Next row", group: "Rows" },
  { keys: ["ArrowDown"], command: "row-next", says: "Next row", group: "Rows" },
  { keys: ["k"], command: "row-previous", says: "Previous row", group: "Rows" },
  { keys: ["ArrowUp"], command: "row-previous", says: "Previous row", group: "Rows" },
  { keys: ["Enter"], command: "open", says: "Open the row", group: "Rows" },
  { keys: ["x"], command: "select", says: "Select the row", group: "Rows" },
  { keys: ["X"], command: "select-range", says: "Select all rows from the last selected one", group: "Rows" },
  { keys: ["a"], command: "select-page", says: "Select the rows in sight", group: "Rows" },
  { keys: ["A"], command: "select-filter", says: "Select everything that passes the filter", group: "Rows" },
  { keys: ["r"], command: "retry", says: "Retry", group: "Jobs, queues, tasks" },
  { keys: ["c"], command: "cancel", says: "Cancel", group: "Jobs, queues, tasks" },
  { keys: ["p"], command: "pause", says: "Pause or resume a queue or a task", group: "Jobs, queues, tasks" },
  { keys: ["y"], command: "copy-id", says: "Copy the id or the name", group: "Jobs, queues, tasks" },
  { keys: ["/"], command: "search", says: "Search", group: "Page" },
  { keys: ["t"], command: "absolute-times", says: "Absolute or relative times", group: "Page" },
  { keys: ["."], command: "pause-live", says: "Pause or resume live changes", group: "Page" },
  { keys: ["["], command: "cursor-back", says: "Move the time cursor back", group: "Page" },
  { keys: ["]"], command: "cursor-forward", says: "Move the time cursor forward", group: "Page" },
  { keys: ["?"], command: "sheet", says: "This sheet", group: "Page" },
  { keys: ["Escape"], command: "back", says: "Back, or close", group: "Page" },
];

/** A key that was pressed, and where. */
export interface Stroke {
  readonly key: string;
  /** With Ctrl, Alt or Meta it belongs to the browser. */
  readonly hasModifier: boolean;
  /** In a field, where letters are text. */
  readonly isEditing: boolean;
  /** On a button or a link, where Enter does what it says. */
  readonly isOnControl: boolean;
}

/** What a stroke asks for, and the keys after which further ones are awaited. */
export interface ReadKeys {
  readonly command: Command | undefined;
  readonly pending: readonly string[];
}

/** After this a first key is forgotten. */
export const PENDING_MS = 1_200;

/** Reads one key after those that are pending. */
export function readKey(pending: readonly string[], stroke: Stroke): ReadKeys {
  const nothing = { command: undefined, pending: [] };
  if (stroke.hasModifier || (stroke.isEditing && stroke.key !== "Escape")) return nothing;
  if (stroke.key === "Enter" && stroke.isOnControl) return nothing;
  const pressed = [...pending, stroke.key];
  const found = KEY_MAP.find(({ keys }) => keys.join(" ") === pressed.join(" "));
  if (found) return { command: found.command, pending: [] };
  if (
    KEY_MAP.some(
      ({ keys }) => keys.length > pressed.length && keys.slice(0, pressed.length).join(" ") === pressed.join(" "),
    )
  )
    return { command: undefined, pending: pressed };
  // A wrong second key counts as a first one.
  return pending.length > 0 ? readKey([], stroke) : nothing;
}
