import { once } from "node:events";
import type { Client } from "../../client/client.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import type { Clock } from "../../runtime/clock.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { printable, printableLines } from "../printable.ts";
import { applyChange, previewChange } from "./apply-change.ts";
import { readFacts } from "./facts.ts";
import { Terminal, type TerminalStreams, type TerminalUser } from "./terminal.ts";
import {
  type Change,
  type WatchEffect,
  initialWatch,
  type Key,
  look,
  press,
  recalled,
  remembered,
  type WatchState,
} from "./watch-state.ts";
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
      case "remember":
        return this.#do(() => this.#remember());
      case "recall":
        return this.#do(() => this.#recall(effect.at));
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
    if (this.#state.isFrozen || this.#state.past !== undefined || this.#ended.signal.aborted) return;
    const facts = await readFacts(this.#client, this.#clock);
    this.#show(followed(this.#state, look(this.#state, facts)));
  }

  async #remember(): Promise<void> {
    const since = new Date(this.#clock.now() - DAY_MS);
    const samples = await this.#client.listSamples({ resolution: "1m", since, limit: DAY_MS / MINUTE_MS });
    const [state, effect] = remembered(this.#state, samples);
    this.#show(state);
    if (effect !== undefined) this.#carryOut(effect);
  }

  /** The last of the samples of that minute: only those of ten seconds have tasks and queues. */
  async #recall(at: Date): Promise<void> {
    // Of several keys the last counts.
    if (recalled(this.#state, at.getTime(), undefined) === this.#state) return;
    const until = new Date(at.getTime() + MINUTE_MS);
    const [moment] = await this.#client.listSamples({ since: at, until, limit: 1 });
    this.#show(recalled(this.#state, at.getTime(), moment));
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
    const count = subject.kind === "job" ? undefined : await previewChange(this.#client, change);
    if (count === 0) return this.#show({ ...this.#state, message: `No jobs to ${action}.` });
    const jobs =
      count === undefined
        ? `job ${subject.name}`
        : `${formatCount(count, "job")} of ${subject.kind} ${printable(subject.name)}`;
    const question = `${action === "retry" ? "Retry" : "Cancel"} ${jobs}?`;
    this.#show({ ...this.#state, prompt: { kind: "confirm", change, question, text: "" } });
  }

  async #change(change: Change): Promise<void> {
    const message = await applyChange(this.#client, change);
    this.#show({ ...this.#state, message });
    await this.#read();
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
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
