import type { Command } from "./key-map.ts";

/** What a table does with a command; `key` is that of the row that has the focus. */
export type RowRun = (command: Command, key: string | undefined) => boolean;

/** The tables in sight that follow commands. */
const TABLES = new WeakMap<Element, RowRun>();

/** Lets a table follow commands. */
export function followRows(table: Element, run: RowRun): void {
  TABLES.set(table, run);
}

/** Gives a command to the table that has the focus, or else to the first one; false when there is none that follows it. */
export function runInRows(command: Command, root: Document): boolean {
  const focused = root.activeElement?.closest("table[data-rows]") ?? root.querySelector("table[data-rows]");
  if (!focused) return false;
  if (command === "row-next" || command === "row-previous") return move(focused, root, command === "row-next" ? 1 : -1);
  const row = root.activeElement?.closest("tr[data-key]");
  const key = row && focused.contains(row) ? (row.getAttribute("data-key") ?? undefined) : undefined;
  if (TABLES.get(focused)?.(command, key)) return true;
  const button = key === undefined ? undefined : row?.querySelector<HTMLElement>(`[data-command="${command}"]`);
  button?.click();
  return button !== undefined && button !== null;
}

/** Moves the focus by rows; from outside of the table to its current row. */
function move(table: Element, root: Document, by: 1 | -1): boolean {
  const rows = [...table.querySelectorAll("tr[data-key]")];
  if (rows.length === 0) return false;
  const at = rows.findIndex((row) => row.contains(root.activeElement));
  const current = rows.findIndex((row) => focusable(row)?.tabIndex === 0);
  const next = at < 0 ? Math.max(0, current) : Math.min(rows.length - 1, Math.max(0, at + by));
  const target = rows[next] && focusable(rows[next]);
  target?.focus();
  target?.scrollIntoView({ block: "nearest" });
  return true;
}

/** What of a row takes the focus: its link, or the row itself. */
function focusable(row: Element): HTMLElement | undefined {
  return row.querySelector<HTMLElement>("[data-focus]") ?? (row instanceof HTMLElement ? row : undefined);
}
