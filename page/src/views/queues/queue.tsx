import type { LockAnswer, QueueAnswer } from "../../../../src/admin/contract/group-views.ts";
import { PauseButton } from "../../actions/pause-button.tsx";
import { dataOf } from "../../api/view-state.ts";
import { useCommand } from "../../keyboard/use-command.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Moment } from "../../parts/figures.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { JobTable } from "../jobs/job-table.tsx";
import { LockInspector } from "./lock-inspector.tsx";

/** One queue: who holds it, what waits behind that, and what runs next. */
export function Queue({ name = "" }: { readonly name?: string }) {
  const page = usePage();
  const path = `queues/${inPath(name)}`;
  const lockPath = `${path}/lock`;
  const state = useAnswer<QueueAnswer>(path);
  const lock = useAnswer<LockAnswer>(lockPath);
  const queue = dataOf(state)?.queue;
  useCommand("copy-id", () => void copyText(name).then((said) => page.say(said)));
  return (
    <div class="view queue">
      <ViewHead
        title={name}
        help="queue"
        asOf={dataOf(lock)?.asOf}
        parent={{ href: page.href("queues"), title: "Queues" }}
      >
        {queue && (
          <PauseButton
            of="queues"
            name={name}
            isPaused={queue.isPaused}
            pausedUntil={queue.pausedUntil}
            reloads={[path, lockPath]}
            hasKey
          />
        )}
        <a class="button" href={page.href("jobs", { queue: name })}>
          All its jobs
        </a>
      </ViewHead>
      {queue?.isPaused && (
        <p class="notice">
          <b>Paused.</b> No job of it starts{" "}
          {queue.pausedUntil === null ? (
            "until it is resumed."
          ) : (
            <>
              until <Moment at={queue.pausedUntil} />.
            </>
          )}
        </p>
      )}
      <Async state={lock} path={lockPath} rows={5}>
        {(answer) => <LockInspector lock={answer} reloads={[path, lockPath]} />}
      </Async>
      <Async state={state} path={path} rows={8}>
        {({ jobs }) => (
          <section aria-label="Next jobs">
            <h2>Next {jobs.length === 50 ? "50 jobs" : "jobs"}, in the order in which they run</h2>
            <JobTable
              label={`The next jobs of queue ${name}`}
              jobs={jobs}
              columns="state,task,since,attempts,error"
              empty="No job waits in this queue."
            />
          </section>
        )}
      </Async>
    </div>
  );
}
