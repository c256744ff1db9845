import type { JobRow } from "../../../../src/admin/contract/job-views.ts";
import { Amount, Length, Moment } from "../../parts/figures.tsx";
import { StateMark } from "../../parts/icons.tsx";
import { NameLink } from "../../parts/links.tsx";
import type { Column } from "../../parts/table.tsx";
import { usePage } from "../../page.ts";

/** What can be shown of jobs, in the order of the columns. */
export const JOB_COLUMNS: readonly Column<JobRow>[] = [
  { key: "id", title: "Id", narrow: "below", render: ({ id }) => id },
  { key: "state", title: "State", narrow: "end", render: (job) => <JobState job={job} /> },
  { key: "task", title: "Task", narrow: "top", render: ({ task }) => <NameLink of="tasks" name={task} /> },
  {
    key: "queue",
    title: "Queue",
    render: ({ queueName }) =>
      queueName === null ? <span class="none">-</span> : <NameLink of="queues" name={queueName} />,
  },
  { key: "key", title: "Key", narrow: "none", render: ({ jobKey }) => <Text of={jobKey} /> },
  { key: "since", title: "Since", isFigure: true, isPlain: true, render: (job) => <JobSince job={job} /> },
  {
    key: "attempts",
    title: "Attempt",
    isFigure: true,
    render: ({ attempts, maxAttempts }) => (
      <span class="figure">
        {attempts}/{maxAttempts}
      </span>
    ),
  },
  {
    key: "error",
    title: "Error",
    render: ({ error }) =>
      error === null ? (
        <span class="none">-</span>
      ) : (
        <span class="error" title={error}>
          {error}
        </span>
      ),
  },
  { key: "priority", title: "Priority", isFigure: true, render: ({ priority }) => <Amount of={priority} /> },
  { key: "due", title: "Due", isFigure: true, render: ({ runAt }) => <Moment at={runAt} /> },
  { key: "created", title: "Added", isFigure: true, render: ({ createdAt }) => <Moment at={createdAt} /> },
  {
    key: "worker",
    title: "Worker",
    render: ({ lockedBy }) =>
      lockedBy === null ? <span class="none">-</span> : <NameLink of="workers" name={lockedBy} />,
  },
];

const USUAL = ["id", "state", "task", "queue", "key", "since", "attempts", "error"];

/** The columns that an address names, or the usual ones; the id is always the first. */
export function columnsOf(given: string | undefined): readonly Column<JobRow>[] {
  const names = new Set(["id", ...(given === undefined ? USUAL : given.split(","))]);
  return JOB_COLUMNS.filter(({ key }) => names.has(key));
}

/** What the address says of columns: nothing for the usual ones. */
export function columnsParam(columns: readonly string[]): string | undefined {
  const chosen = JOB_COLUMNS.map(({ key }) => key).filter((key) => columns.includes(key));
  return chosen.join() === USUAL.join() ? undefined : chosen.join();
}

/** The state of a job; one whose task or queue is paused says that it is. */
export function JobState({ job }: { readonly job: Pick<JobRow, "state" | "isPaused"> }) {
  if (job.isPaused && job.state !== "running" && job.state !== "failed")
    return <StateMark state="paused" word={`${job.state}, paused`} />;
  return <StateMark state={job.state} />;
}

/** For how long a job has been in its state, or in how long it is due. */
function JobSince({ job }: { readonly job: JobRow }) {
  const now = usePage().now.value;
  const away = (time: string | null): number | null => (time === null ? null : now - Date.parse(time));
  switch (job.state) {
    case "running":
      return <Words word="runs" ms={away(job.lockedAt)} />;
    case "failed":
      return <Words word="failed" ms={away(job.updatedAt)} after=" ago" />;
    case "ready":
    case "scheduled": {
      const ms = away(job.runAt);
      return ms !== null && ms < 0 ? <Words word="in" ms={-ms} /> : <Words word="due" ms={ms} after=" ago" />;
    }
  }
}

function Words({ word, ms, after = "" }: { word: string; ms: number | null; after?: string }) {
  if (ms === null) return <span class="none">-</span>;
  return (
    <>
      <span class="quiet">{word} </span>
      <Length ms={Math.max(0, ms)} />
      <span class="quiet">{after}</span>
    </>
  );
}

function Text({ of }: { readonly of: string | null }) {
  return of === null ? <span class="none">-</span> : <span class="mono">{of}</span>;
}
