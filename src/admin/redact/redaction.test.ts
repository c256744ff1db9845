import { describe, expect, it } from "vitest";
import { Redaction } from "./redaction.ts";

const CARD =
  '{"card":{"number":"4111111111111111","cvc":123},"items":[{"token":"abcdef","n":12345678901234567890}],"password":"hunter22"}';

const shown = (payload: string, ...rules: (string | RegExp)[]): string => new Redaction(rules).payload(payload).text;

describe("redaction by path", () => {
  it("replaces a member, an item of a list, a whole object, and a name at any depth", () => {
    expect(shown(CARD, "$.card.number")).toBe(CARD.replace('"4111111111111111"', '"[redacted]"'));
    expect(shown(CARD, "$.items[*].token")).toBe(CARD.replace('"abcdef"', '"[redacted]"'));
    expect(shown(CARD, "$.items[0].token")).toBe(CARD.replace('"abcdef"', '"[redacted]"'));
    expect(shown(CARD, "$.items[1].token")).toBe(CARD);
    expect(shown(CARD, "$.card")).toBe(CARD.replace('{"number":"4111111111111111","cvc":123}', '"[redacted]"'));
    expect(shown(CARD, '$["card"].*')).toBe(
      CARD.replace('"4111111111111111"', '"[redacted]"').replace(":123", ':"[redacted]"'),
    );
    expect(shown('{"a":{"b":[{"password":1}]},"password":2}', "$..password")).toBe(
      '{"a":{"b":[{"password":"[redacted]"}]},"password":"[redacted]"}',
    );
  });

  it("keeps the text of numbers, names that come twice, and what it does not know", () => {
    expect(shown('{"a":1e400,"a":12345678901234567890.10,"\\u0062":"x"}', "$.b")).toBe(
      '{"a":1e400,"a":12345678901234567890.10,"b":"[redacted]"}',
    );
    expect(shown("[1, 2]", "$.b")).toBe("[1, 2]");
    expect(shown('"text"', "$.b")).toBe('"text"');
  });

  it("shows nothing of what is nested too deep to be looked through", () => {
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    expect(shown(deep, "$..secret")).toBe('"[redacted]"');
  });

  it("removes the values from errors, and leaves short ones alone", () => {
    const redaction = new Redaction(["$.card", "$..password"]);
    expect(redaction.textOf("no card 4111111111111111 (123), hunter22", CARD)).toBe(
      "no card [redacted] (123), [redacted]",
    );
    expect(redaction.textOf("no card", CARD)).toBe("no card");
  });

  it("removes them from errors as JSON, and numbers however they are written", () => {
    const redaction = new Redaction(["$.n", "$.key"]);
    const payload = '{"n":12345678901234567890,"key":"a\\"b\\nc"}';
    expect(redaction.textOf(String.raw`refused {"key":"a\"b\nc"}`, payload)).toBe('refused {"key":"[redacted]"}');
    // As a client has it, which has rounded the number.
    for (const known of [payload, JSON.stringify(JSON.parse(payload))])
      expect(redaction.textOf("no account 12345678901234567890", known)).toBe("no account [redacted]");
  });

  it("shows no error of a payload that cannot be looked through", () => {
    const redaction = new Redaction(["$.password"]);
    const deep = `{"password":"hunter22","deep":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(redaction.textOf("hunter22 is wrong", deep)).toBe("[redacted]");
    expect(redaction.textOf("hunter22 is wrong", undefined)).toBe("[redacted]");
    const many = JSON.stringify({ password: Array.from({ length: 1_001 }, (_, index) => `hunter${index}`) });
    expect(redaction.textOf("hunter22 is wrong", many)).toBe("[redacted]");
  });

  it("knows a filter that asks for them", () => {
    const redaction = new Redaction(["$.card.number"]);
    expect(redaction.touches('{"card":{"number":"4"}}')).toBe(true);
    expect(redaction.touches('{"card":{"cvc":1}}')).toBe(false);
    // PostgreSQL finds an item of a list wherever it is, and a value alone in a list.
    const item = new Redaction(["$.items[1].token"]);
    expect(item.touches('{"items":[{"token":"abcdef"}]}')).toBe(true);
    expect(item.touches('{"items":[{"n":1}]}')).toBe(false);
    expect(new Redaction(["$[0]"]).touches('"abcdef"')).toBe(true);
    expect(new Redaction(["$.*"]).touches("12")).toBe(true);
    expect(redaction.touches('"4111111111111111"')).toBe(false);
  });

  it("takes the original where a copy has the mark, and nowhere else", () => {
    const redaction = new Redaction(["$.card.number", "$.items[*].token"]);
    const copy = '{"card":{"number":"[redacted]","cvc":"[redacted]"},"items":[{"token":"new"}],"password":"x"}';
    expect(redaction.restored(copy, CARD)).toBe(
      '{"card":{"number":"4111111111111111","cvc":"[redacted]"},"items":[{"token":"new"}],"password":"x"}',
    );
  });

  it("takes the original where a copy has what patterns left of it", () => {
    const redaction = new Redaction([/[\w.]+@example\.org/]);
    const original = '{"to":"Ada <ada@example.org>","cc":["bob@example.org"]}';
    const copy = redaction.payload(original);
    expect(copy).toMatchObject({ text: '{"to":"Ada <[redacted]>","cc":["[redacted]"]}', isRedacted: true });
    expect(redaction.restored(copy.text, original)).toBe(original);
    expect(redaction.restored(copy.text.replace("Ada", "Eve"), original)).toBe(
      '{"to":"Eve <[redacted]>","cc":["bob@example.org"]}',
    );
  });

  it("cuts a payload that is longer than anybody reads", () => {
    const { bytes, isTruncated, text } = new Redaction([]).payload(JSON.stringify("x".repeat(300_000)));
    expect({ bytes, isTruncated, shown: text.length }).toEqual({ bytes: 300_002, isTruncated: true, shown: 262_144 });
  });
});

describe("redaction by pattern", () => {
  it("replaces it in every text of an answer but those that come back", () => {
    const redaction = new Redaction([/\d{16}/]);
    expect(
      redaction.everywhere({ next: "4111111111111111", jobs: [{ error: "card 4111111111111111", n: 1 }] }),
    ).toEqual({
      next: "4111111111111111",
      jobs: [{ error: "card [redacted]", n: 1 }],
    });
  });
});

it.each(["card", "$", "$.", "$[", "$.a[b]", "$a"])("refuses %j as a path", (path) => {
  expect(() => new Redaction([path])).toThrow("`redact` takes paths such as");
});
