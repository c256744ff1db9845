import { HowdahError } from "../../errors.ts";

/** So many connections in a row may be found as other code has left them. */
export const MAX_TRIES = 20;

/** The error of a pool that lends nothing else. */
export function allLeftOpen(): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_LEFT_OPEN",
    `Each of ${MAX_TRIES} connections came out of the pool inside of a transaction that other code has begun, ` +
      "or with the rights of another role. Nothing was done. Look for what leaves them so in this pool.",
  );
}
