import type { OperationsAnswer, OperationView } from "../../../../src/admin/contract/bulk-views.ts";
import { DONE, stateInWords } from "../../actions/operation-progress.tsx";
import { dataOf } from "../../api/view-state.ts";
import { exactNumber, percent } from "../../format/numbers.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Moment } from "../../parts/figures.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { filterOfOperation } from "./operation-words.ts";

/** Changes of many jobs: those under way, and the newest of those that have ended. */
export function OperationList() {
  const page = usePage();
  const state = useAnswer<OperationsAnswer>("operations");
  return (
    <div class="view operations">
      <ViewHead title="Operations" help="operations" asOf={dataOf(state)?.asOf} />
      <Async state={state} path="operations" rows={8}>
        {({ operations }) => (
          <Table
            label="Operations"
            rows={operations.filter(({ id }) => id !== null)}
            keyOf={({ id }) => id ?? ""}
            href={({ id }) => page.href(`operations/${id}`)}
            lookOf={({ isStalled }) => (isStalled ? "alarming" : undefined)}
            columns={COLUMNS}
            empty={
              <p class="empty">No change of many jobs was begun. They begin in the list of jobs, with a filter.</p>
            }
          />
        )}
      </Async>
    </div>
  );
}

const COLUMNS: readonly Column<OperationView>[] = [
  { key: "id", title: "Operation", narrow: "below", render: ({ id }) => id },
  {
    key: "what",
    title: "What",
    narrow: "top",
    render: (operation) => (
      <>
        {DONE[operation.action]}: {filterOfOperation(operation)}
      </>
    ),
  },
  {
    key: "state",
    title: "State",
    narrow: "end",
    render: (operation) => (
      <span class={operation.isStalled ? "bad" : undefined}>{stateInWords(operation).replace(/:.*/, "")}</span>
    ),
  },
  {
    key: "progress",
    title: "Progress",
    isFigure: true,
    render: ({ matched, expected, state }) =>
      state === "done" || expected === null
        ? exactNumber(matched)
        : `${exactNumber(matched)} (${percent(matched, expected)})`,
  },
  { key: "changed", title: "Changed", isFigure: true, narrow: "none", render: ({ changed }) => exactNumber(changed) },
  { key: "who", title: "Who", render: ({ who }) => who ?? <span class="none">not begun here</span> },
  {
    key: "begun",
    title: "Begun",
    isFigure: true,
    narrow: "none",
    render: ({ createdAt }) => <Moment at={createdAt} />,
  },
];
