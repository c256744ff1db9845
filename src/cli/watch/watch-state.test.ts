import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exampleFacts, exampleSamples } from "../../../test/harness/watch-facts.ts";
import {
  initialWatch,
  type Key,
  look,
  press,
  ratesOf,
  recalled,
  remembered,
  type Subject,
  TABS,
  type WatchState,
} from "./watch-state.ts";
import { shownOf } from "./watch-view.ts";

const key = (name: string, text = name.length === 1 ? name : ""): Key => ({ name, text, ctrl: false });

/** The state after these keys, and the last effect. */
function after(state: WatchState, ...keys: Key[]) {
  let effect: unknown;
  let now = state;
  for (const each of keys) [now, effect] = press(now, each, shownOf(now));
  return { state: now, effect };
}

const filled = look(initialWatch, exampleFacts());
const task: Subject = { kind: "task", name: "resize_image", isPaused: false };

describe("keys", () => {
  it("open lists by their digit and by arrows, around the end", () => {
    expect(TABS.map((_, index) => after(filled, key(String(index + 1))).state.tab)).toEqual(TABS);
    expect(after(filled, key("left")).state.tab).toBe("schedules");
    expect(after(filled, key("left"), key("right")).state.tab).toBe("tasks");
  });

  it("stay on the rows that there are", () => {
    const { rows } = shownOf(filled);
    expect(after(filled, key("up")).state.selected).toBe(0);
    expect(after(filled, key("end")).state.selected).toBe(rows - 1);
    expect(after(filled, key("end"), key("j")).state.selected).toBe(rows - 1);
  });

  it("filter the rows while they are typed", () => {
    const typed = after(
      filled,
      key("", "/"),
      ..."mail".split("").map((each) => key(each)),
      key("x"),
      key("backspace"),
    ).state;
    expect([typed.filter, shownOf(typed).subject?.name]).toEqual(["mail", "send_email"]);
    expect(after(typed, key("return")).state).toMatchObject({ prompt: undefined, filter: "mail" });
    expect(after(typed, key("escape")).state).toMatchObject({ prompt: undefined, filter: "" });
  });

  it("pause what runs and resume what is paused, but no job and no worker", () => {
    expect(after(filled, key("p")).effect).toEqual({ type: "change", change: { action: "pause", subject: task } });
    const paused = after(filled, key("", "/"), ..."nightly".split("").map((each) => key(each)), key("return")).state;
    expect(after(paused, key("p")).effect).toMatchObject({ change: { action: "resume" } });
    for (const tab of ["3", "4", "5"]) expect(after(filled, key(tab), key("p")).effect).toBeUndefined();
  });

  it("ask before jobs are changed, and change them for nothing but yes", () => {
    const change = { action: "retry", subject: task } as const;
    expect(after(filled, key("r")).effect).toEqual({ type: "preview", change });
    const asked: WatchState = { ...filled, prompt: { kind: "confirm", change, question: "Retry 3 jobs?", text: "" } };
    const answered = (word: string) => after(asked, ...word.split("").map((each) => key(each)), key("return"));
    expect(answered("yes").effect).toEqual({ type: "change", change });
    for (const word of ["y", "no", "yess", "YES"]) expect(answered(word).effect).toBeUndefined();
    expect(after(asked, key("escape")).state).toMatchObject({ prompt: undefined, message: "Nothing was changed." });
    // What is typed there is no command.
    expect(after(asked, key("q")).effect).toBeUndefined();
  });

  it("open a job, and close what is open before they end", () => {
    expect(after(filled, key("5"), key("return")).effect).toEqual({ type: "show", id: "43" });
    const open = { ...filled, detail: ["Job 43"] };
    expect(after(open, key("q"))).toMatchObject({ state: { detail: undefined }, effect: undefined });
    expect(after(filled, key("q")).effect).toEqual({ type: "quit" });
    expect(press(filled, { name: "c", text: "", ctrl: true }, shownOf(filled))[1]).toEqual({ type: "quit" });
  });

  it("freeze what is shown until they are pressed again", () => {
    const frozen = after(filled, key("space")).state;
    expect(look(frozen, exampleFacts({ at: 9_000_000 }))).toBe(frozen);
    expect(after(frozen, key("space"))).toMatchObject({ state: { isFrozen: false }, effect: { type: "refresh" } });
  });

  it("go back through the samples of a day, and forward again to now", () => {
    expect(after(filled, key("]"))).toEqual({ state: filled, effect: undefined });
    expect(after(filled, key("[")).effect).toEqual({ type: "remember" });
    const samples = exampleSamples(100);
    const [last, effect] = remembered(filled, samples);
    expect(effect).toEqual({ type: "recall", at: samples[99]?.at });
    const cursorOf = ({ past }: WatchState) => past?.cursor;
    expect(cursorOf(after(last, key("[")).state)).toBe(98);
    expect(cursorOf(after(last, key("{"), key("["), key("]")).state)).toBe(39);
    expect(cursorOf(after(last, key("{"), key("{"), key("[")).state)).toBe(0);
    for (const end of [key("]"), key("}"), key("q"), key("escape")]) {
      expect(after(last, end)).toMatchObject({ state: { past: undefined }, effect: { type: "refresh" } });
    }
    // Nothing is done to what was, and what is read too late is not shown.
    const shown = recalled(last, samples[99]?.at.getTime() ?? 0, samples[99]);
    expect(shownOf(shown)).toEqual({ subject: { kind: "moment", name: "resize_image", isPaused: false }, rows: 2 });
    for (const name of ["p", "r", "c", "return"]) expect(after(shown, key(name)).effect).toBeUndefined();
    expect(recalled(shown, 0, samples[0])).toBe(shown);
    expect(remembered(filled, [])[0]).toMatchObject({
      past: undefined,
      message: expect.stringContaining("no samples"),
    });
  });

  it("change nothing in any order without a yes", () => {
    const names = [
      "1",
      "4",
      "up",
      "down",
      "s",
      "p",
      "r",
      "c",
      "space",
      "escape",
      "return",
      "/",
      "?",
      "n",
      "o",
      "backspace",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...names)), (pressed) => {
        let state = filled;
        for (const name of pressed) {
          const [next, effect] = press(state, key(name), shownOf(state));
          if (effect?.type === "change") expect(["pause", "resume"]).toContain(effect.change.action);
          state =
            effect?.type === "preview"
              ? { ...next, prompt: { kind: "confirm", change: effect.change, question: "?", text: "" } }
              : next;
          const { rows } = shownOf(state);
          expect(state.selected).toBeLessThanOrEqual(Math.max(0, rows));
        }
      }),
    );
  });
});

describe("rates", () => {
  it("come from two looks: how many ids were given out, and how many jobs are gone", () => {
    const point = { at: 0, newestId: 1_000, total: 500, ready: 0 };
    expect(ratesOf([point])).toBeUndefined();
    expect(ratesOf([point, { ...point, at: 10_000, newestId: 1_500, total: 700 }])).toEqual({ added: 50, ended: 30 });
    // An estimate that jumps makes nothing negative.
    expect(ratesOf([point, { ...point, at: 10_000, total: 9_000 }])).toEqual({ added: 0, ended: 0 });
  });
});
