import { type ReadonlySignal, signal } from "@preact/signals";
import type { PageClock } from "../clock.ts";
import { EventStreamReader, type StreamEvent } from "./event-stream.ts";
import { retryDelayMs } from "./view-state.ts";

/** How news reaches the page. */
export type LiveState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Something on the way keeps the stream back, so the page asks every few seconds. */
  | { readonly kind: "polling" }
  /** A person has paused it, or the page is not in sight. */
  | { readonly kind: "paused"; readonly by: "person" | "hidden" }
  | { readonly kind: "down"; readonly retryAt: number };

/** What is new about a topic. */
export interface News {
  /** When it was read, by the server. */
  readonly asOf: string;
  /** What it is now; undefined when nothing changed. */
  readonly body?: unknown;
  /** Why it could not be read: problem details of RFC 9457. */
  readonly problem?: unknown;
}

/** Called with what is new about a topic; without news when it has to be asked for. */
export type Hear = (news?: News) => void;

/** What {@link Live} stands on. */
export interface LiveParts {
  readonly clock: PageClock;
  /** Opens the stream of these topics; rejects when it cannot be opened. */
  readonly open: (topics: readonly string[], signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
}

/** Without a first event within this time the page asks for itself. */
const FIRST_EVENT_MS = 3_000;

/** How often it asks then. */
const POLL_MS = 5_000;

/** Subscriptions of one turn of the page become one stream. */
const SETTLE_MS = 50;

/** One stream for everything that the page shows. It rests while nothing is shown, is out of sight, or is paused. */
export class Live {
  readonly #parts: LiveParts;
  readonly #state = signal<LiveState>({ kind: "connecting" });
  readonly #listeners = new Map<string, Set<Hear>>();
  #pauses = new Set<"person" | "hidden">();
  #end: (() => void) | undefined;
  #settle: (() => void) | undefined;
  #open: string | undefined;
  #failures = 0;

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  get state(): ReadonlySignal<LiveState> {
    return this.#state;
  }

  /** Hears of a topic until what it returns is called. */
  listen(topic: string, hear: Hear): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(hear));
    this.#changed();
    return () => {
      listeners.delete(hear);
      if (listeners.size === 0) this.#listeners.delete(topic);
      this.#changed();
    };
  }

  /** Stops news until `resume` with the same word. */
  pause(by: "person" | "hidden"): void {
    this.#pauses.add(by);
    this.#restart();
  }

  /** Ends a pause; everything that is shown is asked for at once. */
  resume(by: "person" | "hidden"): void {
    if (!this.#pauses.delete(by) || this.#pauses.size > 0) return this.#restart();
    this.#failures = 0;
    this.#tellAll();
    this.#restart();
  }

  /** Ends it for good. */
  close(): void {
    this.#listeners.clear();
    this.#settle?.();
    this.#end?.();
  }

  #changed(): void {
    this.#settle?.();
    this.#settle = this.#parts.clock.after(SETTLE_MS, () => {
      if (this.#topics().join() !== this.#open) this.#restart();
    });
  }

  #topics(): string[] {
    return [...this.#listeners.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  #restart(): void {
    this.#end?.();
    this.#end = undefined;
    this.#open = undefined;
    const [by] = this.#pauses;
    if (by !== undefined) {
      this.#state.value = { kind: "paused", by: this.#pauses.has("person") ? "person" : by };
      return;
    }
    const topics = this.#topics();
    if (topics.length > 0) this.#begin(topics);
  }

  #begin(topics: readonly string[]): void {
    const abort = new AbortController();
    const { clock, open } = this.#parts;
    let stopPolling = clock.after(FIRST_EVENT_MS, () => poll());
    const poll = (): void => {
      this.#state.value = { kind: "polling" };
      this.#tellAll();
      stopPolling = clock.after(POLL_MS, poll);
    };
    this.#open = topics.join();
    this.#end = () => {
      stopPolling();
      abort.abort();
    };
    if (this.#state.value.kind !== "down") this.#state.value = { kind: "connecting" };
    const hear = (event: StreamEvent): void => {
      stopPolling();
      this.#failures = 0;
      if (this.#state.value.kind !== "live") this.#state.value = { kind: "live" };
      this.#tell(event);
    };
    open(topics, abort.signal)
      .then((stream) => readAll(stream, hear))
      .catch(() => undefined)
      .then(() => {
        if (abort.signal.aborted) return;
        stopPolling();
        this.#again();
      })
      .catch(() => undefined);
  }

  /** The stream has ended: it is opened again, later each time. */
  #again(): void {
    this.#failures += 1;
    const delay = retryDelayMs(this.#failures);
    this.#open = undefined;
    this.#state.value = { kind: "down", retryAt: this.#parts.clock.now() + delay };
    this.#end = this.#parts.clock.after(delay, () => {
      this.#tellAll();
      this.#restart();
    });
  }

  #tell({ event, data }: StreamEvent): void {
    const news = event === "update" ? readNews(data) : undefined;
    if (!news) return;
    for (const hear of this.#listeners.get(news.topic) ?? []) hear(news);
  }

  #tellAll(): void {
    for (const listeners of this.#listeners.values()) for (const hear of listeners) hear();
  }
}

async function readAll(stream: ReadableStream<Uint8Array>, hear: (event: StreamEvent) => void): Promise<void> {
  const reader = stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  const events = new EventStreamReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of events.push(value)) hear(event);
  }
}

function readNews(text: string): (News & { readonly topic: string }) | undefined {
  try {
    return JSON.parse(text) as News & { readonly topic: string };
  } catch {
    return undefined;
  }
}
