import { useLocation } from "preact-iso";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import type { JobPageAnswer, JobRow } from "../../../../src/admin/contract/job-views.ts";
import { ActionButtons } from "../../actions/action-buttons.tsx";
import { actionsFor, type JobAction } from "../../actions/actions.ts";
import { type Condition, filterInWords } from "../../filter/filter.ts";
import { plural } from "../../format/numbers.ts";
import type { Command } from "../../keyboard/key-map.ts";
import { usePage } from "../../page.ts";
import { copyText } from "../../parts/copy.tsx";
import { Table } from "../../parts/table.tsx";
import { heldRows } from "./held-rows.ts";
import { columnsOf } from "./job-columns.tsx";
import { filterOf } from "./job-query.ts";
import { isPageSelected, nextSelection, NOTHING_SELECTED, type Selection } from "./selection.ts";

interface JobListProps {
  readonly answer: JobPageAnswer;
  readonly conditions: readonly Condition[];
  readonly columns: string | undefined;
  /** What there is instead of rows. */
  readonly empty: preact.ComponentChildren;
}

/** One page of jobs, with what can be done to those that are selected. */
export function JobList({ answer, conditions, columns, empty }: JobListProps) {
  const page = usePage();
  const { route } = useLocation();
  const { rows, newer, show } = useHeldRows(answer.jobs);
  const [selection, send] = useReducer(nextSelection, NOTHING_SELECTED);
  const keys = rows.map(({ id }) => id);
  const begin = useOrder({ rows, conditions, selection });
  const selectAll = (): boolean => {
    if (conditions.length === 0) page.say("Give a condition first: without one it would be every job.");
    else send({ type: "filter" });
    return true;
  };
  const run = (command: Command, row: JobRow | undefined): boolean => {
    switch (command) {
      case "select":
        if (row) send({ type: "toggle", key: row.id });
        return row !== undefined;
      case "select-range":
        if (row) send({ type: "range", key: row.id, rows: keys });
        return row !== undefined;
      case "select-page":
        send({ type: "page", rows: keys });
        return true;
      case "select-filter":
        return selectAll();
      case "retry":
      case "cancel":
        return begin(command, row);
      case "copy-id":
        if (row) void copyText(row.id).then(page.say.bind(page));
        return row !== undefined;
      case "open":
        if (row) route(page.href(`jobs/${row.id}`));
        return row !== undefined;
      case "back":
        if (isNothing(selection)) return false;
        send({ type: "clear" });
        return true;
      default:
        return false;
    }
  };
  const may = page.canOperate.value;
  return (
    <>
      {may && (
        <SelectionBar
          selection={selection}
          rows={rows}
          conditions={conditions}
          onAction={({ action }) => begin(action)}
          onAll={selectAll}
          onClear={() => send({ type: "clear" })}
        />
      )}
      <div aria-live="polite">
        {newer > 0 && (
          <button type="button" class="newer" onClick={show}>
            {newer} newer · show
          </button>
        )}
      </div>
      <Table
        label={`Jobs: ${filterInWords(conditions)}`}
        columns={columnsOf(columns)}
        rows={rows}
        keyOf={({ id }) => id}
        href={({ id }) => page.href(`jobs/${id}`)}
        onCommand={run}
        selection={
          may
            ? {
                has: (key) => selection.isFilter || selection.keys.has(key),
                toggle: (key) => send({ type: "toggle", key }),
                togglePage: () => send({ type: "page", rows: keys }),
                isPageSelected: selection.isFilter || isPageSelected(selection, keys),
              }
            : undefined
        }
        empty={empty}
      />
    </>
  );
}

/** Rows that do not move by themselves; `show` brings in those that are newer. */
function useHeldRows(latest: readonly JobRow[]) {
  const shown = useRef<readonly JobRow[]>([]);
  const [, redraw] = useState(0);
  const { rows, newer } = heldRows(shown.current, latest);
  shown.current = rows;
  const show = (): void => {
    shown.current = [];
    redraw((times) => times + 1);
  };
  return { rows, newer, show };
}

interface OrderProps {
  readonly rows: readonly JobRow[];
  readonly conditions: readonly Condition[];
  readonly selection: Selection;
}

/** Begins to look at a change of what is selected, or else of one row. False when that is nothing. */
function useOrder({ rows, conditions, selection }: OrderProps) {
  const page = usePage();
  return (action: JobAction["action"], row?: JobRow): boolean => {
    if (!page.canOperate.value) return false;
    if (selection.isFilter) {
      page.order.value = { action, filter: filterOf(conditions, page.now.value), words: filterInWords(conditions) };
      return true;
    }
    const ids = selection.keys.size > 0 ? [...selection.keys] : row ? [row.id] : [];
    if (ids.length === 0) return false;
    const one = ids.length === 1 ? rows.find(({ id }) => id === ids[0]) : undefined;
    page.order.value = {
      action,
      ids,
      words: one ? `job ${one.id} of task ${one.task}` : plural(ids.length, "selected job"),
    };
    return true;
  };
}

interface SelectionBarProps extends OrderProps {
  readonly onAction: (action: JobAction) => void;
  readonly onAll: () => void;
  readonly onClear: () => void;
}

function SelectionBar({ selection, rows, conditions, onAction, onAll, onClear }: SelectionBarProps) {
  const page = usePage();
  useEffect(() => {
    if (page.changed.value > 0) onClear();
  }, [page.changed.value]);
  if (isNothing(selection)) {
    return rows.length > 0 && conditions.length > 0 ? (
      <p class="selection-bar none">
        <button type="button" class="link" onClick={onAll}>
          Select everything that passes the filter
        </button>
      </p>
    ) : null;
  }
  const chosen = rows.filter(({ id }) => selection.keys.has(id)).map(({ state }) => state);
  const state = conditions.find(({ name }) => name === "state")?.value as JobRow["state"] | undefined;
  const states = selection.isFilter ? (state === undefined ? [] : [state]) : chosen;
  return (
    <div class="selection-bar" role="group" aria-label="What to do with the selected jobs">
      <b role="status">
        {selection.isFilter ? `All ${filterInWords(conditions)}` : `${plural(selection.keys.size, "job")} selected`}
      </b>
      <ActionButtons actions={actionsFor(states)} onAction={onAction} />
      {!selection.isFilter && conditions.length > 0 && (
        <button type="button" class="link" onClick={onAll}>
          All of the filter
        </button>
      )}
      <button type="button" class="link" onClick={onClear}>
        Clear
      </button>
    </div>
  );
}

function isNothing({ keys, isFilter }: Selection): boolean {
  return keys.size === 0 && !isFilter;
}
