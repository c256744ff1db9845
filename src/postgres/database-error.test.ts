import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { createSchema } from "./schema.ts";
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

  it.each([
    [sqlError("23505"), "HOWDAH_DATABASE_ERROR", "PostgreSQL refused the statement: said the server (SQLSTATE 23505)."],
    [sqlError("25006"), "HOWDAH_DATABASE_ERROR", "connect to the primary"],
    [sqlError("42P05"), "HOWDAH_TRANSACTION_POOLER", "set `preparedStatements: false`"],
    [sqlError("26000"), "HOWDAH_TRANSACTION_POOLER", "`listenConnectionString`"],
    [new TypeError("x is not a function"), "HOWDAH_UNEXPECTED", "x is not a function"],
    ["text", "HOWDAH_UNEXPECTED", "text"],
  ])("that has no code of ours of its own, %s, has %s and says what there is to say", (cause, code, text) => {
    const error = toHowdahError(cause, schema);
    expect(error).toMatchObject({ code, cause });
    expect(error.message).toContain(text);
  });

  it("of Howdah stays as it is", () => {
    const error = new HowdahError("HOWDAH_QUERY_TIMEOUT", "late");
    expect(toHowdahError(error, schema)).toBe(error);
  });

  const OURS = [
    undefined,
    "PL/pgSQL function howdah._howdah_add_keyed_jobs_v1(howdah.job_spec[]) line 3 at RETURN QUERY",
    'SQL statement "insert into\nhowdah.x"\nPL/pgSQL function howdah.add_job(text,json) line 3 at RETURN QUERY',
    "PL/pgSQL function add_job(text,json) line 3 at RETURN QUERY",
    'SQL function "complete_jobs" statement 1',
    "PL/pgSQL function inline_code_block line 3 at SQL statement",
    'PL/pgSQL expression "exists (select from "howdah"._howdah_rules)"\nPL/pgSQL function howdah._howdah_x(text) line 3 at IF',
    'PL/pgSQL assignment "found := (select\n1 from howdah.x)"\nPL/pgSQL function howdah._howdah_x(text) line 3 at assignment',
    "PL/pgSQL-Ausdruck \u00bbexists (select from howdah.x)\u00ab\nPL/pgSQL-Funktion howdah._howdah_x(text) Zeile 3 bei IF",
    "PL/pgSQL-Funktion howdah._howdah_x(text) Zeile 3 bei SQL-Anweisung",
  ];
  const THEIRS = [
    "PL/pgSQL function audit() line 3 at SQL statement",
    'SQL statement "insert into nowhere"\nPL/pgSQL function public.audit() line 3 at SQL statement\nSQL statement "insert into howdah.x"\nPL/pgSQL function howdah._howdah_add_keyed_jobs_v1(howdah.job_spec[]) line 3',
    'PL/pgSQL expression "exists (select from nowhere)"\nPL/pgSQL function audit() line 3 at IF',
    'PL/pgSQL function "my app".audit() line 3 at PERFORM',
    'PL/pgSQL function app."My audit"() line 3 at PERFORM',
    "PL/pgSQL function app.add_job(text) line 3 at PERFORM",
    "PL/v8 function audit() line 3",
    'SQL function "of_mine" statement 1',
    'SQL statement "DELETE FROM ONLY app.child WHERE $1 = parent"',
  ];
  it.each(["42P01", "42883", "42501", "3F000"])("with the state %s is ours only when we raised it", (state) => {
    const codeAt = (where: string | undefined) => toHowdahError(Object.assign(sqlError(state), { where }), schema).code;
    const ours = state === "42501" ? "HOWDAH_DATABASE_FORBIDDEN" : "HOWDAH_SCHEMA_MISSING";
    expect(OURS.map(codeAt)).toEqual(OURS.map(() => ours));
    expect(THEIRS.map(codeAt)).toEqual(THEIRS.map(() => "HOWDAH_DATABASE_ERROR"));
  });
});
