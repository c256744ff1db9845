import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Problem } from "../contract/component.ts";
import type { Caller } from "../ground.ts";

/**
 * One topic, read for all who follow it: every two seconds, or after twenty
 * times as long as it took, up to ten seconds. It is not read while no client follows it.
 */
export class Topic {
  readonly name: string;
  readonly #caller: Caller;
  readonly #source: TopicSource;
  readonly #clock: Clock;
  readonly #numbers: Numbers;
  readonly #listeners = new Set<TopicListener>();
  #timer: Timer | undefined;
  #reading = false;
  #text: string | undefined;
  #leftAtMs: number;
  #number = 0;
  #asOf = "";

  constructor(name: string, caller: Caller, { source, clock, numbers }: TopicGround) {
    this.name = name;
    this.#caller = caller;
    this.#source = source;
    this.#clock = clock;
    this.#numbers = numbers;
    this.#leftAtMs = clock.monotonic();
  }

  /** The number of its last change, among those of all topics; 0 before the first answer. */
  get number(): number {
    return this.#number;
  }

  /** When it was read last. */
  get asOf(): string {
    return this.#asOf;
  }

  /** Whether no client has followed it for a minute. */
  get isForgotten(): boolean {
    return this.#listeners.size === 0 && this.#clock.monotonic() - this.#leftAtMs > KEPT_MS;
  }

  /** The data of an event that tells all of it. */
  get data(): string {
    return `{"topic":${JSON.stringify(this.name)},"asOf":${JSON.stringify(this.#asOf)},${this.#text ?? '"body":null'}}`;
  }

  /** The data of an event that tells that nothing has changed. */
  get unchanged(): string {
    return JSON.stringify({ topic: this.name, asOf: this.#asOf });
  }

  /** Reads it for this listener, too. */
  join(listener: TopicListener): void {
    this.#listeners.add(listener);
    if (this.#reading) return;
    this.#timer?.cancel();
    void this.#read();
  }

  /** No longer reads it for this listener. */
  leave(listener: TopicListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#leftAtMs = this.#clock.monotonic();
    this.#timer?.cancel();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    const startedMs = this.#clock.monotonic();
    const { asOf, body, problem } = await this.#source.answer(this.name, this.#caller);
    const tookMs = this.#clock.monotonic() - startedMs;
    this.#reading = false;
    this.#asOf = asOf;
    const { asOf: _asOf, ...rest } = body ?? {};
    const text = problem ? `"problem":${JSON.stringify(problem)}` : `"body":${JSON.stringify({ asOf, ...rest })}`;
    this.#tell(problem ? text : JSON.stringify(rest), text);
    if (this.#listeners.size === 0) return;
    const restMs = problem ? SLOWEST_MS : Math.min(Math.max(tookMs * RESTS, FASTEST_MS), SLOWEST_MS);
    this.#timer = this.#clock.setTimer(restMs, () => void this.#read(), true);
  }

  #known: string | undefined;

  /** `known` is what has to differ, `text` what is told. */
  #tell(known: string, text: string): void {
    this.#text = text;
    const isSame = known === this.#known;
    this.#known = known;
    if (!isSame) this.#number = this.#numbers.next();
    for (const listener of this.#listeners) {
      if (isSame) listener.same(this);
      else listener.changed(this);
    }
  }
}

/** What a topic is read from. */
export interface TopicSource {
  /** Answers as `GET` of the topic does. Never rejects. */
  answer(topic: string, caller: Caller): Promise<TopicAnswer>;
}

/** An answer, or why there is none. */
export interface TopicAnswer {
  readonly asOf: string;
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  readonly problem?: Problem | undefined;
}

/** Who follows a topic. */
export interface TopicListener {
  /** Something new is to be told. */
  changed(topic: Topic): void;
  /** Everything is as it was, at a later time. */
  same(topic: Topic): void;
}

/** What topics stand on. */
export interface TopicGround {
  readonly source: TopicSource;
  readonly clock: Clock;
  readonly numbers: Numbers;
}

/** Numbers the changes of all topics. */
export class Numbers {
  #last = 0;

  /** One more than the last. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

const FASTEST_MS = 2_000;
const SLOWEST_MS = 10_000;
/** Reading takes one of this number of parts of the time. */
const RESTS = 20;
const KEPT_MS = 60_000;
