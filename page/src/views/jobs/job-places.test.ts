import { expect, it } from "vitest";
import { onTo, type PagePlace, pageBefore } from "./job-places.ts";

const START: PagePlace = { after: undefined, back: undefined };

it("goes back the way that it came, by what is in the address", () => {
  const third = onTo("c", onTo("b", START));
  expect(third).toEqual({ after: "c", back: "first.b" });
  const second = pageBefore(third);
  expect(second).toEqual({ after: "b", back: "first" });
  expect(second && pageBefore(second)).toEqual(START);
  expect(pageBefore(START)).toBeUndefined();
});

it("knows the last twelve pages", () => {
  let place = START;
  for (let page = 1; page <= 20; page += 1) place = onTo(`p${page}`, place);
  expect(place.back?.split(".")).toHaveLength(12);
  let steps = 0;
  for (let at: PagePlace | undefined = place; (at = pageBefore(at));) steps += 1;
  expect(steps).toBe(12);
});
