import type { EventName, Events } from "./events.ts";
import type { InterceptorName, Interceptors } from "./interceptors.ts";

/** The inner side of `Hooks`: where events come from, and interceptors are asked. */
export interface HookEmitter {
  /** Whether there is a handler. Ask before an event is built that costs something. */
  has(name: HookName): boolean;
  /** Calls every observer. Never throws, and waits for none of them. */
  emit<Name extends EventName>(name: Name, event: Events[Name]): void;
  /**
   * Asks every interceptor, one after another, until one decides.
   * Resolves to that decision, to the sum of all `continue`, or to `undefined`.
   * Rejects with `HOWDAH_HOOK_FAILED`, `HOWDAH_HOOK_TIMEOUT` or
   * `HOWDAH_HOOK_ANSWER_INVALID`.
   */
  decide<Name extends InterceptorName>(
    name: Name,
    event: Interceptors[Name]["event"],
  ): Promise<Interceptors[Name]["decision"] | undefined>;
  /**
   * Resolves when every handler has ended that was called until then, or after
   * `limitMs` with a warning. Never rejects.
   */
  settle(limitMs: number): Promise<void>;
}

/** The name of a hook: of an event, which is told, or of an interceptor, which is asked. */
export type HookName = EventName | InterceptorName;

/** Receives an event. The promise that it may return is not waited for. */
export type Observer<Name extends EventName> = (event: Events[Name]) => void | Promise<void>;

/** Is asked, and waited for. Nothing at all as an answer changes nothing. */
export type Interceptor<Name extends InterceptorName> = (
  event: Interceptors[Name]["event"],
) => Answer<Name> | Promise<Answer<Name>>;

type Answer<Name extends InterceptorName> = Interceptors[Name]["decision"] | undefined | void;

/** The handler of every hook. */
export type HookHandlers = { [Name in EventName]: Observer<Name> } & { [Name in InterceptorName]: Interceptor<Name> };

/** What a handler of one hook looks like. */
export type HookHandler<Name extends HookName> = HookHandlers[Name];
