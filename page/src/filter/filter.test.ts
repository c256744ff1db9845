import { expect, it } from "vitest";
import {
  type Condition,
  conditionText,
  filterInWords,
  filterOfQuery,
  filterText,
  mostSpecific,
  parseFilter,
  payloadJson,
  queryOfFilter,
  readAge,
  withCondition,
  withoutCondition,
} from "./filter.ts";

const TEXT = String.raw`task:send_email queue:"tenant 7" state:failed key:mail:77 error:"is not \"a\" function" payload.account=17 age:>5m`;

const CONDITIONS: readonly Condition[] = [
  { name: "task", value: "send_email" },
  { name: "queue", value: "tenant 7" },
  { name: "state", value: "failed" },
  { name: "key", value: "mail:77" },
  { name: "error", value: 'is not "a" function' },
  { name: "payload", path: "account", value: "17" },
  { name: "age", value: ">5m" },
];

it("reads what people write, and writes what it reads", () => {
  expect(parseFilter(TEXT)).toEqual({ conditions: CONDITIONS, problems: [] });
  expect(filterText(CONDITIONS)).toBe(TEXT);
});

it("goes through the address and back", () => {
  const query = new URLSearchParams(queryOfFilter(CONDITIONS)).toString();
  expect(filterOfQuery(query)).toEqual(CONDITIONS);
  expect(filterOfQuery("?columns=id&state=asleep&task=a&after=x")).toEqual([{ name: "task", value: "a" }]);
});

it.each([
  ["send_email", "Say what send_email is: task:, queue:, key: or error: in front of it."],
  ["tusk:a", "Say what tusk:a is: task:, queue:, key: or error: in front of it."],
  ["state:asleep", "state: is one of ready, scheduled, running, failed."],
  ["age:5m", "age: is a time such as >5m or <1h."],
  ["failed:today", "failed: is a time such as >5m or <1h."],
  ["priority:high", "priority: is a whole number."],
  ["task:", "task: needs a value."],
])("says what is wrong with %s", (text, problem) => {
  expect(parseFilter(text)).toEqual({ conditions: [], problems: [problem] });
});

it("has one condition about one thing", () => {
  expect(parseFilter("task:a task:b").conditions).toEqual([{ name: "task", value: "b" }]);
  const one = parseFilter("task:a payload.a=1 payload.b=2").conditions;
  expect(filterText(withCondition(one, { name: "payload", path: "a", value: "3" }))).toBe(
    "task:a payload.b=2 payload.a=3",
  );
  expect(filterText(withoutCondition(one, { name: "task", value: "" }))).toBe("payload.a=1 payload.b=2");
});

it("ends an open quotation at the end", () => {
  expect(parseFilter('queue:"tenant 7')).toEqual({ conditions: [{ name: "queue", value: "tenant 7" }], problems: [] });
});

it("drops the most specific condition first", () => {
  expect(mostSpecific(CONDITIONS)).toEqual({ name: "payload", path: "account", value: "17" });
  expect(mostSpecific([])).toBeUndefined();
});

it("says the filter in words", () => {
  expect(filterInWords([])).toBe("jobs");
  expect(filterInWords(parseFilter("task:send_email state:failed age:<1h").conditions)).toBe(
    "failed jobs of task send_email added less than 1h ago",
  );
  expect(filterInWords(parseFilter("failed:<1h").conditions)).toBe("jobs that failed less than 1h ago");
  expect(filterInWords(parseFilter("state:running worker:howdah_1").conditions)).toBe(
    "running jobs that worker howdah_1 holds",
  );
});

it("keeps the digits of a number in a payload condition", () => {
  expect(payloadJson(parseFilter("payload.order.id=9007199254740993 payload.kind=vip").conditions)).toBe(
    '{"order":{"id":9007199254740993},"kind":"vip"}',
  );
  expect(payloadJson(parseFilter("task:a").conditions)).toBeUndefined();
});

it("reads ages", () => {
  expect([readAge(">5m"), readAge("<1h"), readAge("5m")]).toEqual([
    { ms: 300_000, isOlder: true },
    { ms: 3_600_000, isOlder: false },
    undefined,
  ]);
});

it("shows a condition as its chip has it", () => {
  expect(conditionText({ name: "queue", value: "a b" })).toBe('queue:"a b"');
});
