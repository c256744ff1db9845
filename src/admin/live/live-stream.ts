import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Topic, TopicListener } from "./topic.ts";

/**
 * One stream of server-sent events. What is told and the client has not taken
 * yet is kept as the names of topics only, each once, so that a slow client
 * gets the newest state when it reads on, and costs no memory until then.
 */
export class LiveStream implements TopicListener {
  readonly body: ReadableStream<Uint8Array>;
  readonly #topics: readonly Topic[];
  readonly #order: StreamOrder;
  readonly #clock: Clock;
  readonly #pending = new Map<Topic, "changed" | "same">();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #timer: Timer | undefined;
  #lateTicks = 0;
  #hasEnded = false;

  constructor(topics: readonly Topic[], order: StreamOrder, clock: Clock) {
    this.#topics = topics;
    this.#order = order;
    this.#clock = clock;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        controller.enqueue(encode(`retry: 3000\n: ${order.greeting}\n\n`));
      },
      pull: () => this.#flush(),
      cancel: () => this.end(),
    });
    for (const topic of topics) {
      // What is known already is told at once, unless the client has it.
      if (topic.number > order.afterNumber) this.#pending.set(topic, "changed");
      topic.join(this);
    }
    this.#tickLater();
  }

  changed(topic: Topic): void {
    this.#pending.set(topic, "changed");
    this.#flush();
  }

  same(topic: Topic): void {
    if (!this.#pending.has(topic)) this.#pending.set(topic, "same");
    this.#flush();
  }

  /** Ends the stream. Ending twice is fine. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#timer?.cancel();
    for (const topic of this.#topics) topic.leave(this);
    try {
      this.#controller?.close();
    } catch {
      // The client has gone.
    }
    this.#order.host.ended(this);
  }

  #flush(): void {
    const first = [...this.#pending].sort(([a], [b]) => a.number - b.number);
    for (const [topic, kind] of first) {
      if (this.#hasEnded || (this.#controller?.desiredSize ?? 0) <= 0) return;
      this.#pending.delete(topic);
      const id = kind === "same" ? "" : `id: ${this.#order.mark}-${topic.number}\n`;
      const data = kind === "same" ? topic.unchanged : topic.data;
      this.#controller?.enqueue(encode(`event: update\n${id}data: ${data}\n\n`));
    }
  }

  #tickLater(): void {
    this.#timer = this.#clock.setTimer(TICK_MS, () => void this.#tick(), true);
  }

  /** Proxies close a connection on which nothing comes; and credentials may have expired. */
  async #tick(): Promise<void> {
    const isLate = (this.#controller?.desiredSize ?? 0) <= 0;
    this.#lateTicks = isLate ? this.#lateTicks + 1 : 0;
    const mayGoOn = this.#lateTicks < MOST_LATE_TICKS && (await this.#order.host.mayGoOn(this));
    if (this.#hasEnded) return;
    if (!mayGoOn) {
      this.end();
      return;
    }
    if (!isLate) this.#controller?.enqueue(encode(": still here\n\n"));
    this.#tickLater();
  }
}

/** What a stream begins with. */
export interface StreamOrder {
  readonly host: StreamHost;
  /** Stands before the number in each id. */
  readonly mark: string;
  /** The number of the last change that the client has; 0 for none. */
  readonly afterNumber: number;
  readonly greeting: string;
}

/** Where streams are kept. */
export interface StreamHost {
  /** The stream has ended. */
  ended(stream: LiveStream): void;
  /** Whether the one who asked for the stream may still see what they saw. Never rejects. */
  mayGoOn(stream: LiveStream): Promise<boolean>;
}

const TICK_MS = 15_000;

/** A client that takes nothing for a minute is gone. */
const MOST_LATE_TICKS = 4;

function encode(text: string): Uint8Array {
  return Buffer.from(text);
}
