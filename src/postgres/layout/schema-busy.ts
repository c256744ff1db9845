import { HowdahError } from "../../errors.ts";
import type { Schema } from "../schema.ts";

/** The error for a schema whose tables others keep locked. */
export function schemaBusy(schema: Schema, cause?: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_BUSY",
    `The tables of schema ${schema.quoted} stay locked by other transactions, so that it could not be changed. ` +
      "In pg_stat_activity, look for sessions that are `idle in transaction`; then run this again, it goes on from where it was.",
    cause,
  );
}
