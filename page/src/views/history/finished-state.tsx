import type { FinishedRow } from "../../../../src/admin/contract/history-views.ts";

/** How a job ended, as a word; those that did not end well stand out. */
export function FinishedState({ state }: Pick<FinishedRow, "state">) {
  return <span class={state === "failed" ? "bad" : undefined}>{state}</span>;
}
