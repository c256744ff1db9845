import type { Interventions } from "../job/interventions.ts";
import type { ControlAnswer } from "../postgres/queries/control.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";
import { readControlNotification } from "./control-notification.ts";

/** What control needs, and whom it tells. */
export interface ControlParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The name of the schema. */
  readonly schema: string;
  /** The tasks of this worker, by their identifiers. */
  readonly tasks: readonly string[];
  readonly interventions: Interventions;
  readonly workerId: () => string;
  /** The jobs that the worker holds. */
  readonly jobIds: () => { readonly running: readonly string[]; readonly waiting: readonly string[] };
  /** Asks the database what is paused, and which of these jobs were cancelled. */
  read(jobIds: readonly string[]): Promise<ControlAnswer>;
  /** The interventions were brought up to date. */
  intervene(): void;
  /** Other tasks of this worker are paused than before: what claims have seen does not count any more. */
  tasksChanged(): void;
  /** Asking failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** How often a worker that does not listen asks, as long as it holds jobs. */
const ASK_MS = 1_000;
/** How often to see whether what was told still matters. */
const FORGET_MS = 60_000;

/**
 * Learns what was cancelled, paused and resumed while the worker runs. The
 * database is asked, and never believed to have said it all: a notification
 * says only when, and about which jobs.
 *
 *   listens          asks when told, and when it begins to listen
 *   does not listen  asks once a second while it holds jobs
 */
export class Control {
  readonly #parts: ControlParts;
  readonly #told = new Set<string>();
  #loop: Loop | undefined;
  #isListening = false;
  /** Something may have happened unseen. */
  #isAskDue = false;
  #pausedTasks = "[]";
  #said = "";

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  /** Begins, and asks at once with `asksFirst`. Returns the end of it. */
  start({ asksFirst }: { readonly asksFirst: boolean }): () => Promise<void> {
    const { clock, interventions, failed } = this.#parts;
    this.#isAskDue ||= asksFirst;
    const loop = startLoop({
      name: "control",
      clock,
      round: async () => {
        await this.#ask();
        interventions.forget(clock.monotonic());
        if (!this.#isListening) return ASK_MS;
        return interventions.isEmpty ? Number.POSITIVE_INFINITY : FORGET_MS;
      },
      onError: (error, { failures }) => {
        if (failures === 1) failed(error);
      },
    });
    this.#loop = loop;
    return () => loop.stop();
  }

  /** A notification has arrived. */
  notified(payload: string): void {
    const said = readControlNotification(payload, this.#parts.schema);
    if (!said || (said.workerId !== undefined && !this.#isAbout(said.workerId, said.jobIds))) return;
    for (const id of said.jobIds) this.#told.add(id);
    this.#isAskDue ||= said.workerId === undefined;
    this.#loop?.wake();
  }

  /** Notifications arrive from now on, or no longer do. */
  listening(isListening: boolean): void {
    this.#isListening = isListening;
    this.#isAskDue ||= isListening;
    this.#loop?.wake();
  }

  /** The id may be one that the worker has given up since, while it still runs jobs that it claimed with it. */
  #isAbout(workerId: string, jobIds: readonly string[]): boolean {
    if (workerId === this.#parts.workerId()) return true;
    const { running, waiting } = this.#parts.jobIds();
    const held = new Set([...running, ...waiting]);
    return jobIds.some((id) => held.has(id));
  }

  async #ask(): Promise<void> {
    const { interventions, clock, intervene } = this.#parts;
    const ids = new Set([...this.#told, ...this.#heldToAskFor()]);
    if (!this.#isAskDue && ids.size === 0) return;
    this.#isAskDue = false;
    // What is told from now on, the answer may not have seen.
    this.#told.clear();
    const answer = await this.#read([...ids]);
    interventions.update(answer, clock.monotonic());
    this.#say(answer);
    intervene();
    this.#noteTasks(answer);
  }

  async #read(jobIds: readonly string[]): Promise<ControlAnswer> {
    try {
      return await this.#parts.read(jobIds);
    } catch (error) {
      this.#isAskDue = true;
      for (const id of jobIds) this.#told.add(id);
      throw error;
    }
  }

  /** All jobs, unless each that was cancelled has been told. */
  #heldToAskFor(): readonly string[] {
    if (this.#isListening && !this.#isAskDue) return [];
    const { running, waiting } = this.#parts.jobIds();
    return [...running, ...waiting];
  }

  #noteTasks({ tasks }: ControlAnswer): void {
    const paused = tasks.map(({ name }) => name).filter((name) => this.#parts.tasks.includes(name));
    const key = JSON.stringify(paused.sort());
    if (key === this.#pausedTasks) return;
    this.#pausedTasks = key;
    this.#parts.tasksChanged();
  }

  /** Says what is paused, once. */
  #say({ queues, tasks }: ControlAnswer): void {
    const names = { queues: shown(queues), tasks: shown(tasks) };
    const said = queues.length + tasks.length === 0 ? "" : JSON.stringify([queues, tasks]);
    if (said === this.#said) return;
    const { logger, workerId } = this.#parts;
    const fields = { worker: workerId(), ...names };
    if (said === "") logger.info("Nothing is paused any more", { worker: workerId() });
    else logger.info("Jobs of paused queues and tasks wait until these are resumed", fields);
    this.#said = said;
  }
}

/** The most names in a line of the log. */
const MOST_NAMES = 10;

function shown(paused: readonly { readonly name: string }[]): string | undefined {
  if (paused.length === 0) return undefined;
  const names = paused.slice(0, MOST_NAMES).map(({ name }) => name);
  return paused.length > MOST_NAMES ? `${names.join(", ")} and ${paused.length - MOST_NAMES} more` : names.join(", ");
}
