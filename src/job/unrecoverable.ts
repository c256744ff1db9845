import { HowdahError } from "../errors.ts";
import { errorMessage } from "../runtime/error-message.ts";

/**
 * Wraps an error, or anything else, to be thrown by a handler: the job fails
 * for good, whatever attempts are left. What is wrapped is the `cause`; its
 * message is kept. The code is `HOWDAH_UNRECOVERABLE`.
 */
export function unrecoverable(error: unknown): HowdahError {
  const wrapped = new HowdahError("HOWDAH_UNRECOVERABLE", errorMessage(error), error);
  return Object.defineProperty(wrapped, UNRECOVERABLE, { value: true });
}

/** True for what {@link unrecoverable} made; not for errors that merely have such a cause. Never throws. */
export function isUnrecoverable(thrown: unknown): boolean {
  if (typeof thrown !== "object" || thrown === null) return false;
  try {
    return (thrown as { readonly [UNRECOVERABLE]?: unknown })[UNRECOVERABLE] === true;
  } catch {
    // A proxy of the handler's own.
    return false;
  }
}

/** Marks unrecoverable errors, also between two copies of this package. */
const UNRECOVERABLE: unique symbol = Symbol.for("howdah.unrecoverable");
