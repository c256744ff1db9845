import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { OneAtATime } from "./one-at-a-time.ts";

describe("a session that runs one statement at a time", () => {
  it("leaves nothing on the signal of a caller once a statement has ended, answered or refused", async () => {
    const refused = new Error("refused");
    const session = new OneAtATime({
      query: ({ text }) => (text === "wrong" ? Promise.reject(refused) : Promise.resolve({ rows: [], count: 0 })),
    });
    const lost = new AbortController();
    const asked = ["right", "wrong", "right"].map((text) => session.query({ text, lost: lost.signal }));
    expect(getEventListeners(lost.signal, "abort")).toHaveLength(3);
    await Promise.allSettled(asked);
    expect(getEventListeners(lost.signal, "abort")).toHaveLength(0);
  });
});
