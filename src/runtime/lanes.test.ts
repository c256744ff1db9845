import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../testing/manual-clock.ts";
import { type LaneCall, Lanes, PATIENCE_MS, type Try } from "./lanes.ts";

const HELD = new Error("held");

/** Lanes over names that a stranger holds until the test says otherwise. */
function setUp({ timeoutMs = 30_000 } = {}) {
  const clock = createManualClock();
  const lanes = new Lanes({ clock, timeoutMs, atOnce: 3, isHeld: (error) => error === HELD, random: () => 1 });
  const held = new Set<string>();
  const tries: (Try & { readonly name: string; readonly at: number })[] = [];
  const results = new Map<string, unknown>();
  let busy = 0;
  let busiest = 0;
  const call = (name: string, needs: string, more: Partial<LaneCall<string>> = {}): LaneCall<string> => ({
    async attempt(how) {
      tries.push({ ...how, name, at: clock.monotonic() });
      busy += 1;
      busiest = Math.max(busiest, busy);
      if (held.has(needs)) await clock.sleep(how.patienceMs);
      busy -= 1;
      if (held.has(needs)) throw HELD;
      return name;
    },
    ...more,
  });
  const run = (name: string, needs: string, more?: Partial<LaneCall<string>>): void =>
    void lanes.run(call(name, needs, more)).then(
      (value) => results.set(name, value),
      (error: unknown) => results.set(name, (error as { code?: string }).code ?? error),
    );
  return { clock, lanes, held, tries, results, call, run, busiest: () => busiest };
}

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe("a call that is not held up", () => {
  it("is tried once, at once, and leaves no timer", async () => {
    const { run, tries, results, clock } = setUp();
    run("a", "x", { lanes: { inOrder: ["x"] } });
    await clock.advance(0);
    expect(results).toEqual(new Map([["a", "a"]]));
    expect(tries).toEqual([{ name: "a", at: 0, patienceMs: PATIENCE_MS, isRepeated: false }]);
    expect(clock.pending).toBe(0);
  });

  it("is refused as it was, without another try", async () => {
    const { lanes, clock } = setUp();
    const refusal = new Error("refused");
    await expect(lanes.run({ attempt: () => Promise.reject(refusal) })).rejects.toBe(refusal);
    expect(clock.pending).toBe(0);
  });

  it("is not tried again when what it needs was refused sooner than it was patient", async () => {
    const { lanes } = setUp();
    await expect(lanes.run({ attempt: () => Promise.reject(HELD) })).rejects.toBe(HELD);
  });
});

describe("a call that is held up", () => {
  it("rests for longer and longer, up to a second, until it gets through", async () => {
    const { run, held, tries, results, clock } = setUp();
    held.add("x");
    run("a", "x");
    await clock.advance(6_000);
    const rests = tries.slice(1).map(({ at }, n) => at - (tries[n]?.at ?? 0) - PATIENCE_MS);
    expect(rests).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
    expect(tries.map(({ isRepeated }) => isRepeated)).toEqual(tries.map((_, n) => n > 0));
    held.clear();
    await clock.advance(1_000);
    expect(results.get("a")).toBe("a");
    expect(clock.pending).toBe(0);
  });

  it("gives up when its time is over, tried or not, and lets those behind it go on", async () => {
    const { run, held, results, clock, tries } = setUp({ timeoutMs: 1_000 });
    held.add("x");
    run("a", "x", { lanes: { inOrder: ["x"] } });
    run("b", "x", { lanes: { inOrder: ["x"] } });
    await clock.advance(500);
    run("c", "free", { lanes: { inOrder: ["x"] } });
    await clock.advance(600);
    expect(results).toEqual(
      new Map([
        ["a", "HOWDAH_QUERY_TIMEOUT"],
        ["b", "HOWDAH_QUERY_TIMEOUT"],
        ["c", "c"],
      ]),
    );
    expect(tries.some(({ name }) => name === "b")).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it("waits for ever when there is no limit", async () => {
    const { run, held, results, clock } = setUp({ timeoutMs: 0 });
    held.add("x");
    run("a", "x");
    await clock.advance(3_600_000);
    held.clear();
    await clock.advance(1_100);
    expect(results.get("a")).toBe("a");
  });

  it("keeps the surroundings of its caller", async () => {
    const { lanes, held, clock } = setUp();
    const storage = new AsyncLocalStorage<string>();
    held.add("x");
    const seen: unknown[] = [];
    const attempt = async ({ patienceMs }: Try): Promise<void> => {
      seen.push(storage.getStore());
      if (!held.has("x")) return;
      await clock.sleep(patienceMs);
      throw HELD;
    };
    const calls = ["a", "b"].map((name) => storage.run(name, () => lanes.run({ lanes: { inOrder: ["x"] }, attempt })));
    await clock.advance(200);
    held.clear();
    await clock.advance(1_000);
    await Promise.all(calls);
    expect(seen.filter((name) => name === "b")).toHaveLength(1);
    expect(new Set(seen)).toEqual(new Set(["a", "b"]));
  });
});

describe("many calls that are held up", () => {
  it("try again three at a time, each of them in turn, and hold up no other", async () => {
    const { run, held, tries, results, clock } = setUp();
    const names = times(60, (n) => `n${n}`);
    for (const name of names) {
      held.add(name);
      run(name, name, { lanes: { inOrder: [name] } });
    }
    await clock.advance(1_000);
    run("free", "free", { lanes: { inOrder: ["free"] } });
    await clock.advance(0);
    expect(results).toEqual(new Map([["free", "free"]]));
    await clock.advance(4_000);
    const counts = names.map((name) => tries.filter((tried) => tried.name === name && tried.isRepeated).length);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    held.clear();
    await clock.advance(2_000);
    expect(names.filter((name) => results.get(name) !== name)).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("divide their patience among them, down to ten milliseconds", async () => {
    const { run, held, tries, clock } = setUp();
    for (const name of times(60, (n) => `n${n}`)) {
      held.add(name);
      run(name, name);
    }
    await clock.advance(0);
    expect(tries.slice(0, 5).map(({ patienceMs }) => patienceMs)).toEqual([100, 100, 100, 75, 60]);
    expect(tries.at(-1)?.patienceMs).toBe(10);
  });

  it("that wait at one gate send one ahead, and follow when it got through", async () => {
    const { run, held, tries, results, clock } = setUp();
    held.add("q");
    const gates = (): Promise<string[]> => Promise.resolve(["q"]);
    for (const n of times(5, (index) => index)) run(`a${n}`, "q", { gates });
    await clock.advance(500);
    run("late", "q", { lanes: { gates: ["q"] } });
    await clock.advance(3_000);
    expect(new Set(tries.filter(({ isRepeated }) => isRepeated).map(({ name }) => name)).size).toBe(1);
    expect(tries.some(({ name }) => name === "late")).toBe(false);
    held.clear();
    await clock.advance(1_000);
    expect([...results.keys()].sort()).toEqual(["a0", "a1", "a2", "a3", "a4", "late"]);
  });
});
