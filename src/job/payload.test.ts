import { type } from "arktype";
import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { isHowdahError } from "../errors.ts";
import { decodePayload, encodePayload, validatePayload } from "./payload.ts";
import type { PayloadSchema } from "./schema.ts";

function nestedTo(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

function refuse(): never {
  throw new Error("no");
}

describe("encodePayload", () => {
  it.each([
    [undefined, "{}"],
    [null, "null"],
    [{ to: "a", cc: undefined }, '{"to":"a"}'],
    [[1, undefined, null], "[1,null,null]"],
    ["text", '"text"'],
    [{ at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    [{ bytes: new Uint8Array([1, 2]) }, '{"bytes":{"0":1,"1":2}}'],
    [{ boxed: [Object(5), Object("s"), Object(false)] }, '{"boxed":[5,"s",false]}'],
    [{ at: Object.assign(new Date(Number.NaN), { toJSON: () => "never" }) }, '{"at":"never"}'],
    [{ map: Object.assign(new Map([[1, 2]]), { toJSON: () => ({ 1: 2 }) }) }, '{"map":{"1":2}}'],
    [
      new (class Point {
        x = 1;
      })(),
      '{"x":1}',
    ],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [{ own: { toJSON: (key: string) => `as ${key}` } }, '{"own":"as own"}'],
    [{ toJSON: () => undefined }, "{}"],
    [{ price: { toJSON: () => "5", call: () => 5 } }, '{"price":"5"}'],
    ["\0 \uD800 \u{1F418}", '"\\u0000 \\ud800 \u{1F418}"'],
  ])("writes %o as %s", (value, text) => {
    expect(encodePayload(value)).toBe(text);
  });

  it("writes JSON exactly as JSON.stringify does", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(encodePayload(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  it("does not take a value that stands in two places for a cycle", () => {
    const shared = { a: 1 };
    expect(encodePayload([shared, { shared }])).toBe('[{"a":1},{"shared":{"a":1}}]');
  });

  const cycle = { list: [{}] as unknown[] };
  cycle.list.push({ back: cycle });

  it.each([
    [5n, "a bigint, found at payload."],
    [{ user: { ids: [1, 2n] } }, "a bigint, found at payload.user.ids[1]."],
    [{ toJSON: () => ({ deep: 1n }) }, "a bigint, found at payload.deep."],
    [cycle, "an object that contains itself, found at payload.list[1].back."],
    [refuse, "a function, found at payload."],
    [{ "e-mail": { send: refuse } }, 'a function, found at payload["e-mail"].send.'],
    [[0, Symbol("s")], "a symbol, found at payload[1]."],
    [Symbol("s"), "a symbol, found at payload."],
    [Number.NaN, "NaN, found at payload."],
    [{ a: [1, -Infinity] }, "-Infinity, found at payload.a[1]."],
    [{ at: new Date(Number.NaN) }, "an invalid Date, found at payload.at."],
    [new Map([[1, 2]]), "a Map, found at payload."],
    [Object.assign(new Map(), { own: 1 }), "a Map, found at payload."],
    [{ tags: new Set([1]) }, "a Set, found at payload.tags."],
    [[new WeakMap()], "a WeakMap, found at payload[0]."],
    [{ pattern: /x/ }, "a RegExp, found at payload.pattern."],
    [{ why: new TypeError("boom") }, "an Error, found at payload.why."],
    [{ why: Object.assign(new Error("boom"), { code: "E1" }) }, "an Error, found at payload.why."],
    [Promise.resolve({ a: 1 }), "a Promise, was an `await` forgotten, found at payload."],
    [{ user: Promise.resolve(1) }, "a Promise, was an `await` forgotten, found at payload.user."],
    [{ query: new URLSearchParams("a=1") }, "a URLSearchParams, found at payload.query."],
    [{ bytes: new ArrayBuffer(2) }, "an ArrayBuffer, found at payload.bytes."],
    [{ n: new Float64Array([1, Number.NaN]) }, "NaN in a typed array, found at payload.n."],
    [[Object(Number.NaN)], "NaN, found at payload[0]."],
    [[Object(Symbol("s"))], "a symbol, found at payload[0]."],
    [{ money: { toJSON: () => ({ amount: Number.NaN }) } }, "NaN, found at payload.money.amount."],
    [{ money: { toJSON: () => new Map() } }, "a Map, found at payload.money."],
  ])("refuses what JSON cannot hold, and says where: %o", (value, message) => {
    expect(() => encodePayload(value)).toThrow(
      expect.objectContaining({ code: "HOWDAH_PAYLOAD_INVALID", message: `JSON cannot hold ${message}` }),
    );
  });

  it("finds what JSON cannot hold wherever it is", () => {
    const wrong = fc.constantFrom<unknown>(
      refuse,
      Symbol("s"),
      Number.NaN,
      new Map(),
      new Date(Number.NaN),
      /x/,
      new Error("x"),
    );
    const path = fc.array(fc.oneof(fc.nat(3), fc.constantFrom("a", "b c")), { maxLength: 6 });
    fc.assert(
      fc.property(fc.jsonValue(), wrong, path, (sibling, value, steps) => {
        const payload = steps.reduceRight<unknown>(
          (inner, step) =>
            typeof step === "number" ? [...Array<unknown>(step).fill(sibling), inner] : { sibling, [step]: inner },
          value,
        );
        const at = steps.map((step) => (typeof step === "number" ? `[${step}]` : step === "a" ? ".a" : '["b c"]'));
        expect(() => encodePayload(payload, "job `x`")).toThrow(`found at payload${at.join("")} of job \`x\`.`);
      }),
    );
  });

  it.each([
    ["a getter", Object.defineProperty({}, "a", { get: refuse, enumerable: true })],
    ["a toJSON", { toJSON: refuse }],
    ["a proxy", new Proxy({}, { ownKeys: refuse, get: refuse })],
  ])("passes on what %s throws, as a cause", (_title, value) => {
    expect(() => encodePayload(value)).toThrow(
      expect.objectContaining({ code: "HOWDAH_PAYLOAD_INVALID", message: "JSON cannot hold payload: no" }),
    );
  });

  it("holds 1,000 levels, and refuses more than the stack does", () => {
    const deep = nestedTo(1000);
    expect(decodePayload(encodePayload(deep))).toEqual(deep);
    expect(() => encodePayload(nestedTo(1_000_000))).toThrow(
      expect.objectContaining({
        code: "HOWDAH_PAYLOAD_INVALID",
        message: "JSON cannot hold payload: it has too many levels, or is too long.",
      }),
    );
  });

  it("gives JSON or a coded error, whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withMap: true }),
        (value) => {
          const result = attempt(() => encodePayload(value));
          expect(isHowdahError(result, "HOWDAH_PAYLOAD_INVALID") || isJson(result)).toBe(true);
        },
      ),
    );
  });
});

describe("decodePayload", () => {
  it("reads what encodePayload wrote", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(decodePayload(encodePayload(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("refuses what is no JSON, without quoting it", () => {
    const error = attempt(() => decodePayload('{"password": hunter2}')) as Error;
    expect(error).toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID", message: "The stored payload is not JSON." });
    expect(error.cause).toBeUndefined();
  });
});

describe("validatePayload", () => {
  it("gives what the schema makes of the payload", async () => {
    const schema = z.object({ at: z.string().transform((text) => new Date(text)) });
    const output = await validatePayload(schema, { at: "1970-01-01" });
    expectTypeOf(output).toEqualTypeOf<{ at: Date }>();
    expect(output).toEqual({ at: new Date(0) });
  });

  it("waits for a schema that takes its time", async () => {
    const schema = z.string().refine(async (text) => text === "right");
    await expect(validatePayload(schema, "right")).resolves.toBe("right");
    await expect(validatePayload(schema, "wrong")).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
  });

  it("names every place that is wrong", async () => {
    const schema = z.object({ to: z.string(), ids: z.array(z.number()) });
    await expect(validatePayload(schema, { ids: [1, "2"] }, "item 3")).rejects.toMatchObject({
      message:
        "The payload does not fit its schema: item 3.to: Invalid input: expected string, received undefined; " +
        "item 3.ids[1]: Invalid input: expected number, received string.",
    });
  });

  const SECRET = 'hunter2 "quoted"';
  it.each<[string, PayloadSchema]>([
    ["zod", z.object({ a: z.number(), b: z.literal(1), c: z.object({ d: z.email() }) })],
    ["valibot", v.object({ a: v.number(), b: v.literal(1), c: v.object({ d: v.pipe(v.string(), v.email()) }) })],
    ["arktype", type({ a: "number", b: "1", c: { d: "string.email" } })],
    ["arktype's unions", type({ a: "number|boolean", b: "1|2", c: { d: "'x'|'y'" } })],
  ])("never quotes a value: %s", async (_library, schema) => {
    const error = await validatePayload(schema, { a: SECRET, b: 44_711, c: { d: SECRET } }).catch(
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    expect(String(error)).toContain("payload.");
    expect(String(error)).not.toMatch(/hunter2|quoted|44711/);
  });

  it("keeps what a message says beside the value", async () => {
    const schema = v.object({ to: v.number() });
    await expect(validatePayload(schema, { to: "secret" })).rejects.toThrow(
      "payload.to: Invalid type: Expected number but received ...",
    );
  });

  it("survives a payload that cannot be read a second time", async () => {
    const payload = Object.defineProperty({}, "a", { get: refuse });
    const validate = () => ({ issues: [{ message: "wrong", path: ["a"] }] });
    const schema: PayloadSchema = { "~standard": { version: 1, vendor: "own", validate } };
    await expect(validatePayload(schema, payload)).rejects.toThrow(
      "The payload does not fit its schema: payload.a: wrong.",
    );
  });

  it("lists the first issues only", async () => {
    const issues = Array.from({ length: 25 }, (_, index) => ({ message: "x".repeat(5000), path: [{ key: index }] }));
    const schema: PayloadSchema = { "~standard": { version: 1, vendor: "own", validate: () => ({ issues }) } };
    const error = await validatePayload(schema, []).catch((thrown: Error) => thrown);
    expect(String(error)).toMatch(/payload\[9\]: x+\.\.\.; and 15 more\.$/);
    expect(String(error).length).toBeLessThan(5000);
  });

  it.each([
    ["throws", refuse],
    ["rejects", async () => refuse()],
  ])("has a code when the schema %s", async (_title, validate) => {
    const schema: PayloadSchema = { "~standard": { version: 1, vendor: "own", validate } };
    await expect(validatePayload(schema, {})).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
      message: "The schema of the payload failed: no",
      cause: new Error("no"),
    });
  });
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

function isJson(text: unknown): boolean {
  try {
    JSON.parse(text as string);
    return true;
  } catch {
    return false;
  }
}
