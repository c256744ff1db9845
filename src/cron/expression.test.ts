import { describe, expect, it } from "vitest";
import { parseExpression } from "./expression.ts";

const message = (text: unknown): string => {
  try {
    parseExpression(text);
  } catch (error) {
    expect(error).toMatchObject({ code: "HOWDAH_CRON_INVALID" });
    return (error as Error).message;
  }
  throw new Error(`${String(text)} was accepted`);
};

describe("an expression", () => {
  it("has lists, ranges and steps, sorted and each value once (behaviours 116)", () => {
    const fields = parseExpression("*/10,7,56-59 1 1 1 1");
    expect(fields.minute.values).toEqual([0, 7, 10, 20, 30, 40, 50, 56, 57, 58, 59]);
    expect([fields.hour, fields.day, fields.month, fields.weekday].map(({ values }) => values)).toEqual([
      [1],
      [1],
      [1],
      [1],
    ]);
  });

  it("mixes them in every field (behaviours 130)", () => {
    const fields = parseExpression("*/7,8,30-35 * 3,*/4 * *,4");
    expect(fields.minute.values).toEqual([0, 7, 8, 14, 21, 28, 30, 31, 32, 33, 34, 35, 42, 49, 56]);
    expect(fields.day.values).toEqual([1, 3, 5, 9, 13, 17, 21, 25, 29]);
    expect(fields.weekday).toMatchObject({ values: [0, 1, 2, 3, 4, 5, 6], isFull: true });
  });

  it("counts steps from the smallest value of the field or of the range", () => {
    const fields = parseExpression("10-30/7 */6 */10 */5 */3");
    expect(fields.minute.values).toEqual([10, 17, 24]);
    expect(fields.hour.values).toEqual([0, 6, 12, 18]);
    expect(fields.day.values).toEqual([1, 11, 21, 31]);
    expect(fields.month.values).toEqual([1, 6, 11]);
    expect(fields.weekday.values).toEqual([0, 3, 6]);
    expect(parseExpression("* * */1 */1 */1")).toMatchObject({
      day: { isFull: true },
      month: { isFull: true },
      weekday: { isFull: true },
    });
  });

  it("takes 0 and 7 as Sunday, and names of days and months in any case", () => {
    expect(parseExpression("* * * * 7").weekday.values).toEqual([0]);
    expect(parseExpression("* * * * 5-7").weekday.values).toEqual([0, 5, 6]);
    expect(parseExpression("* * * * 0-7").weekday.isFull).toBe(true);
    expect(parseExpression("* * * JAN,dec,March-may mon-FRI/2").month.values).toEqual([1, 3, 4, 5, 12]);
    expect(parseExpression("* * * JAN mon-FRI/2").weekday.values).toEqual([1, 3, 5]);
    expect(parseExpression("* * * * sat-sun").weekday.values).toEqual([0, 6]);
    expect(parseExpression("* * * * sunday-tuesday").weekday.values).toEqual([0, 1, 2]);
  });

  it("may have seconds in front", () => {
    const fields = parseExpression("  15,45  */10 * * * * ");
    expect(fields.text).toBe("15,45 */10 * * * *");
    expect(fields.second.values).toEqual([15, 45]);
    expect(fields.minute.values).toEqual([0, 10, 20, 30, 40, 50]);
  });

  it("names the column of a mistake (behaviours 128)", () => {
    expect(message("foo")).toBe('Column 4 of the schedule "foo": expected 5 fields or 6, found 1.');
    expect(message("* * * * * * *")).toBe('Column 13 of the schedule "* * * * * * *": expected no more than 6 fields.');
    expect(message("0  5,77 * * *")).toBe(
      'Column 6 of the schedule "0  5,77 * * *": 77 is out of range for the hours; expected 0 to 23.',
    );
    expect(message("* * ? * *")).toContain("Column 5");
    expect(message("* * L * *")).toContain("Column 5");
    expect(message("* * * * mon#2")).toContain("Column 9");
    expect(message("@fortnightly")).toContain("Column 1");
    expect(message("1/2/3 * * * *")).toContain("one step at most");
    expect(message("* * * * 6-0")).toContain("ends before it begins");
    expect(message("-5 * * * *")).toContain("Column 1");
    expect(message("1- * * * *")).toContain("Column 3");
    expect(message("1.5 * * * *")).toContain("Column 1");
  });

  it("has to be a text", () => {
    expect(message(undefined)).toBe("A schedule must be a text, found undefined.");
    expect(message("")).toContain("found 0");
  });
});
