import { describe, expect, it } from "vitest";
import { encodeProgress, MAX_FIELDS_BYTES, MAX_LINE_LENGTH, MAX_PROGRESS_BYTES, toKeptLine } from "./note-taker.ts";

describe("a progress", () => {
  it.each([[50], ["half"], [null], [{ done: 3, of: 10 }], [["a", 1]], [false]])("is the JSON of %j", (value) => {
    expect(JSON.parse(encodeProgress(value))).toEqual(value);
  });

  it("has a limit in bytes, and says so", () => {
    expect(encodeProgress("x".repeat(MAX_PROGRESS_BYTES - 2))).toHaveLength(MAX_PROGRESS_BYTES);
    expect(() => encodeProgress("ü".repeat(MAX_PROGRESS_BYTES / 2))).toThrow(
      expect.objectContaining({
        code: "HOWDAH_PROGRESS_INVALID",
        message: "A progress must have at most 8192 bytes as JSON; found 8194.",
      }),
    );
  });

  it.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /found undefined/],
    ["a function", () => undefined, /found a function/],
    ["a bigint", 1n, /JSON cannot hold the progress/],
  ])("cannot be %s", (_what, value, message) => {
    expect(() => encodeProgress(value)).toThrow(
      expect.objectContaining({ code: "HOWDAH_PROGRESS_INVALID", message: expect.stringMatching(message) }),
    );
  });
});

describe("a line", () => {
  it("has its message, and its fields as JSON", () => {
    const { message, fields } = toKeptLine("sent", { to: 3, since: new Date(0), gone: undefined });
    expect([message, JSON.parse(fields ?? "")]).toEqual(["sent", { to: 3, since: "1970-01-01T00:00:00.000Z" }]);
    expect(toKeptLine("sent", undefined).fields).toBeNull();
    expect(toKeptLine("sent", {}).fields).toBeNull();
  });

  it("is cut where it is too long, and loses the fields that are too many", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`field${n}`, "x".repeat(100)]));
    const { message, fields } = toKeptLine("m".repeat(5_000), many);
    expect(message).toHaveLength(MAX_LINE_LENGTH);
    expect(Buffer.byteLength(fields ?? "")).toBeLessThanOrEqual(MAX_FIELDS_BYTES);
    expect(Object.keys(JSON.parse(fields ?? "{}") as object).length).toBeGreaterThan(30);
  });

  it("has as text what JSON cannot hold, whatever that is", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    const { fields } = toKeptLine("odd", {
      big: 7n,
      cycle,
      error: new Error("no"),
      call: () => 1,
      "n\0ul": "a\ud800",
    });
    const read = JSON.parse(fields ?? "{}") as Record<string, unknown>;
    expect(read).toMatchObject({ big: "7", error: "no" });
    expect(Object.keys(read)).toEqual(["big", "cycle", "error", "call", "n?ul"]);
    expect(toKeptLine("a\0b\ud800", undefined).message).toBe("a?b?");
  });

  it("is made of whatever a handler without types gives", () => {
    expect(toKeptLine(17, 3 as never)).toEqual({ message: "17", fields: null });
    const hostile = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error("no");
        },
      },
    );
    expect(toKeptLine(undefined, hostile)).toEqual({ message: "undefined", fields: null });
  });
});
