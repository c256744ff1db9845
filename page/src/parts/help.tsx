import { usePage } from "../page.ts";

/** A view that has something to explain. */
export type HelpName = keyof typeof HELP;

/** What a view says, in a few sentences, and where the documentation says more: a file below `docs/`, with its heading. */
export const HELP = {
  overview: {
    says: "Each number says how old it is; ~ marks an estimate. The lists below the chart show those that have waited the longest, not the longest lists.",
    guides: ["guides/runbook.md", "guides/inspecting-jobs.md#samples"],
  },
  jobs: {
    says: "Conditions are added to the filter; the address has all of them. What no index serves is searched 50,000 jobs at a time, the newest first.",
    guides: ["guides/inspecting-jobs.md#lists", "guides/controlling-jobs.md#many-jobs-at-once"],
  },
  job: {
    says: "A job that waits says everything that is in its way, what counts first on top. One that completed leaves the table.",
    guides: ["guides/inspecting-jobs.md#why-a-job-does-not-run", "guides/retries.md"],
  },
  history: {
    says: "Jobs that have ended, of tasks that keep them, the newest first. What is kept, and for how long, is said by the task.",
    guides: ["guides/history.md", "guides/history.md#retention"],
  },
  errors: {
    says: "Jobs that failed for good, by the first line of their last error. A row leads to its jobs, and retries them.",
    guides: ["guides/runbook.md#everything-failed-at-once", "guides/inspecting-jobs.md#errors"],
  },
  queue: {
    says: "Jobs of one queue run one at a time, in order. The worker that runs one holds the queue; when it dies, recovery frees it. With rules several run at once, or at a rate.",
    guides: [
      "guides/queues-and-concurrency.md#one-at-a-time",
      "guides/limits-and-fairness.md",
      "guides/runbook.md#a-queue-stands-still",
    ],
  },
  task: {
    says: "A task that no live worker knows is on top: its jobs wait until one is started. Times are below what 95 of 100 attempts took.",
    guides: ["guides/workers.md", "guides/controlling-jobs.md#pausing"],
  },
  worker: {
    says: "What each worker said with its last heartbeat. One that is silent is declared dead by the others, and what it held is returned.",
    guides: ["guides/recovery.md#how-death-is-detected", "guides/workers.md#how-jobs-are-found"],
  },
  schedules: {
    says: "Schedules that are stored. Those of a worker's crontab are in its code.",
    guides: ["guides/cron.md#schedules-that-change-at-run-time"],
  },
  health: {
    says: "Checks of the database, the workers and the jobs. Nothing is changed by them.",
    guides: ["guides/doctor.md"],
  },
  activity: {
    says: "What people changed through this page and its API, written before it was done. Programs that use the client are not in it.",
    guides: ["reference/admin-api.md#routes"],
  },
  operations: {
    says: "Changes of many jobs, in batches of 500. One that is stalled goes on where it stands, in any process.",
    guides: ["guides/controlling-jobs.md#many-jobs-at-once"],
  },
} as const satisfies Readonly<Record<string, { readonly says: string; readonly guides: readonly string[] }>>;

/** What a view is about, and which files of the repository say more: the page has no address of them. */
export function HelpMenu({ of }: { readonly of: HelpName }) {
  const page = usePage();
  const { says, guides } = HELP[of];
  return (
    <details class="menu help">
      <summary class="button">
        <span aria-hidden="true">?</span>
        <span class="aloud">What this view shows</span>
      </summary>
      <div class="menu-body">
        <p>{says}</p>
        <p class="quiet">More in the documentation:</p>
        <ul>
          {guides.map((guide) => (
            <li key={guide} class="mono">
              docs/{guide}
            </li>
          ))}
        </ul>
        <button type="button" class="link" onClick={() => void (page.isSheetOpen.value = true)}>
          Keys
        </button>
      </div>
    </details>
  );
}
