import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterFailure, afterSearch, REST, type StraightClaims, UNLIKELY } from "./straight-claims.ts";

type Event = "full" | "short" | "failed";

/** Plays a history, each search as the state before it says, and returns each state with what has led to it. */
function play(events: readonly Event[]): { event: Event; before: StraightClaims; after: StraightClaims }[] {
  let state = UNLIKELY;
  return events.map((event) => {
    const before = state;
    state = next(before, event);
    return { event, before, after: state };
  });
}

function next(state: StraightClaims, event: Event): StraightClaims {
  if (event === "failed") return afterFailure(state);
  const isFull = event === "full";
  return afterSearch(state, { wasStraight: state.isLikely, isStraight: state.isLikely && isFull, isFull });
}

const histories = fc.array(fc.constantFrom<Event>("full", "full", "full", "short", "failed"), { maxLength: 80 });

describe("a search goes straight", () => {
  it("after one that got all it asked for, and not before the first", () => {
    expect(UNLIKELY.isLikely).toBe(false);
    expect(play(["full", "full", "full"]).map(({ after }) => after.isLikely)).toEqual([true, true, true]);
  });

  it("never right after one that got less or failed", () => {
    fc.assert(
      fc.property(histories, (events) => {
        const others = play(events).filter(({ event }) => event !== "full");
        expect(others.filter(({ after }) => after.isLikely)).toEqual([]);
      }),
    );
  });

  it("again after one that looked elsewhere, but not before as many have looked everywhere as make up for it", () => {
    fc.assert(
      fc.property(histories, (events) => {
        let answeredSince = REST;
        for (const { event, before, after } of play(events)) {
          const hasLookedElsewhere = before.isLikely && event === "short";
          if (event !== "failed") answeredSince = hasLookedElsewhere ? 0 : answeredSince + 1;
          expect(after.isLikely).toBe(event === "full" && answeredSince >= REST);
        }
      }),
    );
  });

  it("not although it got all it asked for, when it had to look elsewhere for that", () => {
    const likely = { isLikely: true, rest: 0 };
    const state = afterSearch(likely, { wasStraight: true, isStraight: false, isFull: true });
    expect(state).toEqual({ isLikely: false, rest: REST });
  });

  it("whatever an older search is answered that overlapped", () => {
    fc.assert(
      fc.property(histories, fc.boolean(), (events, isFull) => {
        const state = play(events).at(-1)?.after ?? UNLIKELY;
        const after = afterSearch(state, { wasStraight: false, isStraight: false, isFull });
        expect(after.rest).toBe(Math.max(0, state.rest - 1));
        expect(after.isLikely).toBe(isFull && after.rest === 0);
      }),
    );
  });
});
