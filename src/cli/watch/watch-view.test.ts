import picocolors from "picocolors";
import { describe, expect, it } from "vitest";
import type { JobGroup } from "../../client/read-group-stats.ts";
import { exampleFacts, exampleSamples } from "../../../test/harness/watch-facts.ts";
import { initialWatch, look, press, recalled, remembered, TABS, type WatchState } from "./watch-state.ts";
import { followed, shownOf, viewOf } from "./watch-view.ts";

const SIZES = [
  [60, 16],
  [80, 24],
  [140, 40],
] as const;

const facts = exampleFacts();
const settings = { paint: picocolors.createColors(false), title: "db.example/app/howdah", now: facts.at + 2_000 };
const earlier = exampleFacts({ at: facts.at - 10_000, newestId: "8999000" });
const filled = look(look(initialWatch, earlier), facts);
const samples = exampleSamples(120);
const [past] = press(remembered(filled, samples)[0], { name: "{", text: "{", ctrl: false }, shownOf(filled));
const [sample] = samples.slice(59);
const then = recalled(past, sample?.at.getTime() ?? 0, sample);

function draw(state: WatchState, [columns, rows]: readonly [number, number], isPlain = false): string[] {
  return viewOf(state, { columns, rows, isPlain }, settings);
}

describe.each(SIZES)("at %i by %i", (...size) => {
  it("shows each list", () => {
    for (const tab of TABS) expect(draw({ ...filled, tab }, size).join("\n")).toMatchSnapshot(tab);
  });

  it("shows what was an hour ago", () => {
    for (const tab of ["tasks", "queues", "failed"] as const)
      expect(draw({ ...then, tab }, size).join("\n")).toMatchSnapshot(tab);
  });

  it("fills the screen and leaves it nowhere, whatever is shown", () => {
    const asked: WatchState = {
      ...filled,
      prompt: {
        kind: "confirm",
        change: { action: "retry", subject: { kind: "task", name: "x", isPaused: false } },
        question: `Retry 3 jobs of task ${"long".repeat(60)}?`,
        text: "ye",
      },
    };
    const states = [
      initialWatch,
      filled,
      asked,
      { ...filled, isHelpOpen: true },
      { ...filled, message: "x".repeat(300) },
    ];
    const all = [
      ...states,
      ...[filled, past, then].flatMap((shown) => TABS.map((tab) => ({ ...shown, tab, selected: 99 }))),
    ];
    for (const state of all) {
      const lines = draw(state, size);
      expect(lines).toHaveLength(size[1]);
      expect(Math.max(...lines.map((line) => Array.from(line).length))).toBeLessThanOrEqual(size[0]);
    }
  });
});

describe("a view", () => {
  it("is ASCII on a terminal that can do nothing else", () => {
    const named = exampleFacts({ tasks: [{ ...(facts.tasks[0] as (typeof facts.tasks)[0]), name: "größe_日本" }] });
    for (const line of draw(look(filled, named), [80, 24], true)) expect(line).toMatch(/^[ -~]*$/);
  });

  it("keeps the same row selected when new facts put it elsewhere", () => {
    const [first, second, ...others] = facts.tasks as [JobGroup, JobGroup, ...JobGroup[]];
    const turned = [
      { ...first, ready: { ...first.ready, value: 1 } },
      { ...second, ready: { ...second.ready, value: 99_999 } },
    ];
    const moved = { ...facts, tasks: [...turned, ...others] };
    expect(shownOf(filled).subject?.name).toBe("resize_image");
    expect(shownOf(followed(filled, look(filled, moved))).subject?.name).toBe("resize_image");
    const gone = { ...facts, tasks: others };
    expect(shownOf(followed(filled, look(filled, gone))).subject?.name).toBe("nightly");
  });

  it("keeps the selected row on the screen", () => {
    const task = facts.tasks[0] as (typeof facts.tasks)[0];
    const many = look(
      filled,
      exampleFacts({ tasks: Array.from({ length: 90 }, (_, n) => ({ ...task, name: `task_${n}_` })) }),
    );
    for (const selected of [0, 1, 44, 88, 89]) {
      const [state] = press({ ...many, selected }, { name: "", text: "", ctrl: false }, shownOf(many));
      const name = shownOf(state).subject?.name ?? "";
      expect(draw(state, [60, 16]).join("\n")).toContain(name);
    }
  });

  it("cuts a long name that needs a person, and not what is wrong with it", () => {
    const [task] = facts.tasks as [JobGroup];
    const name = `resize_${"very_".repeat(40)}large_image`;
    const long = look(filled, exampleFacts({ tasks: [{ ...task, name }] }));
    for (const size of SIZES) {
      const [alarm = ""] = draw(long, size).filter((line) => line.startsWith("! task"));
      expect(alarm).toMatch(/^! task resize_(very_)*v?e?r?y?_?>: no worker runs it$/);
      expect(alarm).toHaveLength(size[0]);
    }
  });

  it("says what needs a person", () => {
    const text = draw(filled, [140, 40]).join("\n");
    expect(text).toContain("! task resize_image: no worker runs it");
    expect(text).toContain("queue mail:17: its worker is silent, and 1 more");
  });
});
