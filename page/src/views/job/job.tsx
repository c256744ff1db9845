import { useState } from "preact/hooks";
import type { FinishedAnswer } from "../../../../src/admin/contract/history-views.ts";
import type { JobAnswer, JobView } from "../../../../src/admin/contract/job-views.ts";
import type { ActivityAnswer } from "../../../../src/admin/contract/overview-views.ts";
import { ActionButtons } from "../../actions/action-buttons.tsx";
import { AddJob } from "../../actions/add-job.tsx";
import { actionsFor } from "../../actions/actions.ts";
import type { BulkAction } from "../../../../src/admin/contract/bulk-views.ts";
import { address } from "../../api/api.ts";
import type { Problem } from "../../api/problem.ts";
import { dataOf } from "../../api/view-state.ts";
import { type Condition, queryOfFilter } from "../../filter/filter.ts";
import { useCommand } from "../../keyboard/use-command.ts";
import { useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Copy, copyText } from "../../parts/copy.tsx";
import { Length, Moment } from "../../parts/figures.tsx";
import { NameLink } from "../../parts/links.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { PayloadTree } from "../../payload/payload-tree.tsx";
import { ActivityTable } from "../activity-table.tsx";
import { JobState } from "../jobs/job-columns.tsx";
import { ErrorText } from "./error-text.tsx";
import { FinishedJob } from "./finished-job.tsx";
import { IdentityFacts } from "./identity-facts.tsx";
import { Notes } from "./notes.tsx";
import { TimelineStrip } from "./timeline-strip.tsx";
import { WhyBox } from "./why-box.tsx";

/** One job: why it does not run, what it is, and what can be done. */
export function Job({ id = "" }: { readonly id?: string }) {
  const page = usePage();
  const path = `jobs/${id}`;
  const state = useAnswer<JobAnswer>(path);
  const job = dataOf(state)?.job;
  const order = (action: BulkAction): void => {
    page.order.value = { action, ids: [id], words: `job ${id}${job ? ` of task ${job.task}` : ""}` };
  };
  const may = page.canOperate.value && job !== undefined;
  const actions = may ? actionsFor([job.state]) : [];
  const has = (action: BulkAction): boolean => actions.some((one) => one.action === action);
  useCommand("retry", has("retry") ? () => order("retry") : undefined);
  useCommand("cancel", has("cancel") ? () => order("cancel") : undefined);
  useCommand("copy-id", () => void copyText(id).then((said) => page.say(said)));
  return (
    <div class="view job">
      <ViewHead
        help="job"
        title={job ? `${id} ${job.task}` : `Job ${id}`}
        asOf={dataOf(state)?.asOf}
        parent={{ href: page.href("jobs"), title: "Jobs" }}
      >
        <ActionButtons actions={actions} onAction={({ action }) => order(action)} />
        {may && <AddAgainButton job={job} />}
      </ViewHead>
      <Async
        state={state}
        path={path}
        rows={10}
        failed={(problem) => (problem.kind === "gone" ? <Gone id={id} problem={problem} /> : undefined)}
      >
        {({ job }) => <Details job={job} />}
      </Async>
    </div>
  );
}

function AddAgainButton({ job }: { readonly job: JobView }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Add again…
      </button>
      {isOpen && <AddJob task={job.task} from={job} onClose={() => setOpen(false)} />}
    </>
  );
}

function Details({ job }: { readonly job: JobView }) {
  return (
    <>
      <Facts job={job} />
      <WhyBox id={job.id} queueName={job.queueName} />
      <TimelineStrip job={job} />
      <div class="columns">
        <PayloadTree payload={job.payload} />
        <div>
          {job.lastError !== null && <ErrorText error={job.lastError} />}
          <Notes id={job.id} attempts={job.attempts} />
          <Related job={job} />
        </div>
      </div>
    </>
  );
}

function Facts({ job }: { readonly job: JobView }) {
  return (
    <dl class="facts">
      <div>
        <dt>State</dt>
        <dd>
          <JobState job={job} />
        </dd>
      </div>
      <IdentityFacts job={job} />
      <div>
        <dt>Priority</dt>
        <dd>{job.priority}</dd>
      </div>
      <div>
        <dt>{job.state === "running" ? "Claimed" : "Due"}</dt>
        <dd>
          <Moment at={job.state === "running" ? job.lockedAt : job.runAt} />
        </dd>
      </div>
      {job.lockedBy !== null && (
        <div>
          <dt>Worker</dt>
          <dd>
            <NameLink of="workers" name={job.lockedBy} />
          </dd>
        </div>
      )}
      {job.flags.length > 0 && (
        <div>
          <dt>Flags</dt>
          <dd>{job.flags.join(", ")}</dd>
        </div>
      )}
      {job.timeoutMs !== null && (
        <div>
          <dt>Timeout</dt>
          <dd>
            <Length ms={job.timeoutMs} />
          </dd>
        </div>
      )}
      <div>
        <dt>Id</dt>
        <dd class="id">
          {job.id} <Copy text={job.id} label="Copy the id" />
        </dd>
      </div>
    </dl>
  );
}

/** Other jobs that may say more. */
function Related({ job }: { readonly job: JobView }) {
  const page = usePage();
  const links: [title: string, condition: Condition][] = [];
  if (job.jobKey !== null) links.push(["Jobs with the same key", { name: "key", value: job.jobKey }]);
  if (job.queueName !== null)
    links.push(["Jobs of the same queue, in their order", { name: "queue", value: job.queueName }]);
  if (job.error !== null) links.push(["Jobs with the same error", { name: "error", value: job.error }]);
  links.push(["Jobs of the same task", { name: "task", value: job.task }]);
  return (
    <section aria-label="Related">
      <h2>Related</h2>
      <ul class="related">
        {links.map(([title, condition]) => (
          <li key={title}>
            <a href={page.href("jobs", queryOfFilter([condition]))}>{title}</a>
          </li>
        ))}
        {job.traceUrl !== null && (
          <li>
            <a href={job.traceUrl} rel="noreferrer" target="_blank">
              Its trace
            </a>
          </li>
        )}
      </ul>
    </section>
  );
}

/** A job that is not in the table any more: what is kept of it, or who had to do with it. */
function Gone({ id, problem }: { readonly id: string; readonly problem: Problem }) {
  const path = `history/${id}`;
  return (
    <Async
      state={useAnswer<FinishedAnswer>(path)}
      path={path}
      rows={8}
      failed={(missing) => (missing.kind === "gone" ? <Unknown id={id} problem={problem} /> : undefined)}
    >
      {({ job }) => <FinishedJob job={job} />}
    </Async>
  );
}

/** A job of which nothing is kept. */
function Unknown({ id, problem }: { readonly id: string; readonly problem: Problem }) {
  const [before, setBefore] = useState<string>();
  const path = address("activity", { jobId: id, before });
  const state = useAnswer<ActivityAnswer>(path, { isLive: false });
  return (
    <section class="gone" aria-label="Gone">
      <p class="notice" role="status" title={problem.message}>
        Job {id} is not in the table: it completed, was removed, or never existed.
      </p>
      <h2>What people did to it</h2>
      <Async state={state} path={path} rows={3}>
        {({ activity, next }) => (
          <>
            <ActivityTable
              activity={activity}
              empty={
                <p class="empty">
                  Nothing that named its id{next !== null && ", among the 10,000 changes that were looked at"}.
                </p>
              }
            />
            {next !== null && (
              <nav class="pages" aria-label="Pages">
                <button type="button" onClick={() => setBefore(next)}>
                  {activity.length === 0 ? "Search on" : "Older"}
                </button>
              </nav>
            )}
          </>
        )}
      </Async>
    </section>
  );
}
