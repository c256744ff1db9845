import { expect, it } from "vitest";
import { COMMANDS } from "./commands.ts";

const DURATIONS = COMMANDS.flatMap(({ usage, options = [] }) =>
  options
    .filter(({ flags }) => flags.endsWith("<duration>"))
    .map((option) => ({ name: `${usage} ${option.flags}`, option })),
);

it("knows the options that take a duration", () => {
  expect(DURATIONS.length).toBeGreaterThan(8);
});

it.each(DURATIONS)("refuses what is no duration before a database is asked: $name", ({ option }) => {
  expect(() => option.parseArg?.("tomorrow", undefined)).toThrow("It has to be a duration, such as 90s, 5m or 2h.");
  expect(option.parseArg?.("1.5h", undefined)).toBe("1.5h");
});
