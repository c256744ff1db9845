/** Which jobs of a list are selected: some of them by their ids, or all that pass the filter. */
export interface Selection {
  readonly keys: ReadonlySet<string>;
  /** The row that was selected last: a range begins there. */
  readonly last: string | undefined;
  /** Everything that passes the filter, in sight or not. */
  readonly isFilter: boolean;
}

/** What changes it. `rows` are the keys of the rows in sight, in their order. */
export type SelectionEvent =
  | { readonly type: "toggle"; readonly key: string }
  | { readonly type: "range"; readonly key: string; readonly rows: readonly string[] }
  | { readonly type: "page"; readonly rows: readonly string[] }
  | { readonly type: "filter" }
  | { readonly type: "clear" };

/** Nothing. */
export const NOTHING_SELECTED: Selection = { keys: new Set(), last: undefined, isFilter: false };

/** The next selection. */
export function nextSelection(selection: Selection, event: SelectionEvent): Selection {
  switch (event.type) {
    case "toggle":
      return withKeys(toggled(selection.keys, event.key), event.key);
    case "range":
      return withKeys(new Set([...selection.keys, ...between(event.rows, selection.last, event.key)]), event.key);
    case "page":
      return isPageSelected(selection, event.rows)
        ? withKeys(without(selection.keys, event.rows), undefined)
        : withKeys(new Set([...selection.keys, ...event.rows]), event.rows.at(-1));
    case "filter":
      return selection.isFilter ? NOTHING_SELECTED : { ...NOTHING_SELECTED, isFilter: true };
    case "clear":
      return NOTHING_SELECTED;
  }
}

/** Whether every row in sight is selected. */
export function isPageSelected({ keys }: Selection, rows: readonly string[]): boolean {
  return rows.length > 0 && rows.every((key) => keys.has(key));
}

function withKeys(keys: ReadonlySet<string>, last: string | undefined): Selection {
  return { keys, last, isFilter: false };
}

function toggled(keys: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(keys);
  if (!next.delete(key)) next.add(key);
  return next;
}

function without(keys: ReadonlySet<string>, rows: readonly string[]): ReadonlySet<string> {
  const gone = new Set(rows);
  return new Set([...keys].filter((key) => !gone.has(key)));
}

function between(rows: readonly string[], from: string | undefined, to: string): readonly string[] {
  const [a, b] = [rows.indexOf(from ?? to), rows.indexOf(to)];
  if (a < 0 || b < 0) return [to];
  return rows.slice(Math.min(a, b), Math.max(a, b) + 1);
}
