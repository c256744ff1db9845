import type { NotesAnswer } from "../../../../src/admin/contract/history-views.ts";
import { useAnswer } from "../../page.ts";
import { Async } from "../../parts/async.tsx";
import { Moment } from "../../parts/figures.tsx";
import { NameLink } from "../../parts/links.tsx";
import { PayloadTree } from "../../payload/payload-tree.tsx";
import { type StackLine, stackLines } from "./stack.ts";

interface NotesProps {
  readonly id: string;
  /** How often the job was started. */
  readonly attempts: number;
}

/** How far a job is, its failed attempts with their stacks, and its log. */
export function Notes({ id, attempts }: NotesProps) {
  const path = `jobs/${id}/notes`;
  return (
    <Async state={useAnswer<NotesAnswer>(path)} path={path} rows={3}>
      {(notes) => (
        <>
          {notes.progress !== null && <Progress progress={notes.progress} />}
          <Attempts failed={notes.attempts} attempts={attempts} />
          {notes.lines.length > 0 && <Log lines={notes.lines} />}
        </>
      )}
    </Async>
  );
}

function Progress({ progress }: { readonly progress: NonNullable<NotesAnswer["progress"]> }) {
  return (
    <>
      <PayloadTree payload={progress.value} title="Progress" />
      <p class="quiet">
        Said <Moment at={progress.at} />.
      </p>
    </>
  );
}

function Attempts({ failed, attempts }: Pick<NotesProps, "attempts"> & { readonly failed: NotesAnswer["attempts"] }) {
  return (
    <section class="attempts" aria-label="Attempts">
      <h2>Attempts</h2>
      <p class="quiet">
        {attempts === 0
          ? "It has not been started yet."
          : `It was started ${attempts === 1 ? "once" : `${attempts} times`}.`}
        {failed.length === 0 && attempts > 0 && " None that failed is recorded."}
      </p>
      <ol class="attempt-list">
        {failed.map((attempt, index) => (
          <li key={`${attempt.attempt} ${attempt.failedAt}`}>
            <details open={index === failed.length - 1}>
              <summary>
                <b>{attempt.attempt}</b> <span class="error">{firstLineOf(attempt)}</span>{" "}
                <span class="quiet">
                  <Moment at={attempt.failedAt} />
                </span>
              </summary>
              {attempt.workerId !== null && (
                <p class="quiet">
                  On <NameLink of="workers" name={attempt.workerId} />
                </p>
              )}
              <pre tabIndex={0}>
                {stackLines(attempt.stack ?? attempt.error ?? "").map(({ text, kind }: StackLine, line) => (
                  <span key={line} class={kind}>
                    {text}
                    {"\n"}
                  </span>
                ))}
              </pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

function firstLineOf({ error }: NotesAnswer["attempts"][number]): string {
  return error?.split("\n", 1)[0] ?? "failed";
}

function Log({ lines }: { readonly lines: NotesAnswer["lines"] }) {
  return (
    <section class="job-log" aria-label="Log">
      <h2>Log</h2>
      <ol class="log-lines mono">
        {lines.map(({ at, message, fields }, index) => (
          <li key={index}>
            <span class="quiet">
              <Moment at={at} />
            </span>{" "}
            {message} {fields !== null && <span class="quiet">{fields.text}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}
