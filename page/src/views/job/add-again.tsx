import { useLocation } from "preact-iso";
import { useMemo, useState } from "preact/hooks";
import type { AddAnswer, AddRequest } from "../../../../src/admin/contract/group-views.ts";
import type { JobView } from "../../../../src/admin/contract/job-views.ts";
import { act } from "../../actions/act.ts";
import { readDuration } from "../../format/durations.ts";
import { usePage } from "../../page.ts";
import { Dialog } from "../../parts/dialog.tsx";
import { jsonChanges, prettyJson, readJsonTree } from "../../payload/json-tree.ts";

/** Adds another job like this one, with changes that are shown before it is added. */
export function AddAgain({ job, onClose }: { readonly job: JobView; readonly onClose: () => void }) {
  const page = usePage();
  const { route } = useLocation();
  const before = useMemo(() => readJsonTree(job.payload.text), [job.payload.text]);
  const [text, setText] = useState(before ? prettyJson(before) : job.payload.text);
  const [queue, setQueue] = useState(job.queueName ?? "");
  const [runIn, setRunIn] = useState("");
  const after = readJsonTree(text);
  const waitMs = runIn === "" ? 0 : readDuration(runIn);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!after || waitMs === undefined) return;
    const body = requestOf(job, { text, queue, waitMs: waitMs ?? 0 });
    const added = await act<AddAnswer>(page, { path: "jobs", body, says: ({ id }) => `Job ${id} is added.` });
    if (!added) return;
    onClose();
    route(page.href(`jobs/${added.id}`));
  };
  return (
    <Dialog title={`Add ${job.task} again`} isWide onClose={onClose}>
      <form class="fields" onSubmit={(event) => void submit(event)}>
        <label>
          <span>Payload, as JSON{job.payload.isRedacted && '; what is "[redacted]" is taken from this job'}</span>
          <textarea
            value={text}
            spellcheck={false}
            aria-invalid={after === undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <div class="pair">
          <label>
            <span>Queue</span>
            <input value={queue} placeholder="none" onInput={(event) => setQueue(event.currentTarget.value)} />
          </label>
          <label>
            <span>Run in, such as 5m</span>
            <input
              value={runIn}
              placeholder="now"
              aria-invalid={waitMs === undefined}
              onInput={(event) => setRunIn(event.currentTarget.value)}
            />
          </label>
        </div>
        <Differences changes={before && after ? jsonChanges(before, after) : undefined} />
        <footer>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" class="main" disabled={after === undefined || waitMs === undefined}>
            Add the job
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** What is different from the job that it is made of. Undefined where the text is no JSON. */
function Differences({ changes }: { changes: ReturnType<typeof jsonChanges> | undefined }) {
  if (!changes)
    return (
      <p role="status" class="bad">
        This is no JSON yet.
      </p>
    );
  if (changes.length === 0)
    return (
      <p role="status" class="quiet">
        The payload is that of this job.
      </p>
    );
  return (
    <ul class="differences mono" aria-label="What is different">
      {changes.map(({ path, before, after }) => (
        <li key={path}>
          {path}: {before !== undefined && <del>{before}</del>} {after !== undefined && <ins>{after}</ins>}
        </li>
      ))}
    </ul>
  );
}

function requestOf(job: JobView, { text, queue, waitMs }: { text: string; queue: string; waitMs: number }): AddRequest {
  return {
    task: job.task,
    payload: text,
    copyOf: job.id,
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    ...(job.flags.length > 0 ? { flags: job.flags } : {}),
    ...(job.timeoutMs === null ? {} : { timeout: `${job.timeoutMs}ms` as const }),
    ...(queue === "" ? {} : { queueName: queue }),
    ...(waitMs === 0 ? {} : { runIn: `${waitMs}ms` as const }),
  };
}
