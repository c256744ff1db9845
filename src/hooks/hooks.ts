import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import type { WorkerMetrics } from "../job/worker-metrics.ts";
import { systemClock, type Clock } from "../runtime/clock.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import type { HookEmitter, HookName, Interceptor, Observer } from "./emitter.ts";
import { EVENT_NAMES, type EventName, type Events } from "./events.ts";
import { intercept } from "./interception.ts";
import { INTERCEPTOR_NAMES, type InterceptorName, type Interceptors } from "./interceptors.ts";
import { withinDepth } from "./nesting.ts";

/** Registers observers and interceptors of a worker or client. */
export interface Hooks {
  /**
   * Calls `handler` at each event of that name, in the order of registration,
   * until the returned function is called. An error of an observer is logged
   * the first time and changes nothing; an error of an interceptor fails the
   * add or the attempt. Throws `HOWDAH_OPTION_UNKNOWN` for a name that does not
   * exist.
   */
  on<Name extends EventName>(name: Name, handler: Observer<Name>): () => void;
  // One overload each: with a type parameter the compiler would accept `{ action: "skip" }` as any action.
  /** Calls `handler` before a job runs. */
  on(name: "beforeJobRun", handler: Interceptor<"beforeJobRun">): () => void;
  /** Calls `handler` when the handler of a job has ended, before its outcome is written. */
  on(name: "afterJobRun", handler: Interceptor<"afterJobRun">): () => void;
  /** Calls `handler` before a job is stored. */
  on(name: "beforeJobSchedule", handler: Interceptor<"beforeJobSchedule">): () => void;
  /** Calls `handler` before a job is returned that was taken from its worker. */
  on(name: "jobRecovery", handler: Interceptor<"jobRecovery">): () => void;
  /**
   * The client of the worker, or the client, that these hooks belong to. It is
   * there from `workerInit` on, or when `createClient` has resolved; asking
   * before throws `HOWDAH_HOOKS_UNAVAILABLE`, while a plugin registers for
   * instance. Once the worker has stopped, its methods reject with
   * `HOWDAH_CLIENT_CLOSED`.
   */
  readonly client: Client;
  /**
   * How the worker is doing at this moment, at no cost: what `worker.metrics()`
   * returns. Throws `HOWDAH_HOOKS_UNAVAILABLE` before `workerInit`, and where
   * the hooks are those of a client that is not part of a worker.
   */
  metrics(): WorkerMetrics;
}

/** The hooks of one worker or client, with their inner side. */
export interface InnerHooks extends Hooks, HookEmitter {
  /** From now on plugins reach this client, and the worker that it is part of. */
  attach(client: Client, worker?: Metered): void;
}

/** A worker, as its hooks see it. */
export interface Metered {
  metrics(): WorkerMetrics;
}

/** Options of {@link createHooks}. */
export interface HooksOptions {
  readonly logger: Logger;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** How long an interceptor may take to answer. Default 5 s. */
  readonly interceptorTimeoutMs?: number;
}

interface Registration {
  readonly name: HookName;
  readonly handler: (event: never) => unknown;
  /** Whether its failure has been logged: only the first one is. */
  reported: boolean;
}

/** Creates the hooks of one worker or client. */
export function createHooks(options: HooksOptions): InnerHooks {
  return new RegisteredHooks(options);
}

class RegisteredHooks implements InnerHooks {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #interceptorTimeoutMs: number;
  /** The lists are replaced, never changed, so that handlers may be added and removed while they are read. */
  readonly #registered = new Map<HookName, readonly Registration[]>();
  readonly #running = new Set<Promise<void>>();
  #client: Client | undefined;
  #worker: Metered | undefined;

  constructor({ logger, clock = systemClock, interceptorTimeoutMs = 5_000 }: HooksOptions) {
    this.#logger = logger;
    this.#clock = clock;
    this.#interceptorTimeoutMs = interceptorTimeoutMs;
  }

  on(name: HookName, handler: (event: never) => unknown): () => void {
    checkName(name);
    checkHandler(name, handler);
    const registration: Registration = { name, handler, reported: false };
    this.#registered.set(name, [...(this.#registered.get(name) ?? []), registration]);
    return () => this.#remove(registration);
  }

  attach(client: Client, worker?: Metered): void {
    this.#client = client;
    this.#worker = worker;
  }

  get client(): Client {
    if (this.#client) return this.#client;
    throw unavailable("`hooks.client` was asked for too early: a plugin may use it from the event `workerInit` on.");
  }

  metrics(): WorkerMetrics {
    if (this.#worker) return this.#worker.metrics();
    throw unavailable(
      this.#client
        ? "`hooks.metrics()` was called on the hooks of a client: only those of a worker have metrics."
        : "`hooks.metrics()` was called too early: a plugin may call it from the event `workerInit` on.",
    );
  }

  has(name: HookName): boolean {
    return this.#registered.has(name);
  }

  emit<Name extends EventName>(name: Name, event: Events[Name]): void {
    const observers = this.#registered.get(name);
    if (observers === undefined) return;
    for (const observer of observers) this.#call(observer, event);
  }

  async decide<Name extends InterceptorName>(
    name: Name,
    event: Interceptors[Name]["event"],
  ): Promise<Interceptors[Name]["decision"] | undefined> {
    const registered = this.#registered.get(name);
    if (registered === undefined) return undefined;
    const handlers = registered.map(({ handler }) => handler);
    const asked = { name, handlers, clock: this.#clock, timeoutMs: this.#interceptorTimeoutMs };
    const ask = () => intercept(asked, event);
    // Every property has been checked against the interceptor's own table.
    return (await (name === "beforeJobSchedule" ? withinDepth(ask) : ask())) as
      Interceptors[Name]["decision"] | undefined;
  }

  async settle(limitMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    const ended = new AbortController();
    const running = Promise.all(this.#running).then(() => ended.abort());
    await this.#clock.sleep(limitMs, ended.signal);
    if (!ended.signal.aborted) this.#warnOfSlow(limitMs);
    else await running;
  }

  #remove(registration: Registration): void {
    const left = (this.#registered.get(registration.name) ?? []).filter((other) => other !== registration);
    if (left.length > 0) this.#registered.set(registration.name, left);
    else this.#registered.delete(registration.name);
  }

  #call(observer: Registration, event: Events[EventName]): void {
    try {
      const answer = observer.handler(event as never);
      if (answer !== undefined) this.#follow(observer, answer);
    } catch (error) {
      this.#report(observer, error);
    }
  }

  /** Keeps an asynchronous handler until it has ended. */
  #follow(observer: Registration, answer: unknown): void {
    const running = Promise.resolve(answer)
      .catch((error: unknown) => this.#report(observer, error))
      .then(() => {
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  #report(observer: Registration, error: unknown): void {
    if (observer.reported) return;
    observer.reported = true;
    try {
      this.#logger.error("A hook handler failed; it is called again, but not reported again", {
        event: observer.name,
        error: errorMessage(error),
      });
    } catch {
      // A logger that fails cannot be reported, and must not harm the worker.
    }
  }

  #warnOfSlow(limitMs: number): void {
    try {
      this.#logger.warn("Hook handlers are still running; the worker does not wait for them any longer", {
        handlers: this.#running.size,
        limitMs,
      });
    } catch {
      // As above.
    }
  }
}

/** The names of all hooks: every event, and every interceptor. */
const HOOK_NAMES: readonly HookName[] = [...EVENT_NAMES, ...INTERCEPTOR_NAMES];

function checkName(name: string): void {
  if ((HOOK_NAMES as readonly string[]).includes(name)) return;
  throw new HowdahError("HOWDAH_OPTION_UNKNOWN", `Unknown hook \`${name}\`${didYouMean(name, HOOK_NAMES)}`);
}

function checkHandler(name: HookName, handler: unknown): void {
  if (typeof handler === "function") return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `The handler of hook \`${name}\` must be a function, found ${describeValue(handler)}.`,
  );
}

function unavailable(message: string): HowdahError {
  return new HowdahError("HOWDAH_HOOKS_UNAVAILABLE", message);
}
