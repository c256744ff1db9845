import { expect, it } from "vitest";
import { operationView } from "../../dev/fixtures.ts";
import { targetInWords } from "./activity-table.tsx";
import { cronWords } from "./cron-words.ts";
import { filterOfOperation } from "./operations/operation-words.ts";

it.each([
  ["* * * * *", "every minute"],
  ["*/15 * * * *", "every 15 minutes"],
  ["0 * * * *", "every hour"],
  ["5 * * * *", "every hour at minute 5"],
  ["30 */6 * * *", "every 6 hours at minute 30"],
  ["0 8 * * 1-5", "at 08:00 from Monday to Friday"],
  ["15 8,20 * * 0,6", "at 08:15 and 20:15 on Sunday, Saturday"],
  ["0 0 1 * *", "at 00:00 on day 1 of the month"],
  ["0 0 1 7 *", "at 00:00 on day 1 of the month in July"],
  ["0 0 1 * 1", undefined],
  ["0 0 L * *", undefined],
  ["1,2 3-5 * * *", undefined],
  ["nonsense", undefined],
])("says %s in words", (expression, words) => {
  expect(cronWords(expression)).toBe(words);
});

it("says what people did to what", () => {
  expect(targetInWords({ action: "retry", filter: { state: "failed", task: "a" } })).toBe(
    "retry, state failed, task a",
  );
  expect(targetInWords({ ids: ["1", "2", "3", "4", "5", "6"] })).toBe("6 ids 1 2 3 4 5 …");
  expect(targetInWords({ queue: "mail", until: null })).toBe("queue mail");
});

it("says which jobs an operation is about", () => {
  expect(filterOfOperation(operationView())).toBe("failed jobs of task send_email");
  expect(filterOfOperation(operationView({ filter: null }))).toBe("jobs by their ids");
});
