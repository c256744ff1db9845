import type { Job } from "../job/job.ts";
import type { ActionRequest, BulkAction, UndoView } from "./contract/bulk-views.ts";

/**
 * How a change of jobs can be undone, by what they were before it: nothing for
 * what is deleted or told to stop, nor where it would take more than a hundred requests.
 */
export function undoOf(
  change: Pick<ActionRequest, "action" | "to" | "again">,
  changed: readonly Job[],
): UndoView | null {
  const columns = columnsOf(change);
  if (columns.length === 0 || changed.length === 0) return null;
  const steps = new Map<string, { ids: string[]; to: NonNullable<ActionRequest["to"]> }>();
  for (const job of changed) {
    // There is no date for a time beyond those of JavaScript.
    if (columns.includes("runAt") && Math.abs(job.runAt.getTime()) >= LAST_MS) return null;
    const to = Object.fromEntries(columns.map((column) => [column, valueOf(job, column)]));
    const key = JSON.stringify(to);
    const step = steps.get(key) ?? { ids: [] as string[], to };
    step.ids.push(job.id);
    steps.set(key, step);
  }
  if (steps.size > MOST_STEPS) return null;
  return {
    sentence: SENTENCES[change.action] ?? "",
    steps: [...steps.values()].map((step) => ({ action: "reschedule", ...step })),
  };
}

/** Whether jobs that are given by their ids have to be read before this change, to undo it. */
export function isUndoable(action: BulkAction): boolean {
  return SENTENCES[action] !== undefined;
}

type Column = "runAt" | "priority" | "attempts" | "maxAttempts";

/** What a change alters, of what can be given back. A job that failed for good again does not run, whenever it is due. */
function columnsOf({ action, to = {}, again = {} }: Pick<ActionRequest, "action" | "to" | "again">): readonly Column[] {
  if (action === "retry" && typeof again.attempts === "number") return ["attempts", "maxAttempts"];
  if (action === "retry" || action === "fail") return ["attempts"];
  if (action !== "reschedule") return [];
  const isTimed = to.runAt !== undefined || to.runIn !== undefined;
  const others = (["priority", "attempts", "maxAttempts"] as const).filter((column) => to[column] !== undefined);
  return isTimed ? ["runAt", ...others] : others;
}

function valueOf(job: Job, column: Column): string | number {
  return column === "runAt" ? job.runAt.toISOString() : job[column];
}

const SENTENCES: { readonly [Action in BulkAction]?: string } = {
  retry: "Counts their attempts as made again: those that have not begun to run have failed for good as before.",
  fail: "Gives them their attempts back. The reason stays as their last error.",
  reschedule: "Gives back what was changed of those that have not begun to run.",
};

const MOST_STEPS = 100;

/** The last date that there is stands for infinity. */
const LAST_MS = 8.64e15;
