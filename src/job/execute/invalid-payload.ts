import { HowdahError } from "../../errors.ts";
import { checkPayload } from "../payload.ts";
import type { PayloadSchema } from "../schema.ts";

/** The payload of a job cannot be handed to its handler, which no further attempt would change. */
export class InvalidPayload extends HowdahError {
  readonly #isOfThisJob = true;

  constructor(message: string) {
    super("HOWDAH_PAYLOAD_INVALID", message);
  }

  /** Whether `thrown` is such an error: one that a handler got for a job that it adds is not. Never throws. */
  static is(thrown: unknown): thrown is InvalidPayload {
    return typeof thrown === "object" && thrown !== null && #isOfThisJob in thrown && thrown.#isOfThisJob;
  }
}

/**
 * What the handler is given for a payload. Rejects with {@link InvalidPayload}
 * when it does not fit, and with another `HOWDAH_PAYLOAD_INVALID` when the
 * schema itself failed.
 */
export async function toInput(
  schema: PayloadSchema<unknown, unknown> | undefined,
  payload: unknown,
  at?: string,
): Promise<unknown> {
  if (!schema) return payload;
  const checked = await checkPayload(schema, payload, at);
  if (checked.problem === undefined) return checked.value;
  throw new InvalidPayload(checked.problem);
}
