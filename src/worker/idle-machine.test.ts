import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beginActive, type IdleEffect, type IdleEvent, idleRestMs, type IdleState, idleStep } from "./idle-machine.ts";

const LIMITS = { idleTimeoutMs: 300_000, idlePollIntervalMs: 600_000 };

const checked = (now: number, seen: Partial<Extract<IdleEvent, { type: "checked" }>> = {}): IdleEvent => ({
  type: "checked",
  now,
  isBusy: false,
  mayLeave: true,
  isAtRest: true,
  ...seen,
});

/** The state after these events, and the effect of the last one. */
function after(...events: readonly IdleEvent[]): readonly [IdleState, IdleEffect?] {
  return events.reduce<readonly [IdleState, IdleEffect?]>(
    ([state], event) => idleStep(state, event, LIMITS),
    [beginActive(0, LIMITS)],
  );
}

const closing: readonly IdleEvent[] = [checked(300_000), { type: "scanned", dueAt: Number.POSITIVE_INFINITY }];
const leaving: readonly IdleEvent[] = [...closing, checked(301_000)];
const left = (now: number): IdleEvent => ({ type: "left", now, isOff: true });
const idle: readonly IdleEvent[] = [...leaving, left(302_000)];

describe("each mode", () => {
  it.each<[string, readonly IdleEvent[], IdleEvent, IdleState["mode"], IdleEffect | undefined]>([
    ["active: stays for idleTimeout", [], checked(299_999), "active", undefined],
    ["active: then looks everywhere a last time", [], checked(300_000), "closing", "scan"],
    ["active: stays while it holds a job", [], checked(900_000, { isBusy: true }), "active", undefined],
    ["active: stays while others need it", [], checked(900_000, { mayLeave: false }), "active", undefined],
    ["active: counts from its last job", [checked(200_000, { isBusy: true })], checked(499_999), "active", undefined],
    ["closing: waits for the scan", closing, checked(301_000, { isAtRest: false }), "closing", undefined],
    ["closing: ends with a job", closing, checked(301_000, { isBusy: true }), "active", undefined],
    ["closing: ends when others need it", closing, checked(301_000, { mayLeave: false }), "active", undefined],
    [
      "closing: ends when the database fails",
      [checked(300_000)],
      { type: "scanned", dueAt: undefined },
      "active",
      undefined,
    ],
    ["closing: claims what is notified", closing, { type: "notified" }, "closing", undefined],
    [
      "closing: stays for what may become due in a moment",
      [...closing, { type: "notified" }],
      checked(301_000),
      "active",
      undefined,
    ],
    ["closing: ends with its session", [...closing, { type: "disturbed" }], checked(301_000), "active", undefined],
    ["closing: leaves when the scan found nothing", closing, checked(301_000), "leaving", "leave"],
    ["leaving: is idle when it is off the register", leaving, left(302_000), "idle", undefined],
    [
      "leaving: returns when it may still be on it",
      leaving,
      { type: "left", now: 302_000, isOff: false },
      "returning",
      "return",
    ],
    ["idle: stays", idle, checked(901_999), "idle", undefined],
    ["idle: looks around after idlePollInterval", idle, checked(902_000), "returning", "return"],
    ["idle: returns when notified", [...idle, { type: "notified" }], checked(302_000), "returning", "return"],
    ["idle: returns when its session ends", [...idle, { type: "disturbed" }], checked(302_000), "returning", "return"],
    [
      "idle: was notified while it left",
      [...leaving, { type: "notified" }, left(302_000)],
      checked(302_000),
      "returning",
      "return",
    ],
  ])("%s", (_, history, event, mode, effect) => {
    const [state, done] = after(...history, event);
    expect([state.mode, done]).toEqual([mode, effect]);
  });
});

describe("a worker that was notified while it was closing", () => {
  const called: readonly IdleEvent[] = [...closing, { type: "notified" }, checked(301_000)];

  it("stays for idleTimeout, and then closes as if nothing had been", () => {
    expect(after(...called, checked(600_999))[0].mode).toBe("active");
    const again: readonly IdleEvent[] = [...called, checked(601_000), { type: "scanned", dueAt: 700_000 }];
    expect(after(...again, checked(602_000))[1]).toBe("leave");
  });
});

describe("a worker that has returned", () => {
  const returned: IdleEvent = { type: "returned", now: 303_000 };

  it("stays when it was notified, and while it returned, too", () => {
    const called = [...idle, { type: "notified" } as const, checked(302_500), returned];
    expect(after(...called)[0].idleAt).toBe(603_000);
    const late = [...idle, { type: "disturbed" } as const, checked(302_500), { type: "notified" } as const, returned];
    expect(after(...late)[0].idleAt).toBe(603_000);
  });

  it("may leave at once when it only looks around", () => {
    expect(after(...idle, checked(902_000), { type: "returned", now: 903_000 }, checked(904_000))[1]).toBe("scan");
    expect(after(...idle, { type: "disturbed" }, checked(302_500), returned, checked(304_000))[1]).toBe("scan");
  });

  it("stays when a job has become due, for which it came back in time", () => {
    const scheduled = [checked(300_000), { type: "scanned", dueAt: 450_000 } as const, checked(301_000), left(302_000)];
    expect(idleRestMs(after(...scheduled)[0], 302_000, LIMITS)).toBe(148_000);
    expect(after(...scheduled, checked(449_999))[1]).toBeUndefined();
    const due = [...scheduled, checked(450_000)];
    expect(after(...due)[1]).toBe("return");
    expect(after(...due, { type: "returned", now: 450_100 })[0].idleAt).toBe(750_100);
  });
});

/** A worker around the machine, with a database that notifies it of jobs. */
class World {
  state = beginActive(0, LIMITS);
  now = 0;
  effect: IdleEffect | undefined;
  claims = true;
  isRegistered = true;
  /** Jobs that no claim has seen, and since when. */
  unseenSince: number | undefined;
  heldAt = 0;
  isBusy = false;
  mayLeave = true;
  leftAt = 0;

  step(event: IdleEvent): void {
    const [state, effect] = idleStep(this.state, event, LIMITS);
    this.state = state;
    if (effect) this.begin(effect);
  }

  begin(effect: IdleEffect): void {
    // One thing at a time.
    expect(this.effect).toBeUndefined();
    this.effect = effect;
    if (effect !== "leave") return;
    expect([this.isBusy, this.unseenSince]).toEqual([false, undefined]);
    this.claims = false;
  }

  /** A job is added; the notification is there at once. */
  add(isLost: boolean): void {
    this.unseenSince ??= this.now;
    if (!isLost) this.step({ type: "notified" });
    this.claim();
  }

  claim(): void {
    if (!this.claims || this.unseenSince === undefined) return;
    expect(this.isRegistered).toBe(true);
    this.unseenSince = undefined;
    this.isBusy = true;
  }

  endEffect(isOk: boolean): void {
    const { effect, now } = this;
    this.effect = undefined;
    if (effect === "scan") this.step({ type: "scanned", dueAt: isOk ? Number.POSITIVE_INFINITY : undefined });
    if (effect === "leave") {
      if (isOk) this.isRegistered = false;
      this.leftAt = now;
      this.step({ type: "left", now, isOff: isOk });
    }
    if (effect === "return") {
      this.isRegistered = true;
      this.claims = true;
      this.step({ type: "returned", now });
      this.claim();
    }
  }

  /** The round of the loop, which waits for what is under way. */
  check(): void {
    if (this.effect) return;
    if (this.isBusy) this.heldAt = this.now;
    const { now, isBusy, mayLeave } = this;
    this.step({ type: "checked", now, isBusy, mayLeave, isAtRest: this.unseenSince === undefined });
    this.isBusy = false;
    this.obey();
  }

  obey(): void {
    const { mode } = this.state;
    expect(this.claims).toBe(mode === "active" || mode === "closing");
    if (this.claims) expect(this.isRegistered).toBe(true);
    if (mode === "idle") {
      expect(this.isRegistered).toBe(false);
      expect(this.now - this.leftAt).toBeLessThan(LIMITS.idlePollIntervalMs);
    }
  }

  /** Everything goes on until a job that was added is claimed, which takes no longer than a look around. */
  settle(): void {
    for (let round = 0; this.unseenSince !== undefined && round < 20; round += 1) {
      this.endEffect(true);
      this.check();
      if (this.unseenSince !== undefined && !this.effect) this.now += idleRestMs(this.state, this.now, LIMITS);
    }
    expect(this.unseenSince).toBeUndefined();
  }
}

const THROUGH_ALL_MODES: [string, number][] = [
  ["pass", 400_000],
  ["check", 0],
  ["end", 1],
  ["check", 0],
  ["end", 1],
  ["disturb", 0],
  ["check", 0],
];

describe("whatever happens", () => {
  it("no job is missed, nothing is claimed off the register, and one thing happens at a time", () => {
    const acts = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constant<readonly [string, number]>(["check", 0]) },
        { weight: 3, arbitrary: fc.tuple(fc.constant("pass"), fc.integer({ min: 0, max: 400_000 })) },
        { weight: 3, arbitrary: fc.tuple(fc.constant("end"), fc.integer({ min: 0, max: 3 })) },
        fc.tuple(fc.constantFrom("add", "lose", "disturb", "may", "mayNot"), fc.constant(0)),
      ),
      { maxLength: 60 },
    );
    const seen = new Set<string>();
    fc.assert(
      fc.property(acts, (all) => {
        const world = new World();
        for (const [act, number] of all) {
          if (act === "pass") world.now += number;
          else if (act === "check") world.check();
          else if (act === "end") world.endEffect(number > 0);
          else if (act === "disturb") world.step({ type: "disturbed" });
          else if (act === "may" || act === "mayNot") world.mayLeave = act === "may";
          else world.add(act === "lose");
          // A loop wakes in time.
          if (world.state.mode === "idle" && idleRestMs(world.state, world.now, LIMITS) === 0) world.check();
          seen.add(world.state.mode);
        }
        world.settle();
      }),
      // The example goes through all modes, which those that chance makes do nearly always.
      { numRuns: 2_000, examples: [[THROUGH_ALL_MODES]] },
    );
    expect([...seen].toSorted()).toEqual(["active", "closing", "idle", "leaving", "returning"]);
  });
});
