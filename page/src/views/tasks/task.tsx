import { useState } from "preact/hooks";
import type { TaskAnswer } from "../../../../src/admin/contract/group-views.ts";
import { AddJob } from "../../actions/add-job.tsx";
import { PauseButton } from "../../actions/pause-button.tsx";
import { dataOf } from "../../api/view-state.ts";
import { percent } from "../../format/numbers.ts";
import { useCommand } from "../../keyboard/use-command.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Amount, Count, Length, Moment } from "../../parts/figures.tsx";
import { Icon } from "../../parts/icons.tsx";
import { JobLink, NameLink } from "../../parts/links.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { isOrphan, Run95, Wait95 } from "./tasks.tsx";

/** One task: who runs it, how its handlers do, and what failed last. */
export function Task({ name = "" }: { readonly name?: string }) {
  const page = usePage();
  const path = `tasks/${inPath(name)}`;
  const state = useAnswer<TaskAnswer>(path);
  const task = dataOf(state)?.task;
  useCommand("copy-id", () => void copyText(name).then((said) => page.say(said)));
  return (
    <div class="view task">
      <ViewHead
        title={name}
        help="task"
        asOf={dataOf(state)?.asOf}
        parent={{ href: page.href("tasks"), title: "Tasks" }}
      >
        {task && (
          <PauseButton
            of="tasks"
            name={name}
            isPaused={task.isPaused}
            pausedUntil={task.pausedUntil}
            reloads={[path]}
            hasKey
          />
        )}
        <a class="button" href={page.href("jobs", { task: name })}>
          All its jobs
        </a>
        {page.canOperate.value && task && <AddButton task={name} />}
      </ViewHead>
      <Async state={state} path={path} rows={8}>
        {(answer) => <Details answer={answer} />}
      </Async>
    </div>
  );
}

function AddButton({ task }: { readonly task: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Add a job…
      </button>
      {isOpen && <AddJob task={task} onClose={() => setOpen(false)} />}
    </>
  );
}

function Details({ answer }: { readonly answer: TaskAnswer }) {
  const { task, samples, workerIds, lastFailed } = answer;
  return (
    <>
      <Orphan answer={answer} />
      {task.isPaused && (
        <p class="notice">
          <b>Paused.</b> No job of it starts until{" "}
          {task.pausedUntil === null ? "it is resumed" : <Moment at={task.pausedUntil} />}.
        </p>
      )}
      <States answer={answer} />
      <section aria-label="The last three hours">
        <h2>Done in each minute</h2>
        {samples.length > 1 ? (
          <div class="wide-line">
            <Sparkline state="running" values={samples.map(({ completed }) => completed)} />
            <Sparkline state="failed" values={samples.map(({ failed }) => failed)} />
          </div>
        ) : (
          <p class="quiet">Its handlers did nothing in the last three hours, or workers do not sample.</p>
        )}
      </section>
      <div class="columns">
        <section aria-label="Workers">
          <h2>Workers that run it</h2>
          <ul class="names">
            {workerIds.map((id) => (
              <li key={id}>
                <NameLink of="workers" name={id} />
              </li>
            ))}
            {workerIds.length === 0 && <li class="quiet">none</li>}
          </ul>
        </section>
        <section aria-label="Last failure">
          <h2>Last job that failed for good</h2>
          {lastFailed ? (
            <p>
              <JobLink id={lastFailed.id} /> <Moment at={lastFailed.updatedAt} />{" "}
              <span class="bad">{lastFailed.error}</span>
            </p>
          ) : (
            <p class="quiet">none</p>
          )}
        </section>
      </div>
    </>
  );
}

function Orphan({ answer: { task, nearest } }: { readonly answer: TaskAnswer }) {
  if (!isOrphan(task)) return null;
  return (
    <p class="notice bad" role="alert">
      <Icon name="warning" />
      <span>
        <b>No live worker runs this task.</b> Start one that knows it
        {nearest === null ? (
          "."
        ) : (
          <>
            , or correct its name: a worker runs <NameLink of="tasks" name={nearest} />.
          </>
        )}
      </span>
    </p>
  );
}

function States({ answer: { task } }: { readonly answer: TaskAnswer }) {
  const page = usePage();
  return (
    <dl class="facts">
      {(["ready", "scheduled", "running", "failed"] as const).map((state) => (
        <div key={state}>
          <dt>{state}</dt>
          <dd>
            <a href={page.href("jobs", { task: task.name, state })}>
              <Count of={task[state]} />
            </a>
          </dd>
        </div>
      ))}
      <div>
        <dt>Oldest due</dt>
        <dd>
          <Length ms={task.oldestDueMs} />
        </dd>
      </div>
      <div>
        <dt>Done, last hour</dt>
        <dd>
          <Amount of={task.completed} />
        </dd>
      </div>
      <div>
        <dt>Failing, last hour</dt>
        <dd>{percent(task.attemptsFailed, task.completed + task.attemptsFailed)}</dd>
      </div>
      <div>
        <dt>Run time 50%, 95%</dt>
        <dd>
          <Length ms={task.p50Ms} />, <Run95 task={task} />
        </dd>
      </div>
      <div>
        <dt>Wait 50%, 95%</dt>
        <dd>
          <Length ms={task.waitP50Ms} />, <Wait95 task={task} />
        </dd>
      </div>
    </dl>
  );
}
