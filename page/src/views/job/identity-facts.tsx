import type { FinishedView } from "../../../../src/admin/contract/history-views.ts";
import type { JobView } from "../../../../src/admin/contract/job-views.ts";
import { NameLink } from "../../parts/links.tsx";

/** The facts that a job has before and after its end, as entries of a list. */
export function IdentityFacts({ job }: { readonly job: JobView | FinishedView }) {
  return (
    <>
      <div>
        <dt>Task</dt>
        <dd>
          <NameLink of="tasks" name={job.task} />
        </dd>
      </div>
      <div>
        <dt>Queue</dt>
        <dd>{job.queueName === null ? "none" : <NameLink of="queues" name={job.queueName} />}</dd>
      </div>
      <div>
        <dt>Attempt</dt>
        <dd>
          {job.attempts} of {job.maxAttempts}
        </dd>
      </div>
      <div>
        <dt>Key</dt>
        <dd class="mono">{job.jobKey ?? "none"}</dd>
      </div>
    </>
  );
}
