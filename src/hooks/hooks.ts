import { HowdahError } from "../errors.ts";
import { systemClock, type Clock } from "../runtime/clock.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import { EVENT_NAMES, type EventName, type Events } from "./events.ts";

/** What a handler of one event looks like. Nobody waits for the promise it may return. */
export type HookHandler<Name extends EventName> = (event: Events[Name]) => void | Promise<void>;

/** Where to be told of what a worker does. */
export interface Hooks {
  /**
   * Calls `handler` at each event of that name, in the order of registration,
   * until the function that is returned is called. What a handler throws is
   * logged the first time and changes nothing. Throws `HOWDAH_OPTION_UNKNOWN`
   * for an event that does not exist.
   */
  on<Name extends EventName>(name: Name, handler: HookHandler<Name>): () => void;
}

/** The inner side of {@link Hooks}: where events come from. */
export interface HookEmitter extends Hooks {
  /** Whether anybody listens. Ask before an event is built that costs something. */
  has(name: EventName): boolean;
  /** Tells everybody who listens. Never throws, and waits for nobody. */
  emit<Name extends EventName>(name: Name, event: Events[Name]): void;
  /**
   * Resolves when every handler has ended that was called until then, or after
   * `limitMs` with a warning. Never rejects.
   */
  settle(limitMs: number): Promise<void>;
}

interface Observer {
  readonly name: EventName;
  readonly handler: (event: never) => unknown;
  /** Its failure has been logged; the next thousand would say the same. */
  reported: boolean;
}

/** Creates the hooks of one worker. */
export function createHooks(options: { readonly logger: Logger; readonly clock?: Clock }): HookEmitter {
  return new ObserverHooks(options.logger, options.clock ?? systemClock);
}

class ObserverHooks implements HookEmitter {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** The lists are replaced, never changed, so that a handler may come or go while they are read. */
  readonly #observers = new Map<EventName, readonly Observer[]>();
  readonly #running = new Set<Promise<void>>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  on<Name extends EventName>(name: Name, handler: HookHandler<Name>): () => void {
    checkName(name);
    checkHandler(name, handler);
    const observer: Observer = { name, handler, reported: false };
    this.#observers.set(name, [...(this.#observers.get(name) ?? []), observer]);
    return () => this.#remove(observer);
  }

  has(name: EventName): boolean {
    return this.#observers.has(name);
  }

  emit<Name extends EventName>(name: Name, event: Events[Name]): void {
    const observers = this.#observers.get(name);
    if (observers === undefined) return;
    for (const observer of observers) this.#call(observer, event);
  }

  async settle(limitMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    const ended = new AbortController();
    const running = Promise.all(this.#running).then(() => ended.abort());
    await this.#clock.sleep(limitMs, ended.signal);
    if (!ended.signal.aborted) this.#warnOfSlow(limitMs);
    else await running;
  }

  #remove(observer: Observer): void {
    const left = (this.#observers.get(observer.name) ?? []).filter((other) => other !== observer);
    if (left.length > 0) this.#observers.set(observer.name, left);
    else this.#observers.delete(observer.name);
  }

  #call(observer: Observer, event: Events[EventName]): void {
    try {
      const answer = observer.handler(event as never);
      if (answer !== undefined) this.#follow(observer, answer);
    } catch (error) {
      this.#report(observer, error);
    }
  }

  /** Keeps an asynchronous handler until it has ended. */
  #follow(observer: Observer, answer: unknown): void {
    const running = Promise.resolve(answer)
      .catch((error: unknown) => this.#report(observer, error))
      .then(() => {
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  #report(observer: Observer, error: unknown): void {
    if (observer.reported) return;
    observer.reported = true;
    try {
      this.#logger.error("A hook handler failed; it is called again, but not reported again", {
        event: observer.name,
        error: errorMessage(error),
      });
    } catch {
      // A logger that fails has nobody left to tell, and must not harm the worker.
    }
  }

  #warnOfSlow(limitMs: number): void {
    try {
      this.#logger.warning("Hook handlers are still running and are left alone", {
        handlers: this.#running.size,
        limitMs,
      });
    } catch {
      // As above.
    }
  }
}

function checkName(name: string): void {
  if ((EVENT_NAMES as readonly string[]).includes(name)) return;
  throw new HowdahError("HOWDAH_OPTION_UNKNOWN", `Unknown event \`${name}\`${didYouMean(name, EVENT_NAMES)}`);
}

function checkHandler(name: EventName, handler: unknown): void {
  if (typeof handler === "function") return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `The handler of event \`${name}\` must be a function, found ${describeValue(handler)}.`,
  );
}
