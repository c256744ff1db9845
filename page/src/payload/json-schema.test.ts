import { expect, it } from "vitest";
import { schemaFields, templateOf } from "./json-schema.ts";

const SCHEMA = JSON.stringify({
  type: "object",
  properties: {
    to: { type: "string", format: "email", description: "who gets it" },
    copies: { type: "integer", minimum: 1, default: 1 },
    size: { enum: ["small", "large"] },
    urgent: { anyOf: [{ type: "boolean" }, { type: "null" }] },
    items: { type: "array", items: { $ref: "#/$defs/item" } },
  },
  required: ["to", "size", "items"],
  $defs: { item: { type: "object", properties: { sku: { type: "string" } }, required: ["sku"] } },
});

it("says of each member what it is, and whether it must be there", () => {
  const lines = schemaFields(SCHEMA).map(
    ({ path, type, isRequired, note }) => `${path}: ${type}${isRequired ? "!" : ""} ${note}`,
  );
  expect(lines).toEqual([
    "to: text (email)! who gets it",
    "copies: whole number without it 1",
    'size: "small" or "large"! ',
    "urgent: true or false or null ",
    "items: list! ",
    "items[].sku: text! ",
  ]);
});

it("says it of a payload that is no object, and nothing of what is no schema", () => {
  expect(schemaFields('{"type":["string","null"]}')).toMatchObject([{ path: "$", type: "text or null" }]);
  expect(schemaFields('{"type":"array","items":{"type":"number"}}')).toMatchObject([{ path: "$", type: "list" }]);
  expect(schemaFields("[1]")).toEqual([]);
  expect(schemaFields("{")).toEqual([]);
});

it("does not follow references for ever", () => {
  const round =
    '{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"required":["a"]}}}';
  expect(schemaFields(round).map(({ path }) => path)).toEqual(["a", "a.a", "a.a.a"]);
  expect(JSON.parse(templateOf(round))).toEqual({ a: { a: { a: {} } } });
  expect(schemaFields('{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}')).toHaveLength(1);
});

it("begins with the members that must be there", () => {
  expect(JSON.parse(templateOf(SCHEMA))).toEqual({ to: "", copies: 1, size: "small", items: [{ sku: "" }] });
  expect([templateOf(null), templateOf("{"), templateOf("{}")]).toEqual(["{}", "{}", "{}"]);
});
