import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHowdahError } from "../errors.ts";
import { cancel, isDirective, snooze } from "./directive.ts";
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
