import { expect, it } from "vitest";
import { manifestLine } from "./write-manifest.ts";

const sha256 = "ab".repeat(32);

it.each([
  ["a plain name", "src/a b.ts", `${sha256}  src/a b.ts\n`],
  ["a name that begins with a dash", "-rf", `${sha256}  -rf\n`],
  ["a newline", "a\nb", `\\${sha256}  a\\nb\n`],
  ["a backslash", "a\\b", `\\${sha256}  a\\\\b\n`],
  ["a backslash before an n", "a\\nb", `\\${sha256}  a\\\\nb\n`],
  ["a carriage return", "a\r", `\\${sha256}  a\\r\n`],
])("writes %s as sha256sum does", (_, path, line) => {
  expect(manifestLine({ path, sha256 })).toBe(line);
});
