import { ANSWER_FRESH_MS, type ClaimedJob } from "../job/claimed-job.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { readControl, type ControlAnswer } from "../postgres/queries/control.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";
import { readControlNotification } from "./control-notification.ts";
import type { Engine } from "./engine.ts";

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
  readonly #context: ControlContext;
  readonly #engine: ControlledEngine;
  readonly #read: typeof readControl;
  readonly #told = new Set<string>();
  #loop: Loop | undefined;
  #isListening = false;
  /** Something may have happened unseen. */
  #isAskDue = false;
  /** How many pauses, or ends of them, were told since the last question. */
  #changesTold = 0;
  /** Something waits for an answer to start. */
  #isAwaited = false;
  /** Of the answers that were awaited, in a row. */
  #lateAnswers = 0;
  #isLateSaid = false;
  #pausedTasks = "[]";
  #said = "";

  /** Tests pass a `read` of their own. */
  constructor(context: ControlContext, engine: ControlledEngine, read = readControl) {
    this.#context = context;
    this.#engine = engine;
    this.#read = read;
  }

  /** Begins to ask. */
  start(): void {
    const { clock, reporter } = this.#context;
    const { interventions } = this.#engine;
    this.#loop = startLoop({
      name: "control",
      clock,
      round: async () => {
        await this.#ask();
        interventions.forget(clock.monotonic());
        if (!this.#isListening) return ASK_MS;
        return interventions.isEmpty ? Number.POSITIVE_INFINITY : FORGET_MS;
      },
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("ask what was cancelled or paused", error);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  /** A notification has arrived. Returns whether it concerns this worker. */
  notified(payload: string): boolean {
    const said = readControlNotification(payload, this.#context.schema.name);
    if (!said || (said.workerId !== undefined && !this.#isAbout(said.workerId, said.jobIds))) return false;
    for (const id of said.jobIds) this.#told.add(id);
    if (said.workerId === undefined) {
      this.#isAskDue = true;
      this.#changesTold += 1;
    }
    this.#loop?.wake();
    return true;
  }

  /** Notifications arrive from now on, or no longer do. */
  listening(isListening: boolean): void {
    this.#isListening = isListening;
    this.#isAskDue ||= isListening;
    this.#loop?.wake();
  }

  /** Something may have happened unseen: asks at once, or when it starts. */
  distrust(): void {
    this.#isAskDue = true;
    this.#loop?.wake();
  }

  /** What waits in memory cannot start before the database was asked about it. */
  askAgain(): void {
    this.#isAwaited = true;
    this.#loop?.wake();
  }

  /** The id may be one that the worker has given up since, while it still runs jobs that it claimed with it. */
  #isAbout(workerId: string, jobIds: readonly string[]): boolean {
    if (workerId === this.#context.identity.current) return true;
    const held = new Set(this.#context.held.jobs("cached", "running").map(({ id }) => id));
    return jobIds.some((id) => held.has(id));
  }

  async #ask(): Promise<void> {
    const { clock, held } = this.#context;
    const asksForAll = !this.#isListening || this.#isAskDue || this.#isAwaited;
    const cached = asksForAll ? held.jobs("cached") : [];
    const ids = new Set(this.#told);
    // Otherwise each that was cancelled has been told.
    if (asksForAll) for (const { id } of held.jobs("cached", "running")) ids.add(id);
    const isAwaited = this.#isAwaited;
    this.#isAwaited = false;
    if (!this.#isAskDue && ids.size === 0) return;
    this.#isAskDue = false;
    const changesTold = this.#changesTold;
    this.#changesTold = 0;
    // The answer may not have seen what is notified from now on.
    this.#told.clear();
    const askedAt = clock.monotonic();
    const answer = await this.#answerAbout([...ids]);
    const answeredAt = clock.monotonic();
    this.#engine.interventions.update(answer, answeredAt);
    const isSeen = this.#say(answer);
    this.#engine.intervene();
    this.#noteTasks(answer, changesTold > (isSeen ? 1 : 0));
    this.#noteLate(isAwaited && answeredAt - askedAt > ANSWER_FRESH_MS);
    if (this.#lateAnswers >= MOST_LATE) this.#giveBack(cached, answeredAt - askedAt);
    else if (cached.length > 0) this.#engine.confirm(cached, answer.locks, askedAt);
  }

  #noteLate(isLate: boolean): void {
    this.#lateAnswers = isLate ? this.#lateAnswers + 1 : 0;
    if (!isLate) this.#isLateSaid = false;
  }

  /** Better elsewhere, or later, than started although an operator may have stopped it. */
  #giveBack(jobs: readonly ClaimedJob[], tookMs: number): void {
    const { logger, identity } = this.#context;
    this.#lateAnswers = 0;
    if (!this.#isLateSaid) {
      logger.warn(
        "Jobs went back unstarted: the database takes too long to say whether they were cancelled or paused",
        {
          worker: identity.current,
          jobs: jobs.length,
          tookMs: Math.round(tookMs),
        },
      );
    }
    this.#isLateSaid = true;
    this.#engine.giveBackCached(jobs);
  }

  async #answerAbout(jobIds: readonly string[]): Promise<ControlAnswer> {
    const { driver, schema } = this.#context;
    try {
      return await this.#read({ executor: driver, schema }, jobIds);
    } catch (error) {
      this.#isAskDue = true;
      for (const id of jobIds) this.#told.add(id);
      throw error;
    }
  }

  /**
   * A task that was paused and resumed since the answer before is in neither. A claim may
   * have passed over its jobs meanwhile, so what was told and is not seen counts as such.
   */
  #noteTasks({ tasks }: ControlAnswer, isMissed: boolean): void {
    const paused = tasks.map(({ name }) => name).filter((name) => this.#context.tasks.find(name) !== undefined);
    const key = JSON.stringify(paused.sort());
    if (key === this.#pausedTasks && !isMissed) return;
    this.#pausedTasks = key;
    this.#engine.tasksChanged();
  }

  /** Says what is paused, once. Returns whether it is something else than before. */
  #say({ queues, tasks }: ControlAnswer): boolean {
    const names = { queues: shown(queues), tasks: shown(tasks) };
    const said = queues.length + tasks.length === 0 ? "" : JSON.stringify([queues, tasks]);
    if (said === this.#said) return false;
    const { logger, identity } = this.#context;
    const worker = identity.current;
    const fields = { worker, ...names };
    if (said === "") logger.info("Nothing is paused any more", { worker });
    else logger.info("Jobs of paused queues and tasks wait until these are resumed", fields);
    this.#said = said;
    return true;
  }
}

type ControlContext = Pick<
  WorkerContext,
  "clock" | "logger" | "driver" | "schema" | "tasks" | "identity" | "held" | "reporter"
>;

/** The engine of a run, as control sees it. */
export type ControlledEngine = Pick<
  Engine,
  "interventions" | "intervene" | "confirm" | "giveBackCached" | "tasksChanged"
>;

/** How often a worker that does not listen asks, as long as it holds jobs. */
const ASK_MS = 1_000;
/** How many answers in a row may come too late to start what waits for them. */
const MOST_LATE = 3;
/** How often to check whether what was read still matters. */
const FORGET_MS = 60_000;

/** The most names in a line of the log. */
const MOST_NAMES = 10;

function shown(paused: readonly { readonly name: string }[]): string | undefined {
  if (paused.length === 0) return undefined;
  const names = paused.slice(0, MOST_NAMES).map(({ name }) => name);
  return paused.length > MOST_NAMES ? `${names.join(", ")} and ${paused.length - MOST_NAMES} more` : names.join(", ");
}
