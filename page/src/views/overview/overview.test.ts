import { expect, it } from "vitest";
import { at, overview, samples } from "../../../dev/fixtures.ts";
import { sparklinePath } from "../../parts/sparkline.tsx";
import { incidentNote } from "./incident-note.ts";
import { changesOf, mergeSamples, moveCursor, sampleAt, stacked } from "./samples.ts";

const [first, second, third] = samples.samples.slice(0, 3);
if (!first || !second || !third) throw new Error("There are no samples.");
const THREE = [first, second, third];

it("adds newer samples once, and drops the oldest", () => {
  const newer = { ...third, ready: 7 };
  expect(mergeSamples(THREE, [newer], 10)).toEqual([first, second, newer]);
  expect(mergeSamples(THREE, [], 10)).toBe(THREE);
  expect(mergeSamples([first, second], [third], 2)).toEqual([second, third]);
});

it("puts layers on top of each other, and none where a layer is hidden", () => {
  const [seconds, ready, scheduled, failed] = stacked([first], new Set(["scheduled"]));
  expect(seconds).toEqual([Date.parse(first.at) / 1_000]);
  expect([ready, scheduled, failed]).toEqual([[first.ready], [first.ready], [first.ready + first.failed]]);
});

it("moves the cursor by samples, and ends at now", () => {
  expect(moveCursor(THREE, undefined, -1)).toBe(second.at);
  expect(moveCursor(THREE, second.at, -1)).toBe(first.at);
  expect(moveCursor(THREE, first.at, -1)).toBe(first.at);
  expect(moveCursor(THREE, second.at, 1)).toBeUndefined();
  expect(moveCursor([], undefined, -1)).toBeUndefined();
});

it("finds the sample of a moment", () => {
  expect(sampleAt(THREE, second.at)).toBe(second);
  expect(sampleAt(THREE, at(0))).toBe(third);
  expect(sampleAt(THREE, at(-1_000_000))).toBeUndefined();
});

it("says what has changed since a moment", () => {
  const then = [
    { name: "a", jobCount: 5 },
    { name: "gone", jobCount: 2 },
  ];
  const now = [
    { name: "a", jobCount: 9 },
    { name: "new", jobCount: 1 },
  ];
  expect([...changesOf(now, then)]).toEqual([
    ["a", 4],
    ["gone", -2],
    ["new", 1],
  ]);
});

it("writes the overview as a note for an incident", () => {
  expect(incidentNote(overview, { title: "production / howdah", url: "https://ops.example.com/" })).toBe(
    [
      "**production / howdah**, 2026-11-30T12:00:07.000Z: 2 things need you.",
      "",
      "- fail D17: resize_image: 412 due, no live worker runs it. Start a worker with this task, or correct its name where jobs are added.",
      "- warn D09: Session 4711 (metabase) holds back vacuum for 41 min. End the transaction of that session.",
      "",
      "- waiting 3,512,345, estimated (oldest due 2 h 7 m), scheduled 1,099,000, estimated, failed 400,808, estimated",
      "- workers 4 (1 silent), slots 19 of 24 busy",
      "- 790.4/s added, 812.1/s finished",
      "- worst tasks: resize_image (412 due, 2 h 7 m), send_email (3,412,000 due, 2 m 8 s), import_csv (84 due, 1 m 1 s)",
      "- worst queues: tenant-7 (14 due, 11 m 1 s), tenant-81 (1,000 due, 1 m 30 s), invoices (3 due, 4.1 s)",
      "",
      "https://ops.example.com/",
    ].join("\n"),
  );
});

it("draws small changes of a large number as small ones", () => {
  expect(sparklinePath([0, 5, 10], 100, 12)).toBe("M0 11L50 6L100 1");
  expect(sparklinePath([1_000, 1_001], 100, 12)).toBe("M0 11L100 10.8");
  expect(sparklinePath([0, 0], 100, 12)).toBe("M0 11L100 11");
});
