import { useState } from "preact/hooks";
import type { SweptView, WorkersAnswer, WorkerView } from "../../../../src/admin/contract/worker-views.ts";
import { act } from "../../actions/act.ts";
import { dataOf } from "../../api/view-state.ts";
import { plural } from "../../format/numbers.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Confirm } from "../../parts/confirm.tsx";
import { copyText } from "../../parts/copy.tsx";
import { Length } from "../../parts/figures.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { ViewHead } from "../../parts/view-head.tsx";
import { SlotsStrip } from "./slots-strip.tsx";
import { lifeOf } from "./worker-life.ts";
import { ClaimMark, LifeMark } from "./worker-marks.tsx";

/** Every registered worker: whether it lives, what its slots do, and how its claims go. */
export function Workers() {
  const page = usePage();
  const state = useAnswer<WorkersAnswer>("workers");
  return (
    <div class="view workers">
      <ViewHead title="Workers" help="worker" asOf={dataOf(state)?.asOf}>
        {page.isAdmin.value && <SweepButton />}
      </ViewHead>
      <Async state={state} path="workers" rows={8}>
        {({ workers }) => (
          <Table
            label="Workers"
            rows={workers}
            keyOf={({ id }) => id}
            href={({ id }) => page.href(`workers/${inPath(id)}`)}
            lookOf={(worker) =>
              lifeOf(worker, page.now.value) === "dead" || worker.report?.claims.failingSince ? "alarming" : undefined
            }
            onCommand={(command, worker) => {
              if (command !== "copy-id" || !worker) return false;
              void copyText(worker.id).then((said) => page.say(said));
              return true;
            }}
            columns={COLUMNS}
            empty={<p class="empty">No worker is registered. Jobs wait until one is started.</p>}
          />
        )}
      </Async>
    </div>
  );
}

const COLUMNS: readonly Column<WorkerView>[] = [
  { key: "id", title: "Worker", render: ({ id }) => id },
  { key: "life", title: "State", narrow: "end", render: (worker) => <LifeMark worker={worker} /> },
  {
    key: "host",
    title: "Process",
    render: ({ report }) =>
      report ? (
        <>
          {report.host}{" "}
          <span class="quiet">
            pid {report.pid}, {report.version}
          </span>
        </>
      ) : (
        <span class="none">says nothing of itself</span>
      ),
  },
  { key: "slots", title: "Slots", render: (worker) => <SlotsStrip worker={worker} /> },
  {
    key: "busy",
    title: "Busy",
    isFigure: true,
    render: ({ report }) => (report ? `${report.busy} of ${report.slots}` : "-"),
  },
  {
    key: "cached",
    title: "Local queue",
    isFigure: true,
    narrow: "none",
    render: ({ report }) =>
      report?.localQueueSize == null ? <span class="none">-</span> : `${report.cached} of ${report.localQueueSize}`,
  },
  {
    key: "longest",
    title: "Longest run",
    isFigure: true,
    narrow: "none",
    render: (worker) => <Longest worker={worker} />,
  },
  { key: "claims", title: "Claims", render: (worker) => <ClaimMark worker={worker} /> },
];

function Longest({ worker: { report } }: { readonly worker: WorkerView }) {
  const now = usePage().now.value;
  const since = report?.running.map((one) => Date.parse(one.since)) ?? [];
  return <Length ms={since.length === 0 ? null : now - Math.min(...since)} />;
}

/** Recovers what silent workers hold: first says what that would be. */
function SweepButton() {
  const page = usePage();
  const [found, setFound] = useState<SweptView>();
  const look = async (): Promise<void> =>
    setFound(
      await act<SweptView>(page, { path: "workers/sweep", body: { dryRun: true }, says: "Nothing is changed yet." }),
    );
  const sweep = (): void =>
    void act<SweptView>(page, {
      path: "workers/sweep",
      body: {},
      says: ({ workerIds, jobCount }) =>
        `Recovered ${plural(jobCount, "job")} of ${plural(workerIds.length, "worker")}.`,
      reloads: ["workers"],
    });
  return (
    <>
      <button type="button" onClick={() => void look()}>
        Sweep…
      </button>
      {found && (
        <Confirm
          title="Sweep silent workers"
          verb={`Recover ${plural(found.jobCount, "job")}`}
          onConfirm={sweep}
          onClose={() => setFound(undefined)}
        >
          <p>
            {found.workerIds.length === 0
              ? "No worker has been silent for long enough. Workers sweep by themselves; nothing has to be done."
              : `${found.workerIds.join(", ")} would be declared dead, and ${plural(found.jobCount, "job")} returned.`}
          </p>
        </Confirm>
      )}
    </>
  );
}
