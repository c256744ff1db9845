import type { BulkAction } from "../../../src/admin/contract/bulk-views.ts";
import type { JobRow } from "../../../src/admin/contract/job-views.ts";

type State = JobRow["state"];

/** What can be done to jobs, and to which. */
export interface JobAction {
  readonly action: BulkAction;
  /** What its button says; with dots when more is asked for first. */
  readonly title: string;
  readonly states: readonly State[];
  readonly isDangerous?: boolean;
}

/** All of them, in the order of the buttons. */
const JOB_ACTIONS: readonly JobAction[] = [
  { action: "retry", title: "Retry", states: ["failed"] },
  { action: "reschedule", title: "Reschedule…", states: ["ready", "scheduled", "failed"] },
  { action: "cancel", title: "Cancel…", states: ["ready", "scheduled", "running"] },
  { action: "fail", title: "Fail…", states: ["ready", "scheduled"] },
  { action: "complete", title: "Complete…", states: ["ready", "scheduled", "failed"] },
  { action: "remove", title: "Remove…", states: ["ready", "scheduled", "failed"], isDangerous: true },
];

/** Those that can change jobs of at least one of these states; all where no state is known. */
export function actionsFor(states: readonly State[]): readonly JobAction[] {
  if (states.length === 0) return JOB_ACTIONS;
  return JOB_ACTIONS.filter((one) => one.states.some((state) => states.includes(state)));
}
