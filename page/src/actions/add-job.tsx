import { useLocation } from "preact-iso";
import { useMemo, useState } from "preact/hooks";
import type { AddAnswer, AddRequest, TaskSchemaAnswer } from "../../../src/admin/contract/group-views.ts";
import type { JobView } from "../../../src/admin/contract/job-views.ts";
import { type Problem, toProblem } from "../api/problem.ts";
import { dataOf } from "../api/view-state.ts";
import { readDuration } from "../format/durations.ts";
import { inPath, useAnswer, usePage } from "../page.ts";
import { Dialog } from "../parts/dialog.tsx";
import { schemaFields, templateOf } from "../payload/json-schema.ts";
import { jsonChanges, prettyJson, readJsonTree } from "../payload/json-tree.ts";

interface AddJobProps {
  readonly task: string;
  /** The job that it is made of; undefined for a new one. */
  readonly from?: JobView | undefined;
  readonly onClose: () => void;
}

/** Adds a job, or another one like a job that there is, with changes that are shown before it is added. */
export function AddJob({ task, from, onClose }: AddJobProps) {
  const page = usePage();
  const { route } = useLocation();
  const known = dataOf(useAnswer<TaskSchemaAnswer>(`tasks/${inPath(task)}/schema`, { isLive: false }));
  const before = useMemo(() => from && readJsonTree(from.payload.text), [from?.payload.text]);
  const [typed, setTyped] = useState(from && (before ? prettyJson(before) : from.payload.text));
  const [fields, setFields] = useState<Fields>({ queue: from?.queueName ?? "", runIn: "", priority: "" });
  const [problem, setProblem] = useState<Problem>();
  const text = typed ?? templateOf(known?.schema ?? null);
  const after = readJsonTree(text);
  const read = readFields(fields);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!after || !read) return;
    try {
      const added = await page.api.post<AddAnswer>("jobs", requestOf({ task, from, text, ...read }));
      page.say(`Job ${added.id} is added.`);
      onClose();
      route(page.href(`jobs/${added.id}`));
    } catch (error) {
      setProblem(toProblem(error));
    }
  };
  return (
    <Dialog title={from ? `Add ${task} again` : `Add a job of ${task}`} isWide onClose={onClose}>
      <form class="fields" onSubmit={(event) => void submit(event)}>
        <label>
          <span>Payload, as JSON{from?.payload.isRedacted && '; what is "[redacted]" is taken from this job'}</span>
          <textarea
            value={text}
            spellcheck={false}
            aria-invalid={after === undefined}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        {known && <Schema known={known} />}
        <More fields={fields} isNew={from === undefined} onChange={(change) => setFields({ ...fields, ...change })} />
        <Differences from={before} after={after} />
        {problem && (
          <p class="notice bad" role="alert">
            {problem.message}
          </p>
        )}
        <footer>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" class="main" disabled={after === undefined || read === undefined}>
            Add the job
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** What was typed beside the payload. */
interface Fields {
  readonly queue: string;
  readonly runIn: string;
  readonly priority: string;
}

interface MoreProps {
  readonly fields: Fields;
  readonly isNew: boolean;
  readonly onChange: (change: Partial<Fields>) => void;
}

function More({ fields: { queue, runIn, priority }, isNew, onChange }: MoreProps) {
  return (
    <div class="pair">
      <label>
        <span>Queue</span>
        <input
          value={queue}
          placeholder={isNew ? "as the task says, or none" : "none"}
          onInput={(event) => onChange({ queue: event.currentTarget.value })}
        />
      </label>
      <label>
        <span>Run in, such as 5m</span>
        <input
          value={runIn}
          placeholder="now"
          aria-invalid={runIn !== "" && readDuration(runIn) === undefined}
          onInput={(event) => onChange({ runIn: event.currentTarget.value })}
        />
      </label>
      {isNew && (
        <label>
          <span>Priority (lower runs first)</span>
          <input
            value={priority}
            inputMode="numeric"
            placeholder="as the task says, or 0"
            aria-invalid={priority !== "" && !INTEGER.test(priority)}
            onInput={(event) => onChange({ priority: event.currentTarget.value })}
          />
        </label>
      )}
    </div>
  );
}

const INTEGER = /^-?\d{1,5}$/;

/** What the payload must be, as far as the server knows the task. */
function Schema({ known: { isKnown, isBatch, schema } }: { readonly known: TaskSchemaAnswer }) {
  if (!isKnown) return <p class="hint quiet">This server does not know the task: any JSON can be added.</p>;
  if (schema === null) {
    const what = isBatch ? "a list of items" : "what the schema of the task allows, if it has one";
    return <p class="hint quiet">The payload must be {what}; this is checked when the job is added.</p>;
  }
  const fields = schemaFields(schema);
  return (
    <details class="payload-schema" open>
      <summary>What the payload must be; it is checked when the job is added</summary>
      {fields.length > 0 && (
        <ul aria-label="Members of the payload">
          {fields.map(({ path, type, isRequired, note }) => (
            <li key={path}>
              <code>{path}</code> {type}
              {isRequired && <b> required</b>}
              {note !== "" && <span class="quiet"> {note}</span>}
            </li>
          ))}
        </ul>
      )}
      <details>
        <summary>As JSON Schema</summary>
        <pre>{prettySchema(schema)}</pre>
      </details>
    </details>
  );
}

function prettySchema(schema: string): string {
  const tree = readJsonTree(schema);
  return tree ? prettyJson(tree) : schema;
}

type Tree = ReturnType<typeof readJsonTree>;

/** What is different from the job that it is made of. */
function Differences({ from, after }: { readonly from: Tree; readonly after: Tree }) {
  if (!after) {
    return (
      <p role="status" class="bad">
        This is no JSON yet.
      </p>
    );
  }
  if (!from) return null;
  const changes = jsonChanges(from, after);
  if (changes.length === 0) {
    return (
      <p role="status" class="quiet">
        The payload is that of this job.
      </p>
    );
  }
  return (
    <ul class="differences mono" aria-label="What is different">
      {changes.map(({ path, before, after: now }) => (
        <li key={path}>
          {path}: {before !== undefined && <del>{before}</del>} {now !== undefined && <ins>{now}</ins>}
        </li>
      ))}
    </ul>
  );
}

/** What the fields say; undefined where one of them cannot be read. */
function readFields({ queue, runIn, priority }: Fields): Partial<AddRequest> | undefined {
  const waitMs = runIn === "" ? 0 : readDuration(runIn);
  if (waitMs === undefined || (priority !== "" && !INTEGER.test(priority))) return undefined;
  return {
    ...(queue === "" ? {} : { queueName: queue }),
    ...(waitMs === 0 ? {} : { runIn: `${waitMs}ms` as const }),
    ...(priority === "" ? {} : { priority: Number(priority) }),
  };
}

interface Adding extends Partial<AddRequest> {
  readonly task: string;
  readonly from: JobView | undefined;
  readonly text: string;
}

function requestOf({ task, from, text, ...rest }: Adding): AddRequest {
  if (!from) return { task, payload: text, ...rest };
  return {
    task,
    payload: text,
    copyOf: from.id,
    priority: from.priority,
    maxAttempts: from.maxAttempts,
    ...(from.flags.length > 0 ? { flags: from.flags } : {}),
    ...(from.timeoutMs === null ? {} : { timeout: `${from.timeoutMs}ms` as const }),
    ...rest,
  };
}
