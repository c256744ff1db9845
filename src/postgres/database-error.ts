import { HowdahError, isHowdahError } from "../errors.ts";
import { hintFor } from "./hints.ts";
import { poolerError } from "./pooler.ts";
import { raisedElsewhere } from "./raised-in.ts";
import type { Schema } from "./schema.ts";
import { isConnectionLoss, isTransient, sqlStateOf } from "./sqlstate.ts";
import { ownMessage } from "../runtime/error-message.ts";

/**
 * Gives whatever was thrown a code of ours, with itself as its cause: all that
 * leaves the public interface went through here. An error of Howdah comes back
 * as it is.
 */
export function toHowdahError(error: unknown, schema: Schema): HowdahError {
  if (isHowdahError(error)) return error;
  const said = ownMessage(error);
  const state = sqlStateOf(error);
  if (state !== undefined) return poolerError(error) ?? ofServer(error, { state, said, schema });
  if (isConnectionLoss(error)) return lost(error, said);
  if (isTransient(error))
    return new HowdahError("HOWDAH_DATABASE_UNREACHABLE", `The database could not be reached: ${said}`, error);
  return new HowdahError("HOWDAH_UNEXPECTED", `Failed in a way that Howdah does not know: ${said}`, error);
}

/** Runs `work`, and gives what it throws a code of ours. */
export async function withHowdahErrors<T>(schema: Schema, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toHowdahError(error, schema);
  }
}

interface Said {
  readonly state: string;
  readonly said: string;
  readonly schema: Schema;
}

function ofServer(error: unknown, { state, said, schema }: Said): HowdahError {
  if (state === "57014")
    return new HowdahError("HOWDAH_QUERY_TIMEOUT", `The server ended the statement, and undid it: ${said}`, error);
  if (isConnectionLoss(error)) return lost(error, said);
  const elsewhere = raisedElsewhere(error, schema);
  if (elsewhere !== undefined)
    return new HowdahError(
      "HOWDAH_DATABASE_ERROR",
      `PostgreSQL refused the statement: ${said} (SQLSTATE ${state}). It was not Howdah that raised this but ${elsewhere}: ` +
        `look at the triggers and foreign keys on the tables of schema ${schema.quoted}.`,
      error,
    );
  if (MISSING_STATES.has(state))
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
  const hint = hintFor(state);
  const text = `PostgreSQL refused the statement: ${said} (SQLSTATE ${state}).${hint ? ` ${hint}` : ""}`;
  return new HowdahError("HOWDAH_DATABASE_ERROR", text, error);
}

function lost(error: unknown, said: string): HowdahError {
  return new HowdahError("HOWDAH_CONNECTION_LOST", `The connection to the database ended: ${said}`, error);
}

/** Objects that a migrated schema has and that were not found. */
const MISSING_STATES = new Set(["3F000", "42P01", "42883"]);
