import { describe, expect, it } from "vitest";
import { splitConnections } from "./split-connections.ts";

describe("splitConnections", () => {
  it.each([
    // in all, asked for handlers, engine, handlers, waiting
    [1, undefined, 1, 0, 0],
    [2, undefined, 1, 1, 0],
    [3, undefined, 2, 1, 0],
    [4, undefined, 2, 1, 1],
    [5, undefined, 2, 1, 2],
    [7, undefined, 4, 1, 2],
    [9, undefined, 4, 2, 3],
    [10, undefined, 5, 2, 3],
    [20, undefined, 10, 4, 6],
    [1, 0, 1, 0, 0],
    [3, 0, 3, 0, 0],
    [4, 0, 3, 0, 1],
    [10, 0, 7, 0, 3],
    [3, 2, 1, 2, 0],
    [4, 1, 2, 1, 1],
    [5, 2, 2, 2, 1],
    [10, 1, 6, 1, 3],
    [10, 5, 2, 5, 3],
    [10, 7, 2, 7, 1],
  ])("gives of %i connections, %s for handlers: engine %i, handlers %i, waiting %i", (total, asked, ...parts) => {
    const { engine, handlers, waiting } = splitConnections(total, asked);
    expect([engine, handlers, waiting]).toEqual(parts);
  });

  it("uses each connection once, and leaves the engine some, however many there are", () => {
    for (let total = 1; total <= 40; total++) {
      for (const asked of [undefined, ...Array.from({ length: total }, (_, index) => index)]) {
        if (asked !== undefined && asked > (total < 4 ? total - 1 : total - 3)) continue;
        const { engine, handlers, waiting } = splitConnections(total, asked);
        expect(engine + handlers + waiting).toBe(total);
        expect(engine).toBeGreaterThanOrEqual(total < 4 ? 1 : 2);
        if (total >= 4) expect(waiting).toBeGreaterThanOrEqual(1);
      }
    }
  });

  it.each([
    [1, 1, 0],
    [3, 3, 2],
    [4, 2, 1],
    [10, 8, 7],
  ])("refuses, of %i, %i for handlers, and says that %i are possible", (total, asked, most) => {
    expect(() => splitConnections(total, asked)).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_INVALID", message: expect.stringContaining(`at most ${most} `) }),
    );
  });
});
