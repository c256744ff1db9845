import { useState } from "preact/hooks";
import type {
  RunningView,
  UnlockAnswer,
  WorkerAnswer,
  WorkerView,
} from "../../../../src/admin/contract/worker-views.ts";
import { act } from "../../actions/act.ts";
import { dataOf } from "../../api/view-state.ts";
import { useCommand } from "../../keyboard/use-command.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Confirm } from "../../parts/confirm.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Moment, Since } from "../../parts/figures.tsx";
import { NameLink } from "../../parts/links.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { SlotsStrip } from "./slots-strip.tsx";
import { ClaimMark, LifeMark } from "./worker-marks.tsx";

/** One worker: what it runs, and how it does. */
export function Worker({ name = "" }: { readonly name?: string }) {
  const page = usePage();
  const path = `workers/${inPath(name)}`;
  const state = useAnswer<WorkerAnswer>(path);
  useCommand("copy-id", () => void copyText(name).then((said) => page.say(said)));
  return (
    <div class="view worker">
      <ViewHead
        title={name}
        help="worker"
        asOf={dataOf(state)?.asOf}
        parent={{ href: page.href("workers"), title: "Workers" }}
      >
        <a class="button" href={page.href("jobs", { worker: name })}>
          All that it holds
        </a>
        {page.isAdmin.value && <UnlockButton id={name} path={path} />}
      </ViewHead>
      <Async state={state} path={path} rows={8}>
        {({ worker }) => <Details worker={worker} />}
      </Async>
    </div>
  );
}

function Details({ worker }: { readonly worker: WorkerView }) {
  const { report } = worker;
  return (
    <>
      <dl class="facts">
        <div>
          <dt>State</dt>
          <dd>
            <LifeMark worker={worker} />
          </dd>
        </div>
        <div>
          <dt>Heartbeat</dt>
          <dd>
            <Since at={worker.lastHeartbeatAt} /> ago
          </dd>
        </div>
        <div>
          <dt>Session</dt>
          <dd>{SESSIONS[worker.session]}</dd>
        </div>
        <div>
          <dt>Started</dt>
          <dd>
            <Moment at={worker.startedAt} />
          </dd>
        </div>
        {report && <ReportFacts report={report} />}
      </dl>
      {report ? (
        <Report worker={worker} report={report} />
      ) : (
        <p class="notice">
          It says nothing of itself with its heartbeats: it is of another implementation, or of release 0.1.0.
        </p>
      )}
    </>
  );
}

const SESSIONS: Readonly<Record<WorkerView["session"], string>> = {
  held: "the database has it",
  lost: "lost",
  none: "it has none to be watched by",
};

type WorkerReport = NonNullable<WorkerView["report"]>;

function ReportFacts({ report }: { readonly report: WorkerReport }) {
  return (
    <>
      <div>
        <dt>Process</dt>
        <dd>
          {report.host}, pid {report.pid}
        </dd>
      </div>
      <div>
        <dt>Version</dt>
        <dd>{report.version}</dd>
      </div>
      <div>
        <dt>Local queue</dt>
        <dd>{report.localQueueSize === null ? "none" : `${report.cached} of ${report.localQueueSize}`}</dd>
      </div>
      <div>
        <dt>Locked, not written, detached</dt>
        <dd>
          {report.locked}, {report.unwritten}, {report.detached}
        </dd>
      </div>
    </>
  );
}

function Report({ worker, report }: { readonly worker: WorkerView; readonly report: WorkerReport }) {
  const page = usePage();
  return (
    <>
      <section aria-label="Slots">
        <h2>
          {report.busy} of {report.slots} slots busy
        </h2>
        <SlotsStrip worker={worker} />
        <p>
          <ClaimMark worker={worker} />
        </p>
      </section>
      <section aria-label="What it runs">
        <h2>What it runs</h2>
        <Table
          label="What it runs, the longest first"
          rows={report.running.toSorted((a, b) => (a.since < b.since ? -1 : 1))}
          keyOf={({ id }) => id}
          href={({ id }) => page.href(`jobs/${id}`)}
          onCommand={(command, job) => {
            if (command !== "cancel" || !job || !page.canOperate.value) return false;
            page.order.value = { action: "cancel", ids: [job.id], words: `job ${job.id} of task ${job.task}` };
            return true;
          }}
          columns={RUNNING}
          empty={<p class="empty">It runs nothing.</p>}
        />
        {report.moreRunning > 0 && (
          <p class="hint quiet">and {report.moreRunning} more that do not fit into its report</p>
        )}
      </section>
      <section aria-label="Tasks">
        <h2>Tasks that it runs</h2>
        <ul class="names">
          {report.tasks.map((task) => (
            <li key={task}>
              <NameLink of="tasks" name={task} />
            </li>
          ))}
          {report.moreTasks > 0 && <li class="quiet">and {report.moreTasks} more</li>}
        </ul>
        {report.forbiddenFlags.length > 0 && (
          <p class="quiet">It leaves jobs alone with these flags: {report.forbiddenFlags.join(", ")}.</p>
        )}
      </section>
    </>
  );
}

const RUNNING: readonly Column<RunningView>[] = [
  { key: "id", title: "Job", narrow: "below", render: ({ id }) => id },
  { key: "task", title: "Task", narrow: "top", render: ({ task }) => <NameLink of="tasks" name={task} /> },
  {
    key: "queue",
    title: "Queue",
    render: ({ queueName }) =>
      queueName === null ? <span class="none">-</span> : <NameLink of="queues" name={queueName} />,
  },
  { key: "since", title: "Runs for", isFigure: true, narrow: "end", render: ({ since }) => <Since at={since} /> },
];

function UnlockButton({ id, path }: { readonly id: string; readonly path: string }) {
  const page = usePage();
  const [isOpen, setOpen] = useState(false);
  const unlock = (): void =>
    void act<UnlockAnswer>(page, {
      path: "workers/unlock",
      body: { workerIds: [id] },
      says: `What ${id} held is unlocked.`,
      reloads: [path, "workers"],
    });
  return (
    <>
      <button type="button" class="bad" onClick={() => setOpen(true)}>
        Unlock by force…
      </button>
      {isOpen && (
        <Confirm
          title={`Unlock all that ${id} holds`}
          verb="Unlock it all the same"
          onConfirm={unlock}
          onClose={() => setOpen(false)}
        >
          <p>
            <b>What this breaks:</b> what this worker still runs will run a second time, at the same time perhaps, and
            queues that it holds are not serial any more. Do it only when its process is known to be gone. Recovery does
            the same by itself, and without that risk.
          </p>
        </Confirm>
      )}
    </>
  );
}
