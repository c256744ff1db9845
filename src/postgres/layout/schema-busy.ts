import { HowdahError } from "../../errors.ts";
import type { Schema } from "../schema.ts";
import { causesOf, isLocked, sqlStateOf } from "../sqlstate.ts";

/** The error for a schema whose tables others keep locked. */
export function schemaBusy(schema: Schema, cause?: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_SCHEMA_BUSY",
    `The tables of schema ${schema.quoted} stay locked by other transactions, so that it could not be changed. ` +
      "In pg_stat_activity, look for sessions that are `idle in transaction`; then run this again, it goes on from where it was.",
    cause,
  );
}

/**
 * What is thrown instead of an error that has kept a layout from being changed:
 * `HOWDAH_SCHEMA_BUSY` when tables stay locked, or when an object of the user's depends on a column
 * that is about to be dropped; the error itself otherwise.
 */
export function whyUnchanged(schema: Schema, error: unknown): unknown {
  if (isLocked(error)) return schemaBusy(schema, error);
  if (sqlStateOf(error) !== DEPENDED_ON) return error;
  const details = causesOf(error).flatMap((cause) => ("detail" in cause ? String(cause.detail) : []));
  return new HowdahError(
    "HOWDAH_SCHEMA_BUSY",
    `Schema ${schema.quoted} was not changed: something that Howdah did not make depends on what would be dropped` +
      `${details.length === 0 ? "" : ` (${details[0]?.replaceAll("\n", "; ")})`}. Drop that, run this again, and make it anew.`,
    error,
  );
}

/** The SQLSTATE of an object that cannot be dropped because of another one. */
const DEPENDED_ON = "2BP01";
