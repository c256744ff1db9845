import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import {
  isChangedResult,
  isConnectionLoss,
  isConnectionSuspect,
  isLocked,
  isRefused,
  isSessionOver,
  isStalePlan,
  isTransient,
  isUnknownOutcome,
  sqlStateOf,
} from "./sqlstate.ts";

function failure(properties: object, message = "it failed"): Error {
  return Object.assign(new Error(message), properties);
}

const state = (code: string): Error => failure({ code, severity: "ERROR" });

describe("sqlStateOf", () => {
  it("reads the code of an error of the server", () => {
    expect(sqlStateOf(state("23505"))).toBe("23505");
    expect(sqlStateOf(state("GWBKM"))).toBe("GWBKM");
  });

  it("reads it through the errors that wrap it", () => {
    const wrapped = new Error("query failed", { cause: new Error("again", { cause: state("40001") }) });
    expect(sqlStateOf(wrapped)).toBe("40001");
    expect(sqlStateOf(new HowdahError("HOWDAH_CONNECTION_LOST", "lost", state("57P01")))).toBe("57P01");
  });

  it("does not take the code of a system error for one, though some look alike", () => {
    expect(sqlStateOf(failure({ code: "EPIPE", errno: -32, syscall: "write" }))).toBeUndefined();
    expect(sqlStateOf(failure({ code: "EPERM", errno: -1 }))).toBeUndefined();
  });

  it("gives nothing for what has no code, and ends on a circle of causes", () => {
    const circle = new Error("circle");
    circle.cause = circle;
    for (const thrown of [circle, new Error("plain"), "text", null, undefined, 7, { code: 23505 }]) {
      expect(sqlStateOf(thrown)).toBeUndefined();
      expect(isTransient(thrown)).toBe(false);
      expect(isConnectionSuspect(thrown)).toBe(false);
      expect(isSessionOver(thrown)).toBe(false);
    }
  });
});

describe("what was refused", () => {
  it("is what the server itself says it has not done, through the errors that wrap it", () => {
    for (const code of ["22P05", "23505", "P0001", "40P01", "55P03", "57014", "53300", "25006", "99999"])
      expect(isRefused(state(code))).toBe(true);
    expect(isRefused(new HowdahError("HOWDAH_QUERY_TIMEOUT", "ended by the server", state("57014")))).toBe(true);
  });

  it("is nothing that may have been carried out, and nothing that the server has not spoken of", () => {
    const panic = failure({ code: "XX000", severity: "PANIC" });
    const unanswered = new HowdahError("HOWDAH_QUERY_TIMEOUT", "no answer");
    for (const thrown of [state("57P01"), state("08006"), state("40003"), panic, unanswered, new TypeError("x"), null])
      expect(isRefused(thrown)).toBe(false);
    expect(isRefused(failure({ code: "ECONNREFUSED", syscall: "connect" }))).toBe(false);
  });
});

describe("what may have been carried out", () => {
  it("is every unknown error: a statement is certain to have failed only when the error says so", () => {
    for (const thrown of [
      new TypeError("x is not a function"),
      "text",
      null,
      undefined,
      failure({ code: "EUNHEARDOF" }),
    ]) {
      expect(isUnknownOutcome(thrown)).toBe(true);
      expect(isConnectionLoss(thrown)).toBe(false);
    }
  });

  it("is not what an error of ours says that comes before anything is sent", () => {
    expect(isUnknownOutcome(new HowdahError("HOWDAH_CLIENT_CLOSED", "closed"))).toBe(false);
    expect(isUnknownOutcome(new HowdahError("HOWDAH_TRANSACTION_ENDED", "ended"))).toBe(false);
  });

  it.each(["53100", "58030", "XX000"])(
    "is what the server was at when it panicked (%s), in whatever language, but not when it merely failed",
    (code) => {
      for (const severity of ["PANIC", "PANIK", "ПАНИКА"])
        expect(isUnknownOutcome(failure({ code, severity }))).toBe(true);
      for (const severity of ["ERROR", undefined]) expect(isUnknownOutcome(failure({ code, severity }))).toBe(false);
    },
  );
});

interface Verdict {
  readonly transient: boolean;
  readonly unknown: boolean;
  readonly over: boolean;
}

const AGAIN: Verdict = { transient: true, unknown: false, over: false };
const ELSEWHERE: Verdict = { transient: true, unknown: false, over: true };
const UNKNOWN: Verdict = { transient: true, unknown: true, over: true };
const NEVER: Verdict = { transient: false, unknown: false, over: false };

function verdictOf(error: unknown): Verdict {
  return { transient: isTransient(error), unknown: isUnknownOutcome(error), over: isSessionOver(error) };
}

describe("which errors of the server may be tried again, which may have been carried out, which end the session", () => {
  it.each<[string, string, Verdict]>([
    ["08000", "connection exception", UNKNOWN],
    ["08001", "could not connect", ELSEWHERE],
    ["08003", "no connection", UNKNOWN],
    ["08004", "turned away", ELSEWHERE],
    ["08006", "connection failure", UNKNOWN],
    ["08007", "transaction resolution unknown", UNKNOWN],
    ["08P01", "a pooler lost its server", UNKNOWN],
    ["22021", "a character that cannot be stored", NEVER],
    ["23505", "constraint", NEVER],
    ["25006", "read-only: a standby, or a primary of before", ELSEWHERE],
    ["25P02", "statement in a failed transaction", NEVER],
    ["25P03", "idle in transaction", ELSEWHERE],
    ["25P04", "transaction timeout", ELSEWHERE],
    ["26000", "prepared statement is gone", ELSEWHERE],
    ["28000", "role is refused", NEVER],
    ["28P01", "wrong password", NEVER],
    ["3D000", "no such database", NEVER],
    ["3F000", "no such schema", NEVER],
    ["40001", "serialization failure", AGAIN],
    ["40003", "completion unknown to the server", UNKNOWN],
    ["40P01", "deadlock", AGAIN],
    ["42501", "no right", NEVER],
    ["42P01", "missing table", NEVER],
    ["42P05", "prepared statement is there already", ELSEWHERE],
    ["53100", "disk full", AGAIN],
    ["53200", "out of memory", AGAIN],
    ["53300", "too many connections", AGAIN],
    ["53400", "limit of the configuration", AGAIN],
    ["54001", "statement too complex", NEVER],
    ["55P03", "lock timeout", AGAIN],
    ["57014", "statement timeout, or cancelled", AGAIN],
    ["57P01", "session ended by an administrator", UNKNOWN],
    ["57P02", "server crashed", UNKNOWN],
    ["57P03", "server starting or stopping", ELSEWHERE],
    ["57P04", "database dropped", UNKNOWN],
    ["57P05", "idle session", ELSEWHERE],
    ["58030", "input or output failed", AGAIN],
    ["P0001", "raised by a trigger", NEVER],
    ["XX000", "internal error", AGAIN],
    ["XX001", "corrupted data", NEVER],
  ])("%s %s", (code, _, expected) => {
    expect(verdictOf(state(code))).toEqual(expected);
  });
});

describe("which errors of connections may be tried again, which may have been carried out, which end the session", () => {
  it.each<[string, unknown, Verdict]>([
    ["refused", failure({ code: "ECONNREFUSED", errno: -111, syscall: "connect" }), AGAIN],
    ["no such host", failure({ code: "ENOTFOUND", errno: -3008 }), AGAIN],
    ["reset", failure({ code: "ECONNRESET", errno: -104, syscall: "read" }), UNKNOWN],
    ["closed, says postgres.js", failure({ code: "CONNECTION_CLOSED" }), UNKNOWN],
    ["closed, says pg", new Error("Connection terminated unexpectedly"), UNKNOWN],
    [
      "used after it was closed, says pg",
      new Error("Client has encountered a connection error and is not queryable"),
      UNKNOWN,
    ],
    ["timed out in a pool with a query_timeout", new Error("Query read timeout"), UNKNOWN],
    ["lost, says the driver", new HowdahError("HOWDAH_CONNECTION_LOST", "lost"), UNKNOWN],
    ["timed out here", new HowdahError("HOWDAH_QUERY_TIMEOUT", "late"), UNKNOWN],
    [
      "never connected",
      new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "away", failure({ code: "ECONNRESET", errno: -104 })),
      AGAIN,
    ],
    ["bad option", new HowdahError("HOWDAH_OPTION_INVALID", "bad"), NEVER],
  ])("%s", (_, error, expected) => {
    expect(verdictOf(error)).toEqual(expected);
  });
});

it("says that another session is in the way for lock timeouts, deadlocks and serialization failures only", () => {
  const locked = ["55P03", "40P01", "40001"];
  expect(locked.filter((code) => isLocked(state(code)))).toEqual(locked);
  expect(["40003", "57014", "55006", "40000"].filter((code) => isLocked(state(code)))).toEqual([]);
});

it("suspects the connection where another role, server or transaction state would explain the error, only", () => {
  const suspicious = ["25001", "25P01", "25P02", "42501", "42P01", "42883"];
  expect(suspicious.filter((code) => isConnectionSuspect(state(code)))).toEqual(suspicious);
  expect(["P0001", "23505", "42601", "40001", "53200"].filter((code) => isConnectionSuspect(state(code)))).toEqual([]);
});

describe("a stale plan", () => {
  it("may be the reason when something that a statement names is not there, or of another type", () => {
    for (const code of ["42703", "42704", "42804", "42883", "42P01", "XX000"])
      expect(isStalePlan(state(code))).toBe(true);
  });

  it("is not when a right is missing, the session is no good, or a row is at fault", () => {
    for (const code of ["42501", "42P05", "23505", "P0001", "40001", "57014"])
      expect(isStalePlan(state(code))).toBe(false);
    expect(isStalePlan(new Error("plain"))).toBe(false);
  });

  it("is told from whatever else is not supported by what the server says of where it was raised", () => {
    const raised = (routine: string) => Object.assign(state("0A000"), { routine });
    for (const isIt of [isStalePlan, isChangedResult]) {
      expect(isIt(raised("RevalidateCachedQuery"))).toBe(true);
      expect(isIt(raised("exec_stmt_raise"))).toBe(false);
      expect(isIt(state("0A000"))).toBe(false);
    }
    expect(isChangedResult(Object.assign(state("42703"), { routine: "RevalidateCachedQuery" }))).toBe(false);
  });
});
