import { useState } from "preact/hooks";
import type { LockAnswer } from "../../../../src/admin/contract/group-views.ts";
import type { UnlockAnswer } from "../../../../src/admin/contract/worker-views.ts";
import { act } from "../../actions/act.ts";
import { plural } from "../../format/numbers.ts";
import { inPath, usePage } from "../../page.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { Bound, Length, Since } from "../../parts/figures.tsx";
import { Icon } from "../../parts/icons.tsx";
import { JobLink, NameLink } from "../../parts/links.tsx";
import { Words } from "../../parts/words.tsx";
import { JobState } from "../jobs/job-columns.tsx";
import { LimitFacts } from "./limit-facts.tsx";

interface LockProps {
  readonly lock: LockAnswer;
  /** What has to be read again after a change. */
  readonly reloads: readonly string[];
}

/** Who holds a queue, or what its rules leave to it; what of it runs, what is claimed, and what waits behind. */
export function LockInspector({ lock, reloads }: LockProps) {
  const { sentence, state, freedInMs, queue, pool } = lock;
  const { limits } = queue;
  const title = limits === null ? "Lock" : "Limits";
  return (
    <section class={`lock ${state}`} aria-label={title}>
      <header>
        <h2 class="aloud">{title}</h2>
        <Icon name="lock" />
        <p>
          <b>
            <Words text={sentence} />
          </b>
          {freedInMs !== null && (
            <>
              {" "}
              Recovery frees it in at most <Length ms={freedInMs} />.
            </>
          )}
        </p>
        <LockActions lock={lock} reloads={reloads} />
      </header>
      {limits !== null && <LimitFacts limits={limits} pool={pool} />}
      <div class="lock-path">
        {limits !== null && queue.lockedBy === null ? <Runs lock={lock} /> : <Holder lock={lock} />}
        <Chain lock={lock} />
        <Behind lock={lock} />
      </div>
    </section>
  );
}

function Holder({ lock: { holder, running, queue } }: { readonly lock: LockAnswer }) {
  return (
    <div>
      <h3>Holder</h3>
      {holder ? (
        <>
          <p>
            <NameLink of="workers" name={holder.id} />
          </p>
          {holder.report && (
            <p class="quiet">
              {holder.report.host}, pid {holder.report.pid}
            </p>
          )}
          <p class="quiet">
            heartbeat <Since at={holder.lastHeartbeatAt} /> ago
          </p>
        </>
      ) : (
        <p class="quiet">
          {queue.lockedBy === null ? "none: the queue is free" : `${queue.lockedBy}, which is not registered`}
        </p>
      )}
      <Running jobs={running} />
    </div>
  );
}

/** What of a queue with rules runs, on whichever worker. */
function Runs({ lock: { running } }: { readonly lock: LockAnswer }) {
  return (
    <div>
      <h3>Running</h3>
      {running.length === 0 && <p class="quiet">none</p>}
      <Running jobs={running.slice(0, 8)} />
      {running.length > 8 && <p class="quiet">and {running.length - 8} more</p>}
    </div>
  );
}

function Running({ jobs }: { readonly jobs: LockAnswer["running"] }) {
  return (
    <>
      {jobs.map(({ id, task, since }) => (
        <p key={id}>
          runs <JobLink id={id} /> <span class="mono">{task}</span> for <Since at={since} />
        </p>
      ))}
    </>
  );
}

/** The jobs that are claimed, in the order in which they run. */
function Chain({ lock: { chain, queue } }: { readonly lock: LockAnswer }) {
  return (
    <div>
      <h3>Claimed, {plural(chain.length, "job")}</h3>
      {chain.length === 0 && <p class="quiet">none</p>}
      <ol class="chain">
        {chain.slice(0, 8).map((job) => (
          <li key={job.id}>
            <JobState job={job} /> <JobLink id={job.id} /> <span class="mono">{job.task}</span>
            {queue.limits !== null && job.lockedBy !== null && <NameLink of="workers" name={job.lockedBy} />}
          </li>
        ))}
        {chain.length > 8 && <li class="quiet">and {chain.length - 8} more</li>}
      </ol>
    </div>
  );
}

function Behind({ lock: { waiting, queue } }: { readonly lock: LockAnswer }) {
  return (
    <div>
      <h3>{queue.limits === null ? "Waiting behind it" : "Waiting"}</h3>
      <p>
        <Bound of={waiting.count} /> {waiting.count.value === 1 ? "job" : "jobs"}
      </p>
      {waiting.oldest && (
        <p class="quiet">
          oldest <JobLink id={waiting.oldest.id} />, due for <Length ms={waiting.oldestDueMs} />
        </p>
      )}
    </div>
  );
}

function LockActions({ lock, reloads }: LockProps) {
  const page = usePage();
  const [isOpen, setOpen] = useState(false);
  const { queue, running, state, promise } = lock;
  const cancel = (): void => {
    const ids = running.map(({ id }) => id);
    page.order.value = {
      action: "cancel",
      ids,
      words: ids.length === 1 ? `job ${ids[0]}, which runs` : "the jobs that run",
    };
  };
  const unlock = (): void =>
    void act<UnlockAnswer>(page, {
      path: `queues/${inPath(queue.name)}/unlock`,
      says: `The queue ${queue.name} is unlocked.`,
      reloads,
    });
  return (
    <div class="actions">
      {page.canOperate.value && running.length > 0 && (
        <button type="button" onClick={cancel}>
          Cancel what runs…
        </button>
      )}
      {page.isAdmin.value && queue.lockedBy !== null && (
        <button type="button" class="bad" onClick={() => setOpen(true)}>
          Unlock by force…
        </button>
      )}
      {isOpen && (
        <Confirm
          title={`Unlock queue ${queue.name} by force`}
          verb="Unlock it all the same"
          onConfirm={unlock}
          onClose={() => setOpen(false)}
        >
          <p>
            <b>What this breaks:</b> {promise}
          </p>
          {state === "held" && <p>Its holder is alive. To wait for its present job, pause the queue instead.</p>}
        </Confirm>
      )}
    </div>
  );
}
