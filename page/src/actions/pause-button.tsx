import { useState } from "preact/hooks";
import { readDuration } from "../format/durations.ts";
import { useCommand } from "../keyboard/use-command.ts";
import { inPath, type Page, usePage } from "../page.ts";
import { Dialog } from "../parts/dialog.tsx";
import { act, type Act } from "./act.ts";

/** What can be paused. */
export interface Pausable {
  readonly of: "queues" | "tasks" | "schedules";
  readonly name: string;
  readonly isPaused: boolean;
  /** Null for a pause without an end. */
  readonly pausedUntil: string | null;
  /** What shows it, and has to be read again. */
  readonly reloads: readonly string[];
}

const WORDS: Readonly<Record<Pausable["of"], { readonly one: string; readonly means: string }>> = {
  queues: { one: "queue", means: "No further job of it starts. Jobs that run go on, and jobs can be added." },
  tasks: {
    one: "task",
    means: "No further job of it starts. Jobs that run go on, and other jobs of the same queues too.",
  },
  schedules: { one: "schedule", means: "It adds no jobs. What is due meanwhile is not made up for." },
};

/** Pauses something, for some time or until it is resumed; or resumes it. Absent for those who may not. */
export function PauseButton(props: Pausable & { readonly hasKey?: boolean }) {
  const page = usePage();
  const [isOpen, setOpen] = useState(false);
  const { of, name, isPaused, hasKey = false } = props;
  const may = page.canOperate.value;
  const press = (): void => {
    if (isPaused) void resume(page, props);
    else setOpen(true);
  };
  useCommand("pause", may && hasKey ? press : undefined);
  if (!may) return null;
  return (
    <>
      <button
        type="button"
        class={hasKey ? undefined : "small"}
        onClick={press}
        data-command="pause"
        aria-label={`${isPaused ? "Resume" : "Pause"} ${WORDS[of].one} ${name}`}
      >
        {isPaused ? "Resume" : "Pause…"}
      </button>
      {isOpen && <PauseDialog {...props} onClose={() => setOpen(false)} />}
    </>
  );
}

const LENGTHS = ["15m", "1h", "4h", "1d"];

function PauseDialog({ onClose, ...of }: Pausable & { readonly onClose: () => void }) {
  const page = usePage();
  const { one, means } = WORDS[of.of];
  const pause = (length?: string): void => {
    onClose();
    const ms = length === undefined ? undefined : readDuration(length);
    const body = ms === undefined ? {} : { until: new Date(page.now.value + ms).toISOString() };
    const says = `The ${one} ${of.name} is paused${length === undefined ? "" : ` for ${length}`}.`;
    void act(page, { ...pauseOf(of, body), says, undo: resumeOf(of) });
  };
  return (
    <Dialog title={`Pause ${one} ${of.name}`} onClose={onClose}>
      <p>{means}</p>
      <div class="actions">
        {LENGTHS.map((length) => (
          <button key={length} type="button" onClick={() => pause(length)}>
            For {length}
          </button>
        ))}
        <button type="button" class="main" onClick={() => pause()}>
          Until it is resumed
        </button>
      </div>
    </Dialog>
  );
}

async function resume(page: Page, pausable: Pausable): Promise<void> {
  const { pausedUntil } = pausable;
  const undo = pauseOf(pausable, pausedUntil === null ? {} : { until: pausedUntil });
  await act(page, { ...resumeOf(pausable), undo });
}

function pauseOf({ of, name, reloads }: Pausable, body: { readonly until?: string }): Act<unknown> {
  return { path: `${of}/${inPath(name)}/pause`, body, says: `The ${WORDS[of].one} ${name} is paused.`, reloads };
}

function resumeOf({ of, name, reloads }: Pausable): Act<unknown> {
  return { path: `${of}/${inPath(name)}/resume`, says: `The ${WORDS[of].one} ${name} goes on.`, reloads };
}
