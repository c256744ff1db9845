import { HowdahError } from "../../errors.ts";
import { sqlStateOf } from "../../postgres/sqlstate.ts";

/** SQLSTATE: a trigger kept jobs from being stored, and the message says which. */
const DROPPED_STATE = "HWDRP";

/** True when a statement was refused because a trigger kept a job from being stored. */
export function isDropped(error: unknown): error is Error {
  return sqlStateOf(error) === DROPPED_STATE;
}

/** What an add rejects with whose job a trigger kept from being stored. */
export function jobDropped(message: string, cause?: unknown): HowdahError {
  return new HowdahError("HOWDAH_JOB_DROPPED", message, cause);
}
