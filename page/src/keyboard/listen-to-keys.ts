import type { Page } from "../page.ts";
import { PENDING_MS, readKey, type Stroke } from "./key-map.ts";
import { runInRows } from "./rows.ts";

/** Follows the keys of the document until what it returns is called. Dialogs keep their keys to themselves. */
export function listenToKeys(page: Page): () => void {
  let pending: readonly string[] = [];
  let forget = (): void => undefined;
  const press = (event: KeyboardEvent): void => {
    if (page.settings.keys.value === "off" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const read = readKey(pending, strokeOf(event));
    pending = read.pending;
    forget();
    if (pending.length > 0) forget = page.clock.after(PENDING_MS, () => void (pending = []));
    if (read.command === undefined) return;
    if (read.command === "back" && leaveField()) return;
    if (runInRows(read.command, document) || page.commands.run(read.command)) event.preventDefault();
  };
  document.addEventListener("keydown", press);
  return () => {
    forget();
    document.removeEventListener("keydown", press);
  };
}

function strokeOf(event: KeyboardEvent): Stroke {
  const target = event.target instanceof HTMLElement ? event.target : undefined;
  const isBox = target instanceof HTMLInputElement && ["checkbox", "radio"].includes(target.type);
  return {
    key: event.key,
    hasModifier: event.ctrlKey || event.altKey || event.metaKey,
    isEditing: target !== undefined && !isBox && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName),
    isOnControl: target !== undefined && /^(A|BUTTON|SUMMARY|INPUT)$/.test(target.tagName),
  };
}

/** The first Escape leaves a field, and only the next one goes back. */
function leaveField(): boolean {
  const { activeElement } = document;
  const isField = activeElement instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(activeElement.tagName);
  if (isField) activeElement.blur();
  return isField;
}
