import type { JobState } from "../../job/job.ts";
import type { BulkAction } from "../contract/bulk-views.ts";

/** Why jobs in the other states are left alone. */
export const REASONS: Readonly<Record<JobState, string>> = {
  ready: "They wait, and have not failed for good.",
  scheduled: "They are scheduled for later, and have not failed for good.",
  running: "They run: a job that runs can only be cancelled.",
  failed: "They have failed for good.",
};

/** What a button says that does it. */
export const VERBS: Readonly<Record<BulkAction, string>> = {
  retry: "Retry",
  reschedule: "Reschedule",
  complete: "Complete",
  fail: "Fail",
  cancel: "Cancel",
  remove: "Remove",
};

/** What is said before of the undo of a change of jobs by their ids, where there is one. */
export const UNDO_HERE = "Can be undone right after it, while no worker has begun the jobs.";

/** The same of jobs by a filter, and where there is none. */
export const UNDO: Readonly<Record<BulkAction, string>> = {
  retry: "Can be undone while the jobs wait: fail them again.",
  reschedule: "Cannot be undone: the old times and attempts are not kept.",
  complete: "Cannot be undone: the jobs are deleted.",
  fail: "Can be undone: retry them.",
  cancel: "Cannot be undone: jobs that wait are deleted, and those that run are told to stop.",
  remove: "Cannot be undone: the jobs are deleted.",
};
