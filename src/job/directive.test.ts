import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHowdahError } from "../errors.ts";
import { cancel, isDirective, isRateLimited, rateLimited, snooze } from "./directive.ts";
import { isUnrecoverable, unrecoverable } from "./unrecoverable.ts";

const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error("no");
    },
  },
);

describe("directives", () => {
  it("say what the handler wants", () => {
    expect(snooze("1m")).toMatchObject({ kind: "snooze", delay: "1m" });
    expect(cancel("customer is gone")).toMatchObject({ kind: "cancel", reason: "customer is gone" });
  });

  it("are recognised when another copy of the package made them", () => {
    expect(isDirective(snooze(5))).toBe(true);
    expect(isDirective(cancel(""))).toBe(true);
    expect(isDirective({ [Symbol.for("howdah.directive")]: true, kind: "snooze", delay: 5 })).toBe(true);
    expect(isDirective({ [Symbol.for("howdah.directive")]: true, kind: "of a later release" })).toBe(false);
  });

  it("are not taken for anything a handler may happen to return", () => {
    const look = { kind: "snooze", delay: 5 };
    for (const value of [look, { ...look, reason: "x" }, undefined, null, "snooze", snooze, hostile]) {
      expect(isDirective(value)).toBe(false);
    }
    fc.assert(fc.property(fc.anything({ withBoxedValues: true }), (value) => !isDirective(value)));
  });

  it("refuse a delay that is none", () => {
    expect(() => snooze("soon" as "1s")).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message: expect.stringMatching(/^The delay of snooze\(\) must be a duration/),
      }),
    );
  });

  it("take any reason, and make it storable", () => {
    expect(cancel(new Error("gone") as unknown as string)).toMatchObject({ reason: "gone" });
    expect(cancel("a\0b")).toMatchObject({ reason: "a?b" });
  });
});

describe("rateLimited", () => {
  it("takes a time, as a Date, in ISO 8601 or a date of HTTP, or a time from now", () => {
    const at = Date.UTC(2026, 5, 1, 12);
    expect(rateLimited({ until: new Date(at) }).until).toEqual({ at });
    expect(rateLimited({ until: "2026-06-01T14:00:00+02:00" }).until).toEqual({ at });
    expect(rateLimited({ until: "Mon, 01 Jun 2026 12:00:00 GMT" }).until).toEqual({ at });
    expect(rateLimited({ after: "30s" }).until).toEqual({ afterMs: 30_000 });
  });

  it("makes a directive that is an error, to be returned or thrown", () => {
    const limited = rateLimited({ after: 1 });
    expect([isDirective(limited), isRateLimited(limited), limited instanceof Error]).toEqual([true, true, true]);
    for (const other of [snooze(1), cancel("x"), new Error("x"), hostile, undefined])
      expect(isRateLimited(other)).toBe(false);
  });

  it.each([
    [{}, "needs either `until` or `after`"],
    [undefined, "needs either `until` or `after`"],
    [null, "needs either `until` or `after`"],
    ["30s", "needs either `until` or `after`"],
    [{ until: new Date(), after: 1 }, "needs either `until` or `after`"],
    [{ until: new Date(Number.NaN) }, "`until` of rateLimited() must be a valid Date"],
    [{ until: "tomorrow" }, "`until` of rateLimited() must be a valid Date"],
    [{ after: "soon" }, "`after` of rateLimited() must be a duration"],
  ])("refuses %o", (limit, message) => {
    expect(() => rateLimited(limit as { after: 1 })).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: expect.stringContaining(message) }),
    );
  });
});

describe("unrecoverable", () => {
  it("wraps an error, and keeps it as the cause", () => {
    const error = new Error("no such customer");
    const wrapped = unrecoverable(error);
    expect([wrapped.message, wrapped.cause, wrapped.code]).toEqual([error.message, error, "HOWDAH_UNRECOVERABLE"]);
    expect(isHowdahError(wrapped, "HOWDAH_UNRECOVERABLE")).toBe(true);
    expect(isUnrecoverable(wrapped)).toBe(true);
  });

  it("wraps anything", () => {
    expect(unrecoverable("gone").message).toBe("gone");
    expect(unrecoverable(undefined).message).toBe("Thrown was no error but undefined");
    expect(isUnrecoverable(unrecoverable(hostile))).toBe(true);
  });

  it("is recognised when another copy of the package made it", () => {
    expect(isUnrecoverable({ [Symbol.for("howdah.unrecoverable")]: true })).toBe(true);
  });

  it("is not inherited by an error that it has caused", () => {
    expect(isUnrecoverable(new Error("outer", { cause: unrecoverable("inner") }))).toBe(false);
    for (const thrown of [undefined, null, "x", new Error("x"), hostile]) expect(isUnrecoverable(thrown)).toBe(false);
  });
});
