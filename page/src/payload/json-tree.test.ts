import { expect, it } from "vitest";
import { compactJson, type JsonNode, jsonChanges, prettyJson, readJsonTree } from "./json-tree.ts";

function tree(text: string): JsonNode {
  const node = readJsonTree(text);
  if (!node) throw new Error(`not JSON: ${text}`);
  return node;
}

it("keeps every digit of a number", () => {
  const text = '{"id":9007199254740993,"rate":0.10,"huge":1e400,"to":[1,-0.0]}';
  expect(compactJson(tree(text))).toBe(text);
});

it("keeps strings as they were written, and has what they mean", () => {
  expect(tree(String.raw`"\u0041\n"`)).toEqual({ kind: "string", text: String.raw`"\u0041\n"`, value: "A\n" });
});

it.each([
  "",
  "{",
  '{"a"}',
  "[1,]",
  "01",
  "nul",
  '"a',
  "[1] x",
  '{"a":1,}',
  '"\n"',
  `${"[".repeat(200)}${"]".repeat(200)}`,
])("reads nothing from %s", (text) => {
  expect(readJsonTree(text)).toBeUndefined();
});

it("agrees with the browser about what is JSON", () => {
  for (const text of ["{}", "[]", " [ ] ", "null", "true", '{"":{}}', "[[],{}]", '{"a":[1,2,{"b":null}]}', "-1.5e+3"]) {
    expect(JSON.parse(compactJson(tree(text)))).toEqual(JSON.parse(text));
    expect(JSON.parse(prettyJson(tree(text)))).toEqual(JSON.parse(text));
  }
});

it("writes a line for each member", () => {
  expect(prettyJson(tree('{"a":[1,{}],"b":"x"}'))).toBe('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "x"\n}');
});

it("says what was changed, and where", () => {
  const before = tree('{"to":["a","b"],"n":1,"gone":true,"same":{"x":1}}');
  const after = tree('{"to":["a","c"],"n":1.0,"same":{"x":1,"a b":2}}');
  expect(jsonChanges(before, after)).toEqual([
    { path: "$.to[1]", before: '"b"', after: '"c"' },
    { path: "$.n", before: "1", after: "1.0" },
    { path: "$.gone", before: "true", after: undefined },
    { path: '$.same["a b"]', before: undefined, after: "2" },
  ]);
  expect(jsonChanges(before, before)).toEqual([]);
});
