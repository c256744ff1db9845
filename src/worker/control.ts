import { ANSWER_FRESH_MS, type ClaimedJob } from "../job/claimed-job.ts";
import type { HeldJobs } from "../job/held-jobs.ts";
import type { Interventions } from "../job/interventions.ts";
import type { ControlAnswer, JobLock } from "../postgres/queries/control.ts";
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
  readonly held: HeldJobs;
  /** Asks at once when it starts. */
  readonly asksFirst: boolean;
  /** Asks the database what is paused, who has locked these jobs, and which of them were cancelled. */
  read(jobIds: readonly string[]): Promise<ControlAnswer>;
  /** The interventions were brought up to date. */
  intervene(): void;
  /** The database was asked at `askedAt` about these jobs, which wait in memory, and they are locked like this. */
  confirmed(jobs: readonly ClaimedJob[], locks: ReadonlyMap<string, JobLock>, askedAt: number): void;
  /** These jobs, which wait in memory, go back: nobody knows in time whether they may start. */
  giveBack(jobs: readonly ClaimedJob[]): void;
  /** Other tasks of this worker are paused than before: what claims have seen does not count any more. */
  tasksChanged(): void;
  /** Asking failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** How often a worker that does not listen asks, as long as it holds jobs. */
const ASK_MS = 1_000;
/** So many answers in a row may come too late to start what waits for them. */
const MOST_LATE = 3;
/** How often to see whether what was told still matters. */
const FORGET_MS = 60_000;

/**
 * Learns what was cancelled, paused and resumed while the worker runs. The
 * database is asked, and never believed to have said it all: a notification
 * says only when, and about which jobs.
 *
 *   listens          asks when told, and when it begins to listen
 *   does not listen  asks once a second while it holds jobs
 *   either           asks when what waits in memory is too old to start unasked
 *
 * An answer is about the jobs that were held when the question was sent: what a
 * claim brings while one is under way needs the next one.
 */
export class Control {
  readonly #parts: ControlParts;
  readonly #told = new Set<string>();
  #loop: Loop | undefined;
  #isListening = false;
  /** Something may have happened unseen. */
  #isAskDue = false;
  /** Something waits for an answer to start. */
  #isAwaited = false;
  /** Of the answers that were awaited, in a row. */
  #lateAnswers = 0;
  #isLateSaid = false;
  #pausedTasks = "[]";
  #said = "";

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  /** Begins to ask. */
  start(): void {
    const { asksFirst, clock, interventions, failed } = this.#parts;
    this.#isAskDue ||= asksFirst;
    this.#loop = startLoop({
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
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
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

  /** What waits in memory cannot start before the database was asked about it. */
  askAgain(): void {
    this.#isAwaited = true;
    this.#loop?.wake();
  }

  /** The id may be one that the worker has given up since, while it still runs jobs that it claimed with it. */
  #isAbout(workerId: string, jobIds: readonly string[]): boolean {
    if (workerId === this.#parts.workerId()) return true;
    const held = new Set(this.#parts.held.jobs("cached", "running").map(({ id }) => id));
    return jobIds.some((id) => held.has(id));
  }

  async #ask(): Promise<void> {
    const { interventions, clock, intervene, held } = this.#parts;
    const asksForAll = !this.#isListening || this.#isAskDue || this.#isAwaited;
    const cached = asksForAll ? held.jobs("cached") : [];
    const ids = new Set(this.#told);
    // Otherwise each that was cancelled has been told.
    if (asksForAll) for (const { id } of held.jobs("cached", "running")) ids.add(id);
    const isAwaited = this.#isAwaited;
    this.#isAwaited = false;
    if (!this.#isAskDue && ids.size === 0) return;
    this.#isAskDue = false;
    // What is told from now on, the answer may not have seen.
    this.#told.clear();
    const askedAt = clock.monotonic();
    const answer = await this.#read([...ids]);
    const answeredAt = clock.monotonic();
    interventions.update(answer, answeredAt);
    this.#say(answer);
    intervene();
    this.#noteTasks(answer);
    this.#noteLate(isAwaited && answeredAt - askedAt > ANSWER_FRESH_MS);
    if (this.#lateAnswers >= MOST_LATE) this.#giveBack(cached, answeredAt - askedAt);
    else if (cached.length > 0) this.#parts.confirmed(cached, answer.locks, askedAt);
  }

  #noteLate(isLate: boolean): void {
    this.#lateAnswers = isLate ? this.#lateAnswers + 1 : 0;
    if (!isLate) this.#isLateSaid = false;
  }

  /** Better elsewhere, or later, than started although an operator may have stopped it. */
  #giveBack(jobs: readonly ClaimedJob[], tookMs: number): void {
    const { logger, workerId, giveBack } = this.#parts;
    this.#lateAnswers = 0;
    if (!this.#isLateSaid) {
      logger.warn(
        "Jobs went back unstarted: the database takes too long to say whether they were cancelled or paused",
        {
          worker: workerId(),
          jobs: jobs.length,
          tookMs: Math.round(tookMs),
        },
      );
    }
    this.#isLateSaid = true;
    giveBack(jobs);
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
