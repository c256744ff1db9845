import { JOB_STATES, type JobState } from "../job/job.ts";
import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { waysById } from "../postgres/queries/job-pages.ts";
import { listJobKinds } from "../postgres/queries/list-jobs.ts";
import type { OperationAction } from "../postgres/queries/operations.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import { filterOf } from "./bulk-runner.ts";

/** Which jobs a bulk change would be about. */
export interface BulkPreview {
  /** How many jobs pass the filter. */
  readonly matched: number;
  /** False when there are more: the count ends at 100,000 jobs, or after a million were looked at. */
  readonly exact: boolean;
  readonly byState: Readonly<Record<JobState, number>>;
  /** Those with the most jobs first. */
  readonly byTask: readonly { readonly task: string; readonly count: number }[];
}

/** Counts the jobs that an operation would find, page by page. */
export async function previewOperation(target: CountTarget, order: PreviewOrder): Promise<BulkPreview> {
  const { mostPages = MOST_PAGES, newestId } = order;
  const filter = order.action === undefined ? order.filter : filterOf({ ...order, action: order.action });
  const states = new Map<JobState, number>();
  const tasks = new Map<string, number>();
  let matched = 0;
  let pages = 0;
  for (const way of waysById(filter)) {
    for (let after: string | undefined = "0"; after !== undefined;) {
      if (matched >= MOST || pages >= mostPages) return { matched, exact: false, ...summary(states, tasks) };
      const position = { priority: 0, runAt: "0", id: after };
      const page = await listJobKinds(target, filter, {
        way,
        after: position,
        newestId,
        isBackward: false,
        limit: PAGE,
      });
      for (const { task, state } of page.kinds) {
        states.set(state, (states.get(state) ?? 0) + 1);
        tasks.set(task, (tasks.get(task) ?? 0) + 1);
      }
      matched += page.kinds.length;
      pages += 1;
      after = page.nextAfter;
    }
  }
  return { matched, exact: true, ...summary(states, tasks) };
}

/** Which jobs to count. */
interface PreviewOrder {
  /** Counts the jobs that this would change; `undefined` for all that pass the filter. */
  readonly action?: OperationAction | undefined;
  readonly filter: JobSelection;
  /** The largest id that counts. */
  readonly newestId?: string | undefined;
  /** Where counting ends. */
  readonly mostPages?: number | undefined;
}

/** Where counting ends. A page looks at 50,000 jobs at most, at 20,000 for a payload. */
const MOST = 100_000;
const MOST_PAGES = 20;

const PAGE = 10_000;

function summary(
  states: ReadonlyMap<JobState, number>,
  tasks: ReadonlyMap<string, number>,
): Pick<BulkPreview, "byState" | "byTask"> {
  const byState = Object.fromEntries(JOB_STATES.map((state) => [state, states.get(state) ?? 0]));
  const byTask = [...tasks].map(([task, count]) => ({ task, count })).sort((a, b) => b.count - a.count);
  return { byState: byState as BulkPreview["byState"], byTask };
}
