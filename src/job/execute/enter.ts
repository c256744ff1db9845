import { HowdahError } from "../../errors.ts";
import { errorMessage } from "../../runtime/error-message.ts";

/**
 * Calls `run` from inside of `within`, and settles as `run` does, whatever
 * `within` makes of it. Rejects with `HOWDAH_HOOK_FAILED` when `within` throws,
 * and with `HOWDAH_HOOK_ANSWER_INVALID` when it does not call `run`.
 */
export async function enter<T>(within: <R>(run: () => R) => R, run: () => Promise<T>): Promise<T> {
  let entered: Promise<T> | undefined;
  let failure: unknown;
  let hasFailed = false;
  try {
    // Called a second time, it is the same run: no attempt is made twice.
    const returned: unknown = within(() => (entered ??= run()));
    // A promise that `within` made of it may reject as well, and nobody else looks at it.
    if (returned !== entered) void Promise.resolve(returned).catch(() => undefined);
  } catch (error) {
    hasFailed = true;
    failure = error;
  }
  if (hasFailed) {
    await entered?.catch(() => undefined);
    throw new HowdahError("HOWDAH_HOOK_FAILED", `What runs the handler failed: ${errorMessage(failure)}`, failure);
  }
  if (entered) return entered;
  throw new HowdahError(
    "HOWDAH_HOOK_ANSWER_INVALID",
    "`within`, as an interceptor of `beforeJobRun` answered it, did not call the function that it was given.",
  );
}
