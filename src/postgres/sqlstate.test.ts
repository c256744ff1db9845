import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { isDataError, isTransient, isUnknownOutcome, sqlStateOf } from "./sqlstate.ts";

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
      expect(isUnknownOutcome(thrown)).toBe(false);
      expect(isDataError(thrown)).toBe(false);
    }
  });
});

describe("which errors may be tried again, and which may have been carried out", () => {
  it.each<[string, unknown, { transient: boolean; unknown: boolean }]>([
    ["serialization failure", state("40001"), { transient: true, unknown: false }],
    ["deadlock", state("40P01"), { transient: true, unknown: false }],
    ["lock timeout", state("55P03"), { transient: true, unknown: false }],
    ["statement timeout of the server", state("57014"), { transient: true, unknown: false }],
    ["too many connections", state("53300"), { transient: true, unknown: false }],
    ["server starting", state("57P03"), { transient: true, unknown: false }],
    ["read-only standby", state("25006"), { transient: true, unknown: false }],
    ["completion unknown to the server", state("40003"), { transient: true, unknown: true }],
    ["connection failure", state("08006"), { transient: true, unknown: true }],
    ["could not connect", state("08001"), { transient: true, unknown: false }],
    ["server shut down", state("57P01"), { transient: true, unknown: true }],
    ["constraint", state("23505"), { transient: false, unknown: false }],
    ["missing table", state("42P01"), { transient: false, unknown: false }],
    ["wrong password", state("28P01"), { transient: false, unknown: false }],
    [
      "refused",
      failure({ code: "ECONNREFUSED", errno: -111, syscall: "connect" }),
      { transient: true, unknown: false },
    ],
    ["no such host", failure({ code: "ENOTFOUND", errno: -3008 }), { transient: true, unknown: false }],
    ["reset", failure({ code: "ECONNRESET", errno: -104, syscall: "read" }), { transient: true, unknown: true }],
    ["closed, says postgres.js", failure({ code: "CONNECTION_CLOSED" }), { transient: true, unknown: true }],
    ["closed, says pg", new Error("Connection terminated unexpectedly"), { transient: true, unknown: true }],
    [
      "used after it was closed, says pg",
      new Error("Client has encountered a connection error and is not queryable"),
      { transient: true, unknown: true },
    ],
    ["lost, says the driver", new HowdahError("HOWDAH_CONNECTION_LOST", "lost"), { transient: true, unknown: true }],
    ["timed out here", new HowdahError("HOWDAH_QUERY_TIMEOUT", "late"), { transient: true, unknown: true }],
    [
      "never connected",
      new HowdahError("HOWDAH_DATABASE_UNREACHABLE", "away", failure({ code: "ECONNRESET", errno: -104 })),
      { transient: true, unknown: false },
    ],
    ["bad option", new HowdahError("HOWDAH_OPTION_INVALID", "bad"), { transient: false, unknown: false }],
  ])("%s", (_, error, expected) => {
    expect({ transient: isTransient(error), unknown: isUnknownOutcome(error) }).toEqual(expected);
  });
});

it("blames the data for classes 22, 23 and 54 only", () => {
  const guilty = ["22021", "22P02", "23514", "54000", "54001"];
  expect(guilty.filter((code) => isDataError(state(code)))).toEqual(guilty);
  expect(["42P01", "40001", "53200", "2200"].filter((code) => isDataError(state(code)))).toEqual([]);
});
