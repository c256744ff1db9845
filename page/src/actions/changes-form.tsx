import { useState } from "preact/hooks";
import type { BulkAction } from "../../../src/admin/contract/bulk-views.ts";
import type { Problem } from "../api/problem.ts";
import type { Changes } from "./what-if-state.ts";
import { type ReadReschedule, readReschedule, readRetry } from "./reschedule.ts";

interface ChangesFormProps {
  readonly action: BulkAction;
  readonly problem: Problem | undefined;
  readonly onChosen: (changes: Changes) => void;
}

/** What an action is to do in detail: a reason, or when and how often to run. */
export function ChangesForm({ action, problem, onChosen }: ChangesFormProps) {
  const [error, setError] = useState<string>();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const read = readChanges(action, form);
    setError(read.problem);
    if (read.changes) onChosen(read.changes);
  };
  const message = error ?? problem?.message;
  return (
    <form class="fields" onSubmit={submit}>
      <Fields action={action} />
      {message !== undefined && (
        <p class="notice bad" role="alert">
          {message}
        </p>
      )}
      <footer>
        <button type="submit" class="main">
          What would that do?
        </button>
      </footer>
    </form>
  );
}

function Fields({ action }: Pick<ChangesFormProps, "action">) {
  if (action === "reschedule") return <RescheduleFields />;
  return action === "retry" ? <RetryFields /> : <ReasonField action={action} />;
}

function readChanges(action: BulkAction, form: FormData): ReadReschedule {
  if (action === "reschedule") return readReschedule(form);
  return action === "retry" ? readRetry(form) : { changes: readReason(form) };
}

function RetryFields() {
  return (
    <div class="pair">
      <label>
        <span>Each at a random time within, such as 10m or 2h</span>
        <input name="spread" autocomplete="off" placeholder="at once" />
      </label>
      <label>
        <span>Attempts</span>
        <input name="attempts" inputMode="numeric" autocomplete="off" placeholder="as many as they had" />
      </label>
    </div>
  );
}

function ReasonField({ action }: { readonly action: BulkAction }) {
  return (
    <label>
      <span>
        Reason, which {action === "cancel" ? "handlers are told and " : ""}jobs keep as their last error (optional)
      </span>
      <input name="reason" maxLength={1_000} autocomplete="off" />
    </label>
  );
}

function RescheduleFields() {
  return (
    <>
      <div class="pair">
        <label>
          <span>Run in, such as 5m or 2h</span>
          <input name="runIn" autocomplete="off" placeholder="now" />
        </label>
        <label>
          <span>or at, in the time of this browser</span>
          <input name="runAt" type="datetime-local" step={1} />
        </label>
      </div>
      <div class="pair">
        <label>
          <span>Priority (lower runs first)</span>
          <input name="priority" inputMode="numeric" placeholder="as it is" />
        </label>
        <label>
          <span>Attempts at most</span>
          <input name="maxAttempts" inputMode="numeric" placeholder="as it is" />
        </label>
      </div>
      <label>
        <span>Attempts made so far</span>
        <input name="attempts" inputMode="numeric" placeholder="as it is" />
      </label>
    </>
  );
}

function readReason(form: FormData): Changes {
  const reason = form.get("reason");
  return typeof reason === "string" && reason.trim() !== "" ? { reason: reason.trim() } : {};
}
