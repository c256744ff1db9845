import type { TasksAnswer, TaskView } from "../../../../src/admin/contract/group-views.ts";
import { PauseButton } from "../../actions/pause-button.tsx";
import { dataOf } from "../../api/view-state.ts";
import { bucketText, durationTitle } from "../../format/durations.ts";
import { percent, plural } from "../../format/numbers.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Amount, Count, Length } from "../../parts/figures.tsx";
import { StateMark } from "../../parts/icons.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";

/** All tasks; one that no worker runs is on top. */
export function Tasks() {
  const page = usePage();
  const state = useAnswer<TasksAnswer>("tasks");
  return (
    <div class="view tasks">
      <ViewHead title="Tasks" help="task" asOf={dataOf(state)?.asOf} />
      <Async state={state} path="tasks" rows={12}>
        {({ tasks }) => (
          <>
            <Table
              label="Tasks"
              rows={tasks}
              keyOf={({ name }) => name}
              href={({ name }) => page.href(`tasks/${inPath(name)}`)}
              lookOf={(task) => (isOrphan(task) ? "alarming" : undefined)}
              onCommand={(command, task) => {
                if (command !== "copy-id" || !task) return false;
                void copyText(task.name).then((said) => page.say(said));
                return true;
              }}
              columns={page.canOperate.value ? [...COLUMNS, PAUSE] : COLUMNS}
              empty={<p class="empty">No job of any task was added, and no worker runs one.</p>}
            />
            <p class="hint quiet">
              Failure shares and times are those of the last hour: 95 of 100 attempts waited, and ran, for less.
            </p>
          </>
        )}
      </Async>
    </div>
  );
}

const COLUMNS: readonly Column<TaskView>[] = [
  { key: "name", title: "Task", render: ({ name }) => name },
  {
    key: "workers",
    title: "Workers",
    isFigure: true,
    isPlain: true,
    narrow: "end",
    render: (task) => <Runners task={task} />,
  },
  { key: "ready", title: "Ready", isFigure: true, render: ({ ready }) => <Count of={ready} /> },
  { key: "oldest", title: "Oldest due", isFigure: true, render: ({ oldestDueMs }) => <Length ms={oldestDueMs} /> },
  { key: "running", title: "Running", isFigure: true, narrow: "none", render: ({ running }) => <Count of={running} /> },
  { key: "failed", title: "Failed", isFigure: true, narrow: "none", render: ({ failed }) => <Count of={failed} /> },
  {
    key: "share",
    title: "Failing",
    isFigure: true,
    narrow: "none",
    render: ({ completed, attemptsFailed }) => percent(attemptsFailed, completed + attemptsFailed),
  },
  {
    key: "hour",
    title: "Done, 1 h",
    isFigure: true,
    narrow: "none",
    render: ({ completed }) => <Amount of={completed} />,
  },
  { key: "wait", title: "Wait 95%", isFigure: true, narrow: "none", render: (task) => <Wait95 task={task} /> },
  { key: "p50", title: "Run 50%", isFigure: true, narrow: "none", render: ({ p50Ms }) => <Length ms={p50Ms} /> },
  { key: "p95", title: "Run 95%", isFigure: true, narrow: "none", render: (task) => <Run95 task={task} /> },
];

/** How long 95 of 100 attempts of the last hour had waited when they started. */
export function Wait95({ task }: TimedProps) {
  return <Quantile task={task} ms={task.waitP95Ms} most="3 d" />;
}

/** How long 95 of 100 attempts of the last hour ran. */
export function Run95({ task }: TimedProps) {
  return <Quantile task={task} ms={task.p95Ms} most="16 s" />;
}

interface TimedProps {
  readonly task: Pick<TaskView, "meanMs" | "p95Ms" | "waitP95Ms">;
}

function Quantile({ task, ms, most }: TimedProps & { readonly ms: number | null; readonly most: string }) {
  if (task.meanMs === null) return <span class="figure none">-</span>;
  return (
    <span class="figure" title={ms === null ? undefined : durationTitle(ms)}>
      {ms === null ? `over ${most}` : bucketText(ms)}
    </span>
  );
}

const PAUSE: Column<TaskView> = {
  key: "pause",
  title: "Actions",
  isTitleAloud: true,
  isFigure: true,
  narrow: "none",
  render: ({ name, isPaused, pausedUntil }) => (
    <PauseButton of="tasks" name={name} isPaused={isPaused} pausedUntil={pausedUntil} reloads={["tasks"]} />
  ),
};

/** Who runs a task; none is what a person has to know first. */
function Runners({ task }: { readonly task: TaskView }) {
  return (
    <>
      {isOrphan(task) ? (
        <b class="bad">no worker runs it</b>
      ) : (
        <span class="figure" title={plural(task.workers, "worker")}>
          {task.workers}
          <span class="aloud-wide"> {task.workers === 1 ? "worker" : "workers"}</span>
        </span>
      )}{" "}
      {task.isPaused && <StateMark state="paused" />}
    </>
  );
}

/** Whether jobs wait that no living worker runs. */
export function isOrphan({ workers, ready, scheduled, running }: TaskView): boolean {
  return workers === 0 && ready.value + scheduled.value + running.value > 0;
}
