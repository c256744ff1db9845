import { describe, expect, it } from "vitest";
import { toJobRecord } from "../postgres/queries/job-columns.ts";
import { toDate, toFlags, toJob, toMicroseconds, toNullableDate } from "./row.ts";

const row = [
  "7",
  "task",
  "queue",
  '{"a":[1]}',
  "-3",
  "1900000000123456",
  "2",
  "25",
  "broken",
  "1800000000000000",
  "1800000000001000",
  "key",
  "4",
  '{"b": true, "a": false}',
  "1850000000000000",
  "worker",
  "running",
  "1500",
];

describe("toJob", () => {
  it("reads every column", () => {
    expect(toJob(toJobRecord(row))).toEqual({
      id: "7",
      task: "task",
      queueName: "queue",
      payload: { a: [1] },
      priority: -3,
      attempts: 2,
      maxAttempts: 25,
      lastError: "broken",
      jobKey: "key",
      revision: 4,
      flags: ["b", "a"],
      lockedBy: "worker",
      state: "running",
      timeoutMs: 1500,
      runAt: new Date(1900000000123),
      lockedAt: new Date(185e10),
      createdAt: new Date(18e11),
      updatedAt: new Date(1800000000001),
    });
  });

  it("takes what the record leaves out from what is known", () => {
    const bare = row.map((cell, index) => (index >= 1 && index <= 3 ? null : cell));
    const known = { identifier: "known", queueName: null, payload: "[2]" };
    expect(toJob(toJobRecord(bare), known)).toMatchObject({ task: "known", queueName: null, payload: [2] });
  });
});

it("keeps the nearest date for times that JavaScript cannot hold, and null for none", () => {
  expect(toDate("9223372036854775807")).toEqual(new Date(8.64e15));
  expect(toDate("-9223372036854775808")).toEqual(new Date(-8.64e15));
  expect(toNullableDate(null)).toBeNull();
  expect(toFlags(null)).toEqual([]);
});

describe("toMicroseconds", () => {
  it.each(["0", "7", "1764498000123456", "9007199254740991", "-1", "-62135596800000000", "9223372036854775807"])(
    "reads %s as Number() does",
    (text) => {
      expect(toMicroseconds(text)).toBe(Number(text));
    },
  );
});
