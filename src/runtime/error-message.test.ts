import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorMessage, MAX_ERROR_MESSAGE_LENGTH, storableText } from "./error-message.ts";

function refuse(): never {
  throw new Error("no");
}

const hostileProxy = new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse });

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

describe("errorMessage", () => {
  it.each([
    ["an error", new Error("boom"), "boom"],
    ["a text", "boom", "boom"],
    ["an error of another realm", { name: "Error", message: "boom" }, "boom"],
    ["a plain object", { status: 500 }, "Thrown was no error but { status: 500 }"],
    ["an empty text", "", "Thrown was no error but ''"],
    ["null", null, "Thrown was no error but null"],
    ["undefined", undefined, "Thrown was no error but undefined"],
    ["a number", 5, "Thrown was no error but 5"],
    ["a bigint", 5n, "Thrown was no error but 5n"],
    ["a symbol", Symbol("s"), "Thrown was no error but Symbol(s)"],
    ["an error without a message", new TypeError(), "TypeError"],
  ])("describes %s", (_title, thrown, expected) => {
    expect(errorMessage(thrown)).toBe(expected);
  });

  it("appends the messages of the causes", () => {
    const cause = new Error("socket closed", { cause: "ECONNRESET" });
    expect(errorMessage(new Error("mail not sent", { cause }))).toBe(
      "mail not sent <- caused by: socket closed <- caused by: ECONNRESET",
    );
  });

  it("does not repeat the message of a cause that the wrapper repeats", () => {
    expect(errorMessage(new Error("failed: boom", { cause: new Error("boom") }))).toBe("failed: boom");
  });

  it("ends with a cyclic cause, and with a very long chain", () => {
    const first = new Error("first");
    first.cause = new Error("second", { cause: first });
    expect(errorMessage(first)).toBe("first <- caused by: second");

    let chain = new Error("0");
    for (let depth = 1; depth < 10_000; depth++) chain = new Error(`level ${depth};`, { cause: chain });
    expect(errorMessage(chain).split("caused by").length).toBeLessThan(20);
  });

  it("names the first errors of an AggregateError", () => {
    const errors = Array.from({ length: 7 }, (_, index) => new Error(`no ${index}`));
    expect(errorMessage(new AggregateError([...errors, 5], "all failed"))).toBe(
      "all failed: [1] no 0, [2] no 1, [3] no 2, [4] no 3, [5] no 4 and 3 more",
    );
    expect(errorMessage(new AggregateError([null, "x"]))).toBe("AggregateError: [1] null, [2] 'x'");
    expect(errorMessage(new AggregateError([undefined, new Error("x")], "m"))).toBe("m: [1] undefined, [2] x");
  });

  it.each([
    ["a getter that throws", Object.defineProperty(new Error("x"), "message", { get: refuse })],
    ["a cause that throws", Object.defineProperty(new Error("x"), "cause", { get: refuse })],
    ["a toString that throws", { toString: refuse, [Symbol.toPrimitive]: refuse, toJSON: refuse }],
    ["an inspect of its own that throws", { [Symbol.for("nodejs.util.inspect.custom")]: refuse }],
    ["a tag that throws", Object.defineProperty({}, Symbol.toStringTag, { get: refuse })],
    ["a proxy that throws", hostileProxy],
    ["a revoked proxy", revoked({})],
    ["errors that are a revoked proxy", { message: "m", errors: revoked([]) }],
    ["errors whose length is no number", { message: "m", errors: new Proxy([], { get: () => Symbol("x") }) }],
    ["a list whose length is a lie", { message: "m", errors: new Proxy([], { get: () => 1e9 }) }],
    ["a message that is no text", Object.assign(new Error("x"), { message: { a: 1 } })],
    ["a function", refuse],
    ["no prototype", Object.create(null)],
  ])("makes a text of something with %s", (_title, thrown) => {
    expect(errorMessage(thrown)).toMatch(/\S/);
  });

  it("replaces what PostgreSQL cannot store", () => {
    expect(errorMessage(new Error("a\0b\uD800c🐘"))).toBe("a?b?c🐘");
  });

  it("cuts very long messages, also in the middle of a character", () => {
    const message = errorMessage(new Error("🐘".repeat(1_000_000)));
    expect(message).toHaveLength(MAX_ERROR_MESSAGE_LENGTH);
    expect(message).toMatch(/🐘\?\.\.\.$/);
  });

  it("is storable, readable and short for anything at all", () => {
    const anything = fc.anything({
      key: fc.oneof(fc.constantFrom("message", "cause", "errors", "name"), fc.string()),
      withBigInt: true,
      withDate: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    const thrown = fc.oneof(
      anything,
      fc.tuple(fc.string({ unit: "binary" }), anything).map(([message, cause]) => new Error(message, { cause })),
    );
    fc.assert(
      fc.property(thrown, (value) => {
        const message = errorMessage(value);
        expect(message).not.toBe("");
        expect(message.length).toBeLessThanOrEqual(MAX_ERROR_MESSAGE_LENGTH);
        expect(message).not.toMatch(/\0|\p{Surrogate}/u);
      }),
    );
  }, 60_000);
});

describe("storableText", () => {
  it("puts in what a database of any encoding can hold", () => {
    expect(storableText(`a\0\uD800${"x".repeat(20_000)}`)).toMatch(/^a\?\?x+\.\.\.$/);
  });

  it("leaves alone what can be stored, and keeps to its limit otherwise", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 20 }), (text, limit) => {
        const stored = storableText(text, limit);
        expect(stored.length).toBeLessThanOrEqual(limit);
        expect(stored === text || text.length > limit || /\0/.test(text)).toBe(true);
      }),
    );
  });
});
