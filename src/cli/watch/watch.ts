import { once } from "node:events";
import type { Client } from "../../client/client.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { printable, printableLines } from "../printable.ts";
import { readFacts } from "./facts.ts";
import { Terminal, type TerminalStreams, type TerminalUser } from "./terminal.ts";
import { type Change, type WatchEffect, initialWatch, type Key, look, press, type WatchState } from "./watch-state.ts";
import { followed, shownOf, viewOf, type ViewSettings } from "./watch-view.ts";

/** Shows a queue on the whole terminal until the operator quits. */
export class WatchScreen implements TerminalUser {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #settings: WatchSettings;
  readonly #terminal: Terminal;
  readonly #ended = new AbortController();
  #state: WatchState = initialWatch;
  /** Changes and reads wait for each other, so that what is shown is what has happened. */
  #work: Promise<void> = Promise.resolve();

  constructor({ client, clock }: WatchContext, streams: TerminalStreams, settings: WatchSettings) {
    this.#client = client;
    this.#clock = clock;
    this.#settings = settings;
    this.#terminal = new Terminal(streams, this);
  }

  /** Resolves when the operator has quit, or a signal has ended it. */
  async run(): Promise<void> {
    this.#terminal.open();
    try {
      // The terminal is given back at once, also when the database does not answer.
      await Promise.race([once(this.#ended.signal, "abort"), this.#keepReading(), this.#keepDrawing()]);
    } finally {
      this.#terminal.close();
    }
    await this.#work;
  }

  pressed(key: Key): void {
    const [state, effect] = press(this.#state, key, shownOf(this.#state));
    this.#show(state);
    if (effect !== undefined) this.#carryOut(effect);
  }

  resized(): void {
    this.#draw();
  }

  ended(): void {
    this.#ended.abort();
  }

  #carryOut(effect: WatchEffect): void {
    switch (effect.type) {
      case "quit":
        return this.ended();
      case "refresh":
        return this.#do(() => this.#read());
      case "show":
        return this.#do(() => this.#openJob(effect.id));
      case "preview":
        return this.#do(() => this.#ask(effect.change));
      case "change":
        return this.#do(() => this.#change(effect.change));
      default:
        return effect satisfies never;
    }
  }

  /** After what is under way; what fails is said in the last line. */
  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#show({ ...this.#state, message: printable(errorMessage(error)) });
    });
  }

  /** A look costs a twentieth of the time at most. */
  async #keepReading(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const startedAt = this.#clock.monotonic();
      this.#do(() => this.#read());
      await this.#work;
      const restMs = Math.max(LOOK_MS, REST * (this.#clock.monotonic() - startedAt));
      await this.#clock.sleep(restMs, this.#ended.signal);
    }
  }

  async #keepDrawing(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      this.#draw();
      await this.#clock.sleep(DRAW_MS, this.#ended.signal);
    }
  }

  async #read(): Promise<void> {
    if (this.#state.isFrozen || this.#ended.signal.aborted) return;
    const facts = await readFacts(this.#client, this.#clock);
    this.#show(followed(this.#state, look(this.#state, facts)));
  }

  async #openJob(id: string): Promise<void> {
    const job = await this.#client.getJob(id);
    if (job === undefined) return this.#show({ ...this.#state, message: `Job ${id} is gone.` });
    const { reasons } = await this.#client.explainJob(id);
    const now = this.#clock.now();
    const detail = [
      `Job ${id} of task ${printable(job.task)} is ${job.state}.`,
      `queue ${printable(job.queueName ?? "-")}  key ${printable(job.jobKey ?? "-")}  priority ${job.priority}`,
      `due ${describeWhen(job.runAt, now)}  attempts ${job.attempts} of ${job.maxAttempts}`,
      job.lockedBy === null ? "" : `locked by ${printable(job.lockedBy)}`,
      ...reasons.flatMap(({ message, remedy }) => [`- ${printable(message)}`, `  ${printable(remedy ?? "")}`]),
      ...printableLines(job.lastError ?? "").split("\n"),
    ].filter((line) => line.trim() !== "");
    this.#show({ ...this.#state, detail });
  }

  async #ask(change: Change): Promise<void> {
    const { action, subject } = change;
    const count = subject.kind === "job" ? undefined : await this.#preview(change);
    if (count === 0) return this.#show({ ...this.#state, message: `No jobs to ${action}.` });
    const jobs =
      count === undefined
        ? `job ${subject.name}`
        : `${formatCount(count, "job")} of ${subject.kind} ${printable(subject.name)}`;
    const question = `${action === "retry" ? "Retry" : "Cancel"} ${jobs}?`;
    this.#show({ ...this.#state, prompt: { kind: "confirm", change, question, text: "" } });
  }

  async #preview({ action, subject }: Change): Promise<number> {
    const filter = filterOf(subject);
    const dryRun = { dryRun: true } as const;
    const { matched } = await (action === "retry"
      ? this.#client.retryJobs(filter, dryRun)
      : this.#client.cancelJobs(filter, undefined, dryRun));
    return matched;
  }

  async #change(change: Change): Promise<void> {
    const message = await this.#apply(change);
    this.#show({ ...this.#state, message });
    await this.#read();
  }

  async #apply({ action, subject }: Change): Promise<string> {
    const { kind, name } = subject;
    const client = this.#client;
    if (action === "pause" || action === "resume") {
      if (kind === "task") await (action === "pause" ? client.pauseTask(name) : client.resumeTask(name));
      if (kind === "queue") await (action === "pause" ? client.pauseQueue(name) : client.resumeQueue(name));
      if (kind === "schedule") await client.schedules[action](name);
      return `${action === "pause" ? "Paused" : "Resumed"} ${kind} ${printable(name)}.`;
    }
    if (action === "retry") {
      const changed =
        kind === "job" ? (await client.retryJobs([name])).length : (await client.retryJobs(filterOf(subject))).changed;
      return `Retried ${formatCount(changed, "job")}.`;
    }
    if (kind === "job") {
      const { removed, signalled } = await client.cancelJobs([name]);
      return `Cancelled ${formatCount(removed.length + signalled.length, "job")}.`;
    }
    const { changed, signalled } = await client.cancelJobs(filterOf(subject));
    return `Removed ${formatCount(changed, "job")}, told ${formatCount(signalled, "job")} to stop.`;
  }

  #show(state: WatchState): void {
    this.#state = state;
    this.#draw();
  }

  #draw(): void {
    if (this.#ended.signal.aborted) return;
    const { columns, rows } = this.#terminal;
    const size = { columns, rows, isPlain: this.#settings.isPlain };
    this.#terminal.draw(viewOf(this.#state, size, { ...this.#settings, now: this.#clock.now() }));
  }
}

/** What a watch reads from, and by which time. */
export interface WatchContext {
  readonly client: Client;
  readonly clock: Clock;
}

/** How it looks. */
export interface WatchSettings extends Pick<ViewSettings, "paint" | "title"> {
  readonly isPlain: boolean;
}

/** How often to look, and how many times longer than a look the rest is. */
export const LOOK_MS = 2_000;
const REST = 20;
const DRAW_MS = 1_000;

function filterOf({ kind, name }: Change["subject"]) {
  return kind === "task" ? { task: name } : { queueName: name };
}
