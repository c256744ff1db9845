import { expect, it } from "vitest";
import { describeWhen } from "./when.ts";

const NOW = Date.UTC(2030, 0, 1);

it.each([
  [0, "now"],
  [999, "now"],
  [5_000, "in 5 s"],
  [-59_999, "59 s ago"],
  [-60_000, "1 min ago"],
  [7_200_000, "in 2 h"],
  [-3 * 86_400_000, "3 d ago"],
])("says of a time %d ms away: %s", (distance, said) => {
  expect(describeWhen(new Date(NOW + distance), NOW)).toBe(said);
});
