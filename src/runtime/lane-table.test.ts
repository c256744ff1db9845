import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LaneTable, type Waiting } from "./lane-table.ts";

const FOREVER = Number.POSITIVE_INFINITY;

describe("lanes in order", () => {
  it("let one after another try, in the order in which they entered", () => {
    const table = new LaneTable(3);
    const [a, b, c] = [1, 2, 3].map(() => table.enter({ inOrder: ["k"] }, FOREVER)) as [Waiting, Waiting, Waiting];
    expect([a, b, c].map(({ state }) => state)).toEqual(["trying", "queued", "queued"]);
    expect(table.leave(a)).toEqual([b]);
    expect(table.leave(b)).toEqual([c]);
    expect(table.leave(c)).toEqual([]);
    expect(table.isIdle).toBe(true);
  });

  it("keep those behind one that rests, and no others", () => {
    const table = new LaneTable(3);
    const first = table.enter({ inOrder: ["k"] }, FOREVER);
    const behind = table.enter({ inOrder: ["k", "l"] }, FOREVER);
    const behindThat = table.enter({ inOrder: ["l"] }, FOREVER);
    table.rest(first, 50);
    expect([behind.state, behindThat.state]).toEqual(["queued", "queued"]);
    expect(table.enter({ inOrder: ["m"] }, FOREVER).state).toBe("trying");
    expect(table.enter({}, FOREVER).state).toBe("trying");
  });

  it("go on behind one that gives up", () => {
    const table = new LaneTable(3);
    const first = table.enter({ inOrder: ["k"] }, 100);
    const second = table.enter({ inOrder: ["k"] }, 200);
    table.rest(first, 50);
    expect(table.expired(99)).toEqual([]);
    expect(table.expired(100)).toEqual([first]);
    expect(table.leave(first)).toEqual([second]);
    expect(second.state).toBe("trying");
  });
});

describe("rests", () => {
  it("end when they are over, at most N at once, the longest due first", () => {
    const table = new LaneTable(2);
    const [a, b, c] = [30, 10, 20].map((dueAt) => {
      const waiting = table.enter({}, FOREVER);
      table.rest(waiting, dueAt);
      return waiting;
    }) as [Waiting, Waiting, Waiting];
    expect(table.nextAt(0)).toBe(10);
    expect(table.again(9)).toBeUndefined();
    expect(table.again(30)).toBe(b);
    expect(table.again(30)).toBe(c);
    expect(table.again(30)).toBeUndefined();
    table.rest(b, 60);
    expect(table.again(30)).toBe(a);
    expect(table.nextAt(30)).toBe(60);
  });
});

describe("gates", () => {
  it("let one go ahead; when it got through, the others follow at once", () => {
    const table = new LaneTable(1);
    const [a, b] = [table.enter({}, FOREVER), table.enter({}, FOREVER)];
    table.rest(a, 10, ["q"]);
    table.rest(b, 10, ["q"]);
    expect(table.hasGate("q")).toBe(true);
    const late = table.enter({ gates: ["q"] }, FOREVER);
    expect(late.state).toBe("queued");
    expect(table.again(20)).toBe(a);
    expect(table.again(20)).toBeUndefined();
    expect(table.leave(a, { opens: true })).toEqual([late]);
    expect(table.again(0)).toBe(b);
    expect(table.hasGate("q")).toBe(false);
  });

  it("let the next go ahead when the first gives up or is refused", () => {
    const table = new LaneTable(1);
    const first = table.enter({}, FOREVER);
    table.rest(first, 10, ["q"]);
    const [second, third] = [table.enter({ gates: ["q"] }, FOREVER), table.enter({ gates: ["q"] }, FOREVER)];
    expect(table.leave(first)).toEqual([second]);
    expect(third.state).toBe("queued");
  });
});

/** What may happen, with numbers that choose among those it may happen to. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("enter" as const), keys: fc.uniqueArray(fc.nat(3), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("rest" as const), who: fc.nat(), gate: fc.option(fc.nat(2)), restMs: fc.nat(50) }),
  fc.record({ kind: fc.constant("leave" as const), who: fc.nat(), opens: fc.boolean() }),
  fc.record({ kind: fc.constant("again" as const) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(60) }),
);

describe("whatever happens", () => {
  it("order is kept, at most N try again, no lane holds up another, and everybody gets a turn", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const AT_ONCE = 2;
        const table = new LaneTable(AT_ONCE);
        const open: Waiting[] = [];
        let now = 0;
        const trying = (): Waiting[] => open.filter(({ state }) => state === "trying");
        const check = (): void => {
          expect(trying().filter(({ failures }) => failures > 0).length).toBeLessThanOrEqual(AT_ONCE);
          for (const waiting of open) {
            const before = open.slice(0, open.indexOf(waiting));
            const shares = before.some(({ inOrder }) => inOrder.some((key) => waiting.inOrder.includes(key)));
            if (waiting.state === "trying") expect(shares).toBe(false);
            if (waiting.state === "queued") expect(shares || waiting.gates.size > 0).toBe(true);
          }
        };
        const leave = (waiting: Waiting, opens: boolean): void => {
          open.splice(open.indexOf(waiting), 1);
          for (const started of table.leave(waiting, { opens })) expect(started.state).toBe("trying");
        };
        for (const given of steps) {
          const candidates = trying();
          if (given.kind === "enter") open.push(table.enter({ inOrder: given.keys.map((key) => `k${key}`) }, FOREVER));
          if (given.kind === "wait") now += given.ms;
          if (given.kind === "again") table.again(now);
          const chosen = "who" in given ? candidates[given.who % candidates.length] : undefined;
          if (chosen && given.kind === "rest")
            table.rest(chosen, now + given.restMs, given.gate === null ? [] : [`g${given.gate}`]);
          if (chosen && given.kind === "leave") leave(chosen, given.opens);
          check();
        }
        // From now on no call is held any more: all get through.
        for (let rounds = 0; open.length > 0; rounds++) {
          expect(rounds).toBeLessThan(1_000);
          now += 50;
          while (table.again(now));
          for (const waiting of trying()) leave(waiting, true);
          check();
        }
        expect(table.isIdle).toBe(true);
        expect(table.held).toBe(0);
        expect(table.nextAt(now)).toBe(FOREVER);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
