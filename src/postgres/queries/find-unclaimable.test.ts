import { describe, expect, it } from "vitest";
import { blamedOf } from "./find-unclaimable.ts";

const locked = (id: string) => ({ id, state: null, message: null });
const refused = (id: string, state = "42501") => ({ id, state, message: "no" });

describe("jobs that a claim cannot lock", () => {
  it("are blamed when another one can be locked", () => {
    const many = Array.from({ length: 50 }, (_, id) => refused(String(id)));
    expect(blamedOf([...many, locked("50")])).toEqual(many);
  });

  it("are not blamed when three or more are all refused: the fault lies elsewhere", () => {
    expect(blamedOf([refused("1"), refused("2"), refused("3", "P0001")])).toEqual([]);
  });

  it("are blamed when they are alone", () => {
    expect(blamedOf([refused("1"), refused("2")])).toEqual([refused("1"), refused("2")]);
    expect(blamedOf([locked("1")])).toEqual([]);
    expect(blamedOf([])).toEqual([]);
  });
});
