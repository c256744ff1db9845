import { describe, expect, it } from "vitest";
import { every } from "./every.ts";
import { parseExpression } from "./expression.ts";

const invalid = expect.objectContaining({ code: "HOWDAH_CRON_INVALID" });

describe("every", () => {
  it("writes the usual schedules (behaviours 145, 149)", () => {
    expect(every.minutes(1)).toBe("* * * * *");
    expect(every.minutes(5)).toBe("*/5 * * * *");
    expect(every.minutes(15)).toBe("*/15 * * * *");
    expect(every.seconds(10)).toBe("*/10 * * * * *");
    expect(every.hour()).toBe("0 * * * *");
    expect(every.hour(10)).toBe("10 * * * *");
    expect(every.day("8:30")).toBe("30 8 * * *");
    expect(every.day("08:30:15")).toBe("15 30 8 * * *");
    expect(every.week("monday", "9:00")).toBe("0 9 * * 1");
    expect(every.week(7)).toBe("0 0 * * 7");
    expect(every.month(15)).toBe("0 0 15 * *");
    expect(every.year("december", 15)).toBe("0 0 15 12 *");
    expect(every.year(2, 29, "23:59")).toBe("59 23 29 2 *");
  });

  it("writes what can be read", () => {
    const expressions = [every.minutes(59), every.seconds(59), every.hour(59), every.month(31), every.week("sunday")];
    for (const expression of expressions) expect(() => parseExpression(expression)).not.toThrow();
  });

  it("refuses what is out of range (behaviours 146)", () => {
    expect(() => every.day("24:00")).toThrow("A value for the hours must be 0 to 23, found 24.");
    expect(() => every.minutes(0)).toThrow("Each number of minutes must be 1 to 59, found 0.");
    expect(() => every.minutes(60)).toThrow("Each number of minutes must be 1 to 59, found 60.");
    expect(() => every.minutes(1.5)).toThrow(invalid);
    expect(() => every.hour(60)).toThrow(invalid);
    expect(() => every.day("8" as never)).toThrow(invalid);
    expect(() => every.day("8:5")).toThrow(invalid);
    expect(() => every.week("someday" as never)).toThrow(invalid);
    expect(() => every.week(8)).toThrow(invalid);
    expect(() => every.month(0)).toThrow(invalid);
    expect(() => every.year(13, 1)).toThrow(invalid);
  });
});
