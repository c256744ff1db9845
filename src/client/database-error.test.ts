import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { createSchema } from "../postgres/schema.ts";
import { toHowdahError } from "./database-error.ts";

const schema = createSchema("howdah");

function sqlError(code: string): Error {
  return Object.assign(new Error("said the server"), { code, severity: "ERROR" });
}

describe("an error of the database", () => {
  it.each([
    ["42P01", "HOWDAH_SCHEMA_MISSING"],
    ["42501", "HOWDAH_DATABASE_FORBIDDEN"],
    ["57014", "HOWDAH_QUERY_TIMEOUT"],
    ["57P01", "HOWDAH_CONNECTION_LOST"],
    ["08006", "HOWDAH_CONNECTION_LOST"],
  ])("with the state %s has the code %s, what the server said, and its cause", (state, code) => {
    const cause = sqlError(state);
    const error = toHowdahError(cause, schema);
    expect(error).toMatchObject({ code, cause });
    expect((error as Error).message).toContain("said the server");
  });

  it.each([sqlError("23505"), new HowdahError("HOWDAH_QUERY_TIMEOUT", "late"), new Error("other")])(
    "that says enough stays as it is: %s",
    (error) => expect(toHowdahError(error, schema)).toBe(error),
  );
});
