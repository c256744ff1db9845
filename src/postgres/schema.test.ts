import { describe, expect, it } from "vitest";
import { createSchema, quoteIdentifier, quoteLiteral } from "./schema.ts";

describe("names that PostgreSQL keeps for itself", () => {
  it.each(["pg_catalog", "pg_foo", "pg_", "information_schema"])("%s is refused", (name) => {
    expect(() => createSchema(name)).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: expect.stringContaining("keeps for itself") }),
    );
  });

  it.each(["pgfoo", "PG_foo", "my_pg_foo"])("%s is not one of them", (name) => {
    expect(createSchema(name).name).toBe(name);
  });
});

describe("createSchema", () => {
  it.each([
    ["howdah", '"howdah"', "'howdah'"],
    ["My Schema", '"My Schema"', "'My Schema'"],
    ["select", '"select"', "'select'"],
    ['with "quotes"', '"with ""quotes"""', `'with "quotes"'`],
    ["it's", '"it\'s"', "'it''s'"],
    ["dots.and.more", '"dots.and.more"', "'dots.and.more'"],
    ["back\\slash'", '"back\\slash\'"', " E'back\\\\slash'''"],
    ["ünïcode 🐫", '"ünïcode 🐫"', "'ünïcode 🐫'"],
    ["ü".repeat(31), `"${"ü".repeat(31)}"`, `'${"ü".repeat(31)}'`],
  ])("quotes %s", (name, quoted, literal) => {
    const schema = createSchema(name);
    expect(schema).toMatchObject({ name, quoted, literal });
    expect(schema.of("jobs")).toBe(`${quoted}."jobs"`);
  });

  it.each([
    ["the empty name", "", /empty/],
    ["64 bytes", "a".repeat(64), /64 bytes/],
    ["63 characters of two bytes", "ü".repeat(63), /126 bytes/],
    ["a NUL character", "a\0b", /NUL/],
    ["half a character", "a\ud800", /surrogate/],
    ["something else than a text", 7 as unknown as string, /number/],
  ])("refuses %s", (_, name, message) => {
    expect(() => createSchema(name)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    expect(() => createSchema(name)).toThrow(message);
  });
});

it("quotes the names of objects, too", () => {
  expect(createSchema("a").of('b"; drop table c; --')).toBe('"a"."b""; drop table c; --"');
  expect(quoteIdentifier("")).toBe('""');
  expect(quoteLiteral("")).toBe("''");
});
