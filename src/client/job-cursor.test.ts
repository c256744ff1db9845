import { expect, it } from "vitest";
import { readCursor, writeCursor } from "./job-cursor.ts";

const PLACE = { owner: "listJobs", path: "after" };

it.each([
  { way: "queue", after: { priority: -32_768, runAt: "-9223372036854775808", id: "9223372036854775807" } },
  { way: "failed", after: undefined },
] as const)("reads what it has written: %j", (cursor) => {
  expect(readCursor(writeCursor(cursor), PLACE)).toEqual(cursor);
});

it.each([
  42,
  "",
  "x".repeat(201),
  ...[
    "{}",
    "[]",
    '["toString"]',
    '["id",0]',
    '["id",0,"1","2","3"]',
    '["id",0.5,"1","2"]',
    '["id",32768,"1","2"]',
    '["id",-32769,"1","2"]',
    '["id",0,"1","9223372036854775808"]',
    '["id",0,"-9223372036854775809","1"]',
    '["id",0,"1","1; drop"]',
    '["id",0,"1",2]',
  ].map((text) => Buffer.from(text).toString("base64url")),
])("refuses what it has not written: %j", (text) => {
  expect(() => readCursor(text, PLACE)).toThrow(/ListJobs option `after` must be the `next` of a page/);
});
