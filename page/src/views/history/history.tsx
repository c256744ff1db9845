import { useLocation } from "preact-iso";
import type { FinishedRow, HistoryAnswer } from "../../../../src/admin/contract/history-views.ts";
import { address } from "../../api/api.ts";
import { dataOf } from "../../api/view-state.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Length, Moment } from "../../parts/figures.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { FinishedState } from "./finished-state.tsx";

const STATES = ["completed", "failed", "cancelled", "removed"] as const;

/** Jobs that have ended and are kept, the newest first. */
export function History() {
  const page = usePage();
  const { query } = useLocation();
  const { after, ...filter } = query;
  const { task, queue: queueName, key: jobKey, state } = filter;
  const path = address("history", { task, queueName, jobKey, state, after, limit: 50 });
  const answer = useAnswer<HistoryAnswer>(path, { isLive: after === undefined });
  return (
    <div class="view history">
      <ViewHead title="History" help="history" asOf={dataOf(answer)?.asOf} />
      <Filter />
      <Async state={answer} path={path} rows={12}>
        {({ jobs, next }) => (
          <>
            <Table
              label="Finished jobs"
              columns={COLUMNS}
              rows={jobs}
              keyOf={({ id, finishedAt }) => `${id} ${finishedAt}`}
              href={({ id }) => page.href(`jobs/${id}`)}
              empty={
                <p class="empty">
                  {next === null
                    ? "No such job is kept. Tasks say with `keep` what is kept of their jobs."
                    : "None among those that were looked at."}
                </p>
              }
            />
            <nav class="pages" aria-label="Pages">
              {after !== undefined && (
                <a class="button" href={page.href("history", given(filter))}>
                  Newest
                </a>
              )}
              {next !== null && (
                <a class="button" href={page.href("history", { ...given(filter), after: next })}>
                  {jobs.length === 0 ? "Search on" : "Older"}
                </a>
              )}
            </nav>
          </>
        )}
      </Async>
    </div>
  );
}

/** What is asked for, which the address has. */
function Filter() {
  const page = usePage();
  const { query, route } = useLocation();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const asked = { task: text("task"), queue: text("queue"), key: text("key"), state: text("state") };
    route(page.href("history", given(asked)));
  };
  return (
    <form class="fields history-filter" onSubmit={submit} aria-label="Filter">
      <label>
        <span>Task</span>
        <input name="task" autocomplete="off" defaultValue={query["task"] ?? ""} key={query["task"]} />
      </label>
      <label>
        <span>Queue</span>
        <input name="queue" autocomplete="off" defaultValue={query["queue"] ?? ""} key={query["queue"]} />
      </label>
      <label>
        <span>Key</span>
        <input name="key" autocomplete="off" defaultValue={query["key"] ?? ""} key={query["key"]} />
      </label>
      <label>
        <span>Ended</span>
        <select name="state" key={query["state"]}>
          <option value="">in any way</option>
          {STATES.map((one) => (
            <option key={one} value={one} selected={one === query["state"]}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <button type="submit">Show</button>
    </form>
  );
}

/** Without what is empty. */
function given(filter: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ""),
  );
}

const COLUMNS: readonly Column<FinishedRow>[] = [
  { key: "id", title: "Id", narrow: "below", render: ({ id }) => <span class="id">{id}</span> },
  { key: "state", title: "State", narrow: "end", render: ({ state }) => <FinishedState state={state} /> },
  { key: "task", title: "Task", narrow: "top", render: ({ task }) => <span class="mono">{task}</span> },
  { key: "key", title: "Key", narrow: "none", render: ({ jobKey }) => <span class="mono">{jobKey ?? "-"}</span> },
  { key: "attempts", title: "Attempts", isFigure: true, narrow: "none", render: ({ attempts }) => attempts },
  {
    key: "took",
    title: "Took",
    isFigure: true,
    render: ({ startedAt, finishedAt }) =>
      startedAt === null ? "-" : <Length ms={Date.parse(finishedAt) - Date.parse(startedAt)} />,
  },
  { key: "ended", title: "Ended", isFigure: true, render: ({ finishedAt }) => <Moment at={finishedAt} /> },
  {
    key: "error",
    title: "Error",
    narrow: "below",
    render: ({ error }) => <span class={error === null ? "quiet" : "error"}>{error ?? "-"}</span>,
  },
];
