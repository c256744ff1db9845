import type { FinishedView } from "../../../../src/admin/contract/history-views.ts";
import { Copy } from "../../parts/copy.tsx";
import { Length, Moment } from "../../parts/figures.tsx";
import { NameLink } from "../../parts/links.tsx";
import { PayloadTree } from "../../payload/payload-tree.tsx";
import { usePage } from "../../page.ts";
import { FinishedState } from "../history/finished-state.tsx";
import { ErrorText } from "./error-text.tsx";
import { IdentityFacts } from "./identity-facts.tsx";
import { Notes } from "./notes.tsx";

/** A job that has ended and is kept. */
export function FinishedJob({ job }: { readonly job: FinishedView }) {
  const page = usePage();
  return (
    <>
      <Facts job={job} />
      <div class="columns">
        <div>
          {job.result === null ? <Missing what="Result" /> : <PayloadTree payload={job.result} title="Result" />}
          {job.payload === null ? <Missing what="Payload" /> : <PayloadTree payload={job.payload} />}
        </div>
        <div>
          {job.lastError !== null && <ErrorText error={job.lastError} />}
          <Notes id={job.id} attempts={job.attempts} />
          <section aria-label="Related">
            <h2>Related</h2>
            <ul class="related">
              {job.jobKey !== null && (
                <li>
                  <a href={page.href("history", { key: job.jobKey })}>Finished jobs with the same key</a>
                </li>
              )}
              <li>
                <a href={page.href("history", { task: job.task })}>Finished jobs of the same task</a>
              </li>
            </ul>
          </section>
        </div>
      </div>
    </>
  );
}

function Missing({ what }: { readonly what: string }) {
  return (
    <section aria-label={what}>
      <h2>{what}</h2>
      <p class="quiet">None is kept.</p>
    </section>
  );
}

function Facts({ job }: { readonly job: FinishedView }) {
  return (
    <dl class="facts">
      <div>
        <dt>Ended</dt>
        <dd>
          <FinishedState state={job.state} /> <Moment at={job.finishedAt} />
        </dd>
      </div>
      <IdentityFacts job={job} />
      <div>
        <dt>Added</dt>
        <dd>
          <Moment at={job.createdAt} />
        </dd>
      </div>
      {job.startedAt !== null && (
        <div>
          <dt>Took</dt>
          <dd>
            <Length ms={Date.parse(job.finishedAt) - Date.parse(job.startedAt)} />
          </dd>
        </div>
      )}
      {job.workerId !== null && (
        <div>
          <dt>Worker</dt>
          <dd>
            <NameLink of="workers" name={job.workerId} />
          </dd>
        </div>
      )}
      <div>
        <dt>Id</dt>
        <dd class="id">
          {job.id} <Copy text={job.id} label="Copy the id" />
        </dd>
      </div>
    </dl>
  );
}
