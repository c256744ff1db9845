import { HowdahError, isHowdahError } from "../errors.ts";
import type { Schema } from "../postgres/schema.ts";
import { isConnectionLoss, sqlStateOf } from "../postgres/sqlstate.ts";

/** Objects that a migrated schema has and that were not found. */
const MISSING_STATES = new Set(["3F000", "42P01", "42883"]);

/**
 * Gives an error of PostgreSQL that users can act on a code of ours, with the
 * original as its cause; returns any other error as it is.
 */
export function toHowdahError(error: unknown, schema: Schema): unknown {
  if (isHowdahError(error)) return error;
  const state = sqlStateOf(error);
  if (state === undefined) return error;
  const said = error instanceof Error ? error.message : String(error);
  // A trigger of a user may miss something of its own.
  if (MISSING_STATES.has(state) && said.includes(schema.name))
    return new HowdahError(
      "HOWDAH_SCHEMA_MISSING",
      `Schema ${schema.quoted} lacks something that Howdah needs (${said}): migrate it.`,
      error,
    );
  if (state === "42501")
    return new HowdahError(
      "HOWDAH_DATABASE_FORBIDDEN",
      `The database role may not do this in schema ${schema.quoted} (${said}): see the guide on database roles.`,
      error,
    );
  if (state === "57014")
    return new HowdahError("HOWDAH_QUERY_TIMEOUT", `The server ended the statement, and undid it: ${said}`, error);
  if (isConnectionLoss(error))
    return new HowdahError("HOWDAH_CONNECTION_LOST", `The connection to the database ended: ${said}`, error);
  return error;
}
