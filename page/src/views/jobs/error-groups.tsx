import type { ErrorsAnswer } from "../../../../src/admin/contract/job-views.ts";
import { address } from "../../api/api.ts";
import { type Condition, filterInWords, queryOfFilter, withCondition } from "../../filter/filter.ts";
import { exactNumber } from "../../format/numbers.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Bound, Moment } from "../../parts/figures.tsx";
import { Table } from "../../parts/table.tsx";
import { filterOf } from "./job-query.ts";

type ErrorGroup = ErrorsAnswer["errors"][number];

/** The jobs that failed for good, by the first line of their error. */
export function ErrorGroups({ conditions }: { readonly conditions: readonly Condition[] }) {
  const valueOf = (name: string): string | undefined => conditions.find((one) => one.name === name)?.value;
  const path = address("errors", { task: valueOf("task"), queueName: valueOf("queue") });
  return (
    <Async state={useAnswer<ErrorsAnswer>(path)} path={path} rows={6}>
      {(answer) => (
        <Groups answer={answer} conditions={conditions.filter(({ name }) => name === "task" || name === "queue")} />
      )}
    </Async>
  );
}

function Groups({ answer, conditions }: { answer: ErrorsAnswer; conditions: readonly Condition[] }) {
  const page = usePage();
  const conditionsOf = ({ message }: ErrorGroup): readonly Condition[] => {
    const failed = withCondition(conditions, { name: "state", value: "failed" });
    return message === "" ? failed : withCondition(failed, { name: "error", value: message });
  };
  const retry = (group: ErrorGroup): void => {
    const all = conditionsOf(group);
    page.order.value = { action: "retry", filter: filterOf(all, page.now.value), words: filterInWords(all) };
  };
  return (
    <>
      <Table
        label="Errors of jobs that failed for good"
        columns={[
          {
            key: "error",
            title: "Error",
            narrow: "top",
            render: ({ message }) => <span class="error">{message === "" ? "without a message" : message}</span>,
          },
          {
            key: "jobs",
            title: "Jobs",
            isFigure: true,
            narrow: "end",
            render: ({ jobCount }) => <Bound of={jobCount} />,
          },
          {
            key: "tasks",
            title: "Tasks",
            render: ({ byTask }) => (
              <span class="mono">
                {byTask
                  .slice(0, 3)
                  .map(({ task, count }) => (byTask.length === 1 ? task : `${task} ${exactNumber(count)}`))
                  .join(", ")}
                {byTask.length > 3 && " …"}
              </span>
            ),
          },
          { key: "first", title: "First", isFigure: true, render: ({ oldestAt }) => <Moment at={oldestAt} /> },
          { key: "last", title: "Last", isFigure: true, render: ({ newestAt }) => <Moment at={newestAt} /> },
          ...(page.canOperate.value
            ? [
                {
                  key: "retry",
                  title: "Actions",
                  isTitleAloud: true,
                  isFigure: true,
                  render: (group: ErrorGroup) =>
                    group.message === "" ? null : (
                      <button
                        type="button"
                        class="small"
                        onClick={() => retry(group)}
                        aria-label={`Retry jobs with ${group.message}`}
                      >
                        Retry
                      </button>
                    ),
                },
              ]
            : []),
        ]}
        rows={answer.errors}
        keyOf={({ message }) => message}
        href={(group) => page.href("jobs", queryOfFilter(conditionsOf(group)))}
        onCommand={(command, group) => {
          if (command !== "retry" || !group || group.message === "" || !page.canOperate.value) return false;
          retry(group);
          return true;
        }}
        empty={<p class="empty">No job has failed for good.</p>}
      />
      {answer.searchedTo !== null && (
        <p class="hint quiet">Of the newest 20,000 jobs that failed, down to id {answer.searchedTo}.</p>
      )}
    </>
  );
}
