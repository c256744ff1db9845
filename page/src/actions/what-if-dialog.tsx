import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import type {
  BulkAction,
  OperationAnswer,
  OperationView,
  PreviewAnswer,
} from "../../../src/admin/contract/bulk-views.ts";
import { toProblem } from "../api/problem.ts";
import { exactNumber, percent, plural } from "../format/numbers.ts";
import { type Page, usePage } from "../page.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Bound } from "../parts/figures.tsx";
import { StateMark } from "../parts/icons.tsx";
import { Table } from "../parts/table.tsx";
import { ChangesForm } from "./changes-form.tsx";
import { rowsOf, saveAs } from "./download-rows.ts";
import { OperationProgress } from "./operation-progress.tsx";
import { UndoButton } from "./undo-button.tsx";
import {
  type Changes,
  confirmOf,
  firstState,
  mayBegin,
  nextWhatIf,
  type Order,
  type WhatIf,
  type WhatIfEvent,
} from "./what-if-state.ts";

const TITLES: Readonly<Record<BulkAction, string>> = {
  retry: "Retry",
  reschedule: "Reschedule",
  complete: "Complete",
  fail: "Fail for good",
  cancel: "Cancel",
  remove: "Remove",
};

/** What a change would do and what it would leave alone; then the change itself, with its progress. */
export function WhatIfDialog({ order }: { readonly order: Order }) {
  const page = usePage();
  const [state, send] = useReducer(nextWhatIf, firstState(order.action));
  const close = (): void => void (page.order.value = undefined);
  const look = async (changes: Changes): Promise<void> => send(await previewOf(page, order, changes));
  useEffect(() => {
    if (state.kind === "previewing") void look({});
  }, []);
  const choose = (changes: Changes): void => {
    send({ type: "chosen" });
    void look(changes);
  };
  return (
    <Dialog title={`${TITLES[order.action]} ${order.words}`} isWide={state.kind === "shown"} onClose={close}>
      {state.kind === "choosing" && <ChangesForm action={order.action} problem={state.problem} onChosen={choose} />}
      {state.kind === "previewing" && <p aria-busy="true">Looking at which jobs that would be…</p>}
      {state.kind === "refused" && (
        <p class="notice bad" role="alert">
          {state.problem.message}
        </p>
      )}
      {(state.kind === "shown" || state.kind === "starting") && (
        <Decision
          order={order}
          state={state}
          onTyped={(text) => send({ type: "typed", text })}
          onReconsider={() => send({ type: "reconsidered" })}
          onClose={close}
          onConfirm={() => {
            if (!mayBegin(state)) return;
            send({ type: "confirmed" });
            void begin(page, state.preview, send);
          }}
        />
      )}
      {state.kind === "begun" && <Begun operation={state.operation} onClose={close} />}
    </Dialog>
  );
}

interface DecisionProps {
  readonly order: Order;
  readonly state: Extract<WhatIf, { kind: "shown" | "starting" }>;
  readonly onTyped: (text: string) => void;
  readonly onReconsider: () => void;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/** What would happen, and the button that lets it. */
function Decision({ order, state, onTyped, onReconsider, onConfirm, onClose }: DecisionProps) {
  const { preview, typed } = state;
  const isAny = preview.matched.value > 0;
  const first = useRef<HTMLInputElement & HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onConfirm();
      }}
    >
      <Preview preview={preview} />
      {order.action === "remove" && isAny && <Download order={order} />}
      {order.action === "retry" && isAny && (
        <p>
          <button type="button" class="small" disabled={state.kind === "starting"} onClick={onReconsider}>
            Over some time, or with other attempts…
          </button>
        </p>
      )}
      {preview.confirm !== null && isAny && (
        <label class="confirm">
          Type {exactNumber(Number(preview.confirm))} to go on{" "}
          <input
            ref={first}
            inputMode="numeric"
            autocomplete="off"
            value={typed}
            onInput={(event) => onTyped(event.currentTarget.value)}
          />
        </label>
      )}
      {state.kind === "shown" && state.problem && (
        <p class="notice bad" role="alert">
          {state.problem.message}
        </p>
      )}
      <footer>
        <button type="button" ref={isAny ? undefined : first} onClick={onClose}>
          Leave it
        </button>
        {isAny && (
          <button
            type="submit"
            ref={preview.confirm === null ? first : undefined}
            class={order.action === "remove" || order.action === "cancel" ? "main danger" : "main"}
            disabled={!mayBegin(state)}
          >
            {preview.sentence}
          </button>
        )}
      </footer>
    </form>
  );
}

/** What is removed cannot come back, so it can be kept as a file. */
function Download({ order }: { readonly order: Order }) {
  const page = usePage();
  const [said, setSaid] = useState("");
  const download = async (): Promise<void> => {
    setSaid("Reading the jobs…");
    try {
      const { lines, count } = await rowsOf(page.api, order);
      saveAs("removed-jobs.ndjson", lines);
      setSaid(`${plural(count, "job")} saved.`);
    } catch (error) {
      setSaid(`Not saved: ${toProblem(error).message}`);
    }
  };
  return (
    <p class="download">
      <button type="button" class="small" onClick={() => void download()}>
        Save them as a file first
      </button>{" "}
      <span class="quiet" role="status">
        {said === "" ? (order.ids ? "With their payloads." : "Without their payloads, 10,000 at most.") : said}
      </span>
    </p>
  );
}

function Preview({ preview }: { readonly preview: PreviewAnswer }) {
  const { matched, byState, byTask, untouched, sample, undo } = preview;
  const states = (["ready", "scheduled", "running", "failed"] as const).filter((state) => byState[state] > 0);
  if (matched.value === 0) {
    return (
      <>
        <p class="empty">No job would be changed.</p>
        <Untouched untouched={untouched} />
      </>
    );
  }
  return (
    <div class="what-if">
      <p class="matched">
        <b>
          <Bound of={matched} />
        </b>{" "}
        {matched.value === 1 ? "job" : "jobs"} would be changed:{" "}
        {states.map((state) => (
          <span key={state} class="part">
            <StateMark state={state} /> {exactNumber(byState[state])}
          </span>
        ))}
      </p>
      {byTask.length > 1 && (
        <ul class="by-task">
          {byTask.slice(0, 6).map(({ task, count }) => (
            <li key={task}>
              <span class="mono">{task}</span> {exactNumber(count)} <small>({percent(count, matched.value)})</small>
            </li>
          ))}
          {byTask.length > 6 && <li>and {plural(byTask.length - 6, "more task")}</li>}
        </ul>
      )}
      <Untouched untouched={untouched} />
      <Table
        label="The first of these jobs"
        columns={[
          { key: "id", title: "The first of them", render: ({ id }) => <span class="id">{id}</span> },
          { key: "task", title: "Task", render: ({ task }) => <span class="mono">{task}</span> },
          { key: "error", title: "Error", render: ({ error }) => <span class="error">{error ?? "-"}</span> },
        ]}
        rows={sample}
        keyOf={({ id }) => id}
      />
      <p class="quiet">{undo} Jobs that are added from now on are not changed.</p>
    </div>
  );
}

/** What stays as it is, with the reason. */
function Untouched({ untouched }: Pick<PreviewAnswer, "untouched">) {
  const left = untouched.filter(({ count }) => count.value > 0);
  if (left.length === 0) return null;
  return (
    <ul class="untouched" aria-label="Not changed">
      {left.map(({ reason, count }) => (
        <li key={reason}>
          <b>
            <Bound of={count} />
          </b>{" "}
          would be left alone. {reason}
        </li>
      ))}
    </ul>
  );
}

function Begun({ operation, onClose }: { readonly operation: OperationView; readonly onClose: () => void }) {
  const page = usePage();
  return (
    <>
      <OperationProgress operation={operation} />
      {operation.undo !== null && <UndoButton undo={operation.undo} />}
      <footer>
        {operation.id !== null && (
          <a class="button" href={page.href(`operations/${operation.id}`)} onClick={onClose}>
            Open operation {operation.id}
          </a>
        )}
        <button type="button" class="main" onClick={onClose}>
          Close
        </button>
      </footer>
    </>
  );
}

async function previewOf(page: Page, { action, ids, filter }: Order, changes: Changes): Promise<WhatIfEvent> {
  try {
    const preview = await page.api.post<PreviewAnswer>("jobs/preview", { action, ids, filter, ...changes });
    return { type: "previewed", preview };
  } catch (error) {
    return { type: "failed", problem: toProblem(error) };
  }
}

async function begin(page: Page, answer: PreviewAnswer, send: (event: WhatIfEvent) => void): Promise<void> {
  try {
    const body = { token: answer.token, ...confirmOf(answer) };
    const { operation } = await page.api.post<OperationAnswer>("operations", body);
    send({ type: "begun", operation });
    page.say(operation.id === null ? "Done." : `Operation ${operation.id} has begun.`);
    page.changed.value += 1;
  } catch (error) {
    send({ type: "failed", problem: toProblem(error) });
  }
}
