import type { BulkAction, OperationAnswer, OperationView } from "../../../src/admin/contract/bulk-views.ts";
import { dataOf } from "../api/view-state.ts";
import { durationText } from "../format/durations.ts";
import { exactNumber, percent, plural } from "../format/numbers.ts";
import { useAnswer, usePage } from "../page.ts";
import { act } from "./act.ts";

/** What was done to a job, for "6,668 jobs retried". */
export const DONE: Readonly<Record<BulkAction, string>> = {
  retry: "retried",
  reschedule: "rescheduled",
  complete: "completed",
  fail: "failed for good",
  cancel: "cancelled",
  remove: "removed",
};

/** How far a change of many jobs has come, followed live; with pause and stop. */
export function OperationProgress({ operation }: { readonly operation: OperationView }) {
  if (operation.id === null) return <Figures operation={operation} />;
  return <Followed id={operation.id} begun={operation} />;
}

function Followed({ id, begun }: { readonly id: string; readonly begun: OperationView }) {
  const operation = dataOf(useAnswer<OperationAnswer>(`operations/${id}`))?.operation ?? begun;
  return <Figures operation={operation} />;
}

function Figures({ operation }: { readonly operation: OperationView }) {
  const { expected, matched, changed, signalled, action, state } = operation;
  const untouched = matched - changed - signalled;
  return (
    <div class="operation">
      <p role="status">
        <b>{stateInWords(operation)}</b> {plural(changed, "job")} {DONE[action]}
        {signalled > 0 && <>, {exactNumber(signalled)} told to stop</>}
        {untouched > 0 && <>, {exactNumber(untouched)} left alone: they were gone, had begun to run, or were locked</>}
        {expected !== null && expected > 0 && state !== "done" && <> ({percent(matched, expected)})</>}
      </p>
      <progress
        aria-label="Progress"
        max={Math.max(expected ?? 0, matched, 1)}
        value={state === "done" ? Math.max(expected ?? 0, matched, 1) : expected === null ? undefined : matched}
      />
      <OperationButtons operation={operation} />
    </div>
  );
}

/** Pause, go on, and stop, where these apply and this person may. */
function OperationButtons({ operation: { id, state, isStalled } }: { readonly operation: OperationView }) {
  const page = usePage();
  if (id === null || !page.canOperate.value || state === "done" || state === "stopped") return null;
  const send = (what: "pause" | "resume" | "stop", says: string) => (): void =>
    void act(page, { path: `operations/${id}/${what}`, says, reloads: [`operations/${id}`, "operations"] });
  return (
    <div class="actions">
      {state === "running" && !isStalled && (
        <button type="button" onClick={send("pause", `Operation ${id} pauses after its present batch.`)}>
          Pause
        </button>
      )}
      {(state === "paused" || isStalled) && (
        <button type="button" class="main" onClick={send("resume", `Operation ${id} goes on.`)}>
          Go on
        </button>
      )}
      <button type="button" class="bad" onClick={send("stop", `Operation ${id} is stopped. What was done stays done.`)}>
        Stop for good
      </button>
    </div>
  );
}

/** `Running.`, `Stalled: …` */
export function stateInWords({ state, isStalled, createdAt, updatedAt }: OperationView): string {
  if (state === "running") return isStalled ? "Stalled: no process carries it out." : "Under way.";
  if (state === "paused") return "Paused.";
  return `${state === "done" ? "Done" : "Stopped"} after ${durationText(Date.parse(updatedAt) - Date.parse(createdAt))}.`;
}
