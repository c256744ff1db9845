import { HowdahError, isHowdahError } from "../errors.ts";
import type { Clock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { checkDecision, type CheckedDecision } from "./decision.ts";
import type { InterceptorName } from "./interceptors.ts";

/** The handlers of one interceptor and their time limit. */
export interface Interception {
  readonly name: InterceptorName;
  readonly handlers: readonly ((event: never) => unknown)[];
  readonly clock: Clock;
  /** How long one handler may take to answer. */
  readonly timeoutMs: number;
}

/**
 * Calls the handlers of an interceptor one after another, each with the changes
 * of those before it, until one of them decides. Resolves to the decision, or
 * to all changes. Rejects with `HOWDAH_HOOK_FAILED` when a handler throws,
 * `HOWDAH_HOOK_TIMEOUT` when it does not answer in time, and
 * `HOWDAH_HOOK_ANSWER_INVALID` when its answer is not a decision.
 */
export async function intercept(asked: Interception, event: object): Promise<CheckedDecision | undefined> {
  let seen = event;
  let changes: CheckedDecision | undefined;
  for (const handler of asked.handlers) {
    const decision = await ask(asked, handler, seen);
    if (decision === undefined) continue;
    if (decision.action !== "continue") return decision;
    seen = { ...seen, ...given({ payload: decision["payload"], spec: decision["spec"] }) };
    changes = changes ? merge(changes, decision) : decision;
  }
  return changes;
}

async function ask(
  { name, clock, timeoutMs }: Interception,
  handler: (event: never) => unknown,
  event: object,
): Promise<CheckedDecision | undefined> {
  try {
    const answer = handler(event as never);
    // A synchronous answer needs no timer.
    const given = isThenable(answer) ? await within(answer, { name, clock, timeoutMs }) : answer;
    return given === undefined ? undefined : checkDecision(name, given);
  } catch (error) {
    if (isHowdahError(error, "HOWDAH_HOOK_TIMEOUT") || isHowdahError(error, "HOWDAH_HOOK_ANSWER_INVALID")) throw error;
    throw new HowdahError("HOWDAH_HOOK_FAILED", `The interceptor \`${name}\` failed: ${errorMessage(error)}`, error);
  }
}

function within(answer: PromiseLike<unknown>, { name, clock, timeoutMs }: Omit<Interception, "handlers">) {
  return new Promise<unknown>((resolve, reject) => {
    const timer = clock.setTimer(timeoutMs, () =>
      reject(
        new HowdahError("HOWDAH_HOOK_TIMEOUT", `The interceptor \`${name}\` did not answer within ${timeoutMs} ms.`),
      ),
    );
    // A late answer has no effect.
    Promise.resolve(answer)
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}

/** Later changes win; the first handler's `within` is the outermost. */
function merge(before: CheckedDecision, after: CheckedDecision): CheckedDecision {
  const attach = { ...(before["attach"] as object | undefined), ...(after["attach"] as object | undefined) };
  return {
    ...before,
    ...given(after),
    action: "continue",
    ...(Object.keys(attach).length > 0 ? { attach } : {}),
    ...given({ within: nest(before["within"] as Wrap | undefined, after["within"] as Wrap | undefined) }),
  };
}

type Wrap = <T>(run: () => T) => T;

function nest(outer: Wrap | undefined, inner: Wrap | undefined): Wrap | undefined {
  if (!outer || !inner) return outer ?? inner;
  return (run) => outer(() => inner(run));
}

/** Without properties that are `undefined`, which change nothing. */
function given(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}
