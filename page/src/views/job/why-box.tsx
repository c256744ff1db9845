import type { WhyAnswer } from "../../../../src/admin/contract/job-views.ts";
import { inPath, useAnswer, usePage } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Moment } from "../../parts/figures.tsx";
import { Words } from "../../parts/words.tsx";

type Reason = WhyAnswer["reasons"][number];

/** Why a job does not run, or where it runs: what counts first on top, each with what mends it. */
export function WhyBox({ id, queueName }: { readonly id: string; readonly queueName: string | null }) {
  const path = `jobs/${id}/why`;
  return (
    <section class="why" aria-label="Why it does not run">
      <Async state={useAnswer<WhyAnswer>(path)} path={path} rows={2}>
        {({ reasons }) => (
          <>
            <h2>{TITLES[reasons[0]?.code ?? ""] ?? "Why is it not running?"}</h2>
            <ol>
              {reasons.map((reason) => (
                <li key={`${reason.code} ${reason.message}`}>
                  <p>
                    <Words text={reason.message} />
                    {reason.until !== undefined && (
                      <>
                        {" "}
                        Until <Moment at={reason.until} />.
                      </>
                    )}
                  </p>
                  <p class="quiet">
                    <Words text={reason.remedy} />
                  </p>
                  <Mends reason={reason} queueName={queueName} />
                </li>
              ))}
            </ol>
          </>
        )}
      </Async>
    </section>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  running: "Where it runs",
  in_memory: "Where it waits",
  gone: "What became of it",
  failed: "Why it does not run again",
  cancelled: "Why it does not run again",
  scheduled: "When it runs",
  soon: "When it runs",
};

/** Where to go on. */
function Mends({ reason: { code, workerId, jobId }, queueName }: { reason: Reason; queueName: string | null }) {
  const page = usePage();
  const isOfQueue =
    queueName !== null && ["queue_locked", "queue_paused", "limit", "not_first", "holder_dead"].includes(code);
  return (
    <p class="mends">
      {isOfQueue && <a href={page.href(`queues/${inPath(queueName)}`)}>Inspect the lock</a>}
      {jobId !== undefined && <a href={page.href(`jobs/${jobId}`)}>Job {jobId}</a>}
      {workerId !== undefined && <a href={page.href(`workers/${inPath(workerId)}`)}>Worker {workerId}</a>}
    </p>
  );
}
