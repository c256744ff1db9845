import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { initial, isAtRest, step, type Effect, type Event, type State, type Step } from "./machine.ts";

const arrived = (count: number, rest: { more?: boolean; delay?: boolean } = {}): Event => ({
  type: "fetched",
  count,
  more: false,
  delay: false,
  ...rest,
});

/** The state after these events, and the effects of the last one. */
function after(...events: readonly Event[]): Step {
  return events.reduce<Step>(([state], event) => step(state, event), [initial, []]);
}

const polling: readonly Event[] = [{ type: "started" }];
const resting: readonly Event[] = [...polling, arrived(0)];
const waiting: readonly Event[] = [...polling, arrived(3)];
const expired: readonly Event[] = [...waiting, { type: "ttlDue" }];

describe("each mode", () => {
  it.each<[string, readonly Event[], Event, State["mode"], readonly Effect[]]>([
    ["starting: does nothing until it is started", [], { type: "pulsed" }, "starting", []],
    ["starting: fetches when it is started", [], { type: "started" }, "polling", ["fetch"]],
    ["polling: is started only once", resting, { type: "started" }, "polling", []],
    ["polling: holds what arrives, for a limited time", polling, arrived(1), "waiting", ["startTtl"]],
    ["polling: rests when nothing is there", polling, arrived(0), "polling", ["pollLater"]],
    ["polling: looks again at once when there may be more", polling, arrived(0, { more: true }), "polling", ["fetch"]],
    ["polling: fetches when jobs are announced", resting, { type: "pulsed" }, "polling", ["fetch"]],
    ["polling: fetches when the poll is due", resting, { type: "pollDue" }, "polling", ["fetch"]],
    ["polling: rests after a failure", polling, { type: "fetchFailed" }, "polling", ["pollLater"]],
    [
      "polling: is as before its start when the worker goes idle",
      resting,
      { type: "suspended" },
      "starting",
      ["stopTimers"],
    ],
    ["polling: goes on while it fetches", polling, { type: "suspended" }, "polling", []],
    ["waiting: goes on when the worker would go idle", waiting, { type: "suspended" }, "waiting", []],
    ["waiting: does not fetch when jobs are announced", waiting, { type: "pulsed" }, "waiting", []],
    ["waiting: fetches when drained", waiting, { type: "drained" }, "polling", ["stopTtl", "fetch"]],
    ["waiting: gives back what sat too long", waiting, { type: "ttlDue" }, "ttlExpired", ["returnJobs"]],
    ["ttlExpired: does not fetch when jobs are announced", expired, { type: "pulsed" }, "ttlExpired", []],
    ["ttlExpired: fetches when a slot asks", expired, { type: "asked" }, "polling", ["fetch"]],
    ["released: comes from starting", [], { type: "released" }, "released", ["stopTimers"]],
    ["released: comes from polling", polling, { type: "released" }, "released", ["stopTimers"]],
    ["released: comes from ttlExpired", expired, { type: "released" }, "released", ["stopTimers"]],
    [
      "released: comes from waiting, whose jobs go back",
      waiting,
      { type: "released" },
      "released",
      ["stopTimers", "stopTtl", "returnJobs"],
    ],
    [
      "released: gives back what a late fetch brings",
      [...polling, { type: "released" }],
      arrived(2),
      "released",
      ["returnJobs"],
    ],
    [
      "released: has nothing to give back when a late fetch fails",
      [...polling, { type: "released" }],
      { type: "fetchFailed" },
      "released",
      [],
    ],
  ])("%s", (_, history, event, mode, effects) => {
    const [state, done] = after(...history, event);
    expect(state.mode).toBe(mode);
    expect(done).toEqual(effects);
  });
});

describe("a fetch under way", () => {
  it("is followed by another when jobs were announced during it and it brought none", () => {
    expect(after(...polling, { type: "pulsed" }, arrived(0))[1]).toEqual(["fetch"]);
  });

  it("is not followed by another when it brought some, and it does not look twice for the same announcement", () => {
    const [state, effects] = after(...polling, { type: "pulsed" }, arrived(1), { type: "drained" }, arrived(0));
    expect(effects).toEqual(["pollLater"]);
    expect(state.missed).toBe(false);
  });
});

describe("a refetch delay", () => {
  it("holds back every fetch until it is over", () => {
    const delayed = [...polling, arrived(0, { delay: true, more: true })];
    expect(after(...delayed)[1]).toEqual([]);
    expect(after(...delayed, { type: "pulsed" })[1]).toEqual([]);
    expect(after(...delayed, { type: "pollDue" })[1]).toEqual([]);
    expect(after(...delayed, { type: "delayOver" })[1]).toEqual(["fetch"]);
  });

  it("lets the worker go idle unless something was missed meanwhile", () => {
    const delayed = [...polling, arrived(0, { delay: true })];
    expect(isAtRest(after(...delayed)[0])).toBe(true);
    expect(isAtRest(after(...delayed, { type: "pulsed" })[0])).toBe(false);
    expect(isAtRest(after(...delayed, { type: "pulsed" }, { type: "delayOver" }, arrived(0))[0])).toBe(true);
    const more = [...polling, arrived(1, { delay: true }), { type: "drained" } as const, arrived(0, { more: true })];
    expect(isAtRest(after(...more)[0])).toBe(false);
  });

  it("begins while jobs are served, and counts when they are drained", () => {
    const served = [...polling, arrived(1, { delay: true })];
    expect(after(...served, { type: "drained" })[1]).toEqual(["stopTtl"]);
    expect(after(...served, { type: "drained" }, { type: "delayOver" })[1]).toEqual(["fetch"]);
    expect(after(...served, { type: "delayOver" }, { type: "drained" })[1]).toEqual(["stopTtl", "fetch"]);
  });
});

describe("the rest after a failed fetch", () => {
  it("is not cut short by announcements", () => {
    const failed: readonly Event[] = [...polling, { type: "fetchFailed" }];
    expect(after(...failed, { type: "pulsed" })[1]).toEqual([]);
    expect(after(...failed, { type: "pulsed" }, { type: "pollDue" })[1]).toEqual(["fetch"]);
  });
});

/** What surrounds the machine: the fetch, the timers and the cache that its effects stand for. */
class World {
  state: State = initial;
  fetching = false;
  ttlTimer = false;
  pollTimer = false;
  delayTimer = false;
  /** A fetch failed, and the poll that follows is not due yet. */
  resting = false;
  cached = 0;
  returned = 0;
  arrived = 0;
  taken = 0;

  /** Whether this can happen now. */
  allows(event: Event): boolean {
    switch (event.type) {
      case "fetched":
        // A worker that has been told to stop starts no delay.
        return this.fetching && !(event.delay && this.state.mode === "released");
      case "fetchFailed":
        return this.fetching;
      case "pollDue":
        return this.pollTimer;
      case "delayOver":
        return this.delayTimer;
      case "drained":
        return this.cached > 0;
      case "ttlDue":
        return this.ttlTimer;
      case "asked":
        return this.cached === 0;
      default:
        return true;
    }
  }

  apply(event: Event): void {
    if (event.type === "fetched") {
      this.cached += event.count;
      this.arrived += event.count;
      this.delayTimer ||= event.delay;
    }
    if (event.type === "fetched" || event.type === "fetchFailed") this.fetching = false;
    if (event.type === "pollDue") this.pollTimer = this.resting = false;
    if (event.type === "fetchFailed") this.resting = true;
    if (event.type === "delayOver") this.delayTimer = false;
    if (event.type === "ttlDue") this.ttlTimer = false;
    if (event.type === "drained") {
      this.taken += this.cached;
      this.cached = 0;
    }
    const [state, effects] = step(this.state, event);
    this.state = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect) {
      case "fetch":
        expect(this.fetching, "a second fetch").toBe(false);
        expect(this.delayTimer, "a fetch during a refetch delay").toBe(false);
        expect(this.cached, "a fetch with jobs at hand").toBe(0);
        expect(this.resting, "a fetch during the rest after a failure").toBe(false);
        this.fetching = true;
        this.pollTimer = false;
        return;
      case "pollLater":
        this.pollTimer = true;
        return;
      case "startTtl":
        expect(this.ttlTimer).toBe(false);
        this.ttlTimer = true;
        return;
      case "stopTtl":
        this.ttlTimer = false;
        return;
      case "returnJobs":
        this.returned += this.cached;
        this.cached = 0;
        return;
      case "stopTimers":
        this.pollTimer = false;
        this.delayTimer = false;
    }
  }

  check(): void {
    const { state } = this;
    expect(state.fetching, "fetching is true exactly while a fetch is under way").toBe(this.fetching);
    expect(this.ttlTimer, "the ttl runs exactly while jobs wait").toBe(state.mode === "waiting");
    expect(this.cached > 0, "jobs are at hand exactly while they wait").toBe(state.mode === "waiting");
    expect(state.delayed).toBe(this.delayTimer);
    expect(this.arrived, "no job is forgotten").toBe(this.cached + this.taken + this.returned);
    if (state.mode === "polling") {
      expect(this.fetching || this.pollTimer || this.delayTimer, "polling never stands still").toBe(true);
    }
    if (state.mode === "released") expect(this.pollTimer || this.delayTimer, "released leaves no timer").toBe(false);
  }
}

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.constantFrom<Event>(
    { type: "started" },
    { type: "pulsed" },
    { type: "pollDue" },
    { type: "fetchFailed" },
    { type: "delayOver" },
    { type: "drained" },
    { type: "ttlDue" },
    { type: "asked" },
    { type: "suspended" },
  ),
  fc
    .tuple(fc.constantFrom(0, 0, 1, 3), fc.boolean(), fc.boolean())
    .map(([count, more, delay]) => arrived(count, { more, delay })),
);

describe("whatever happens, in whatever order", () => {
  it("never fetches twice, loses no job, stands still nowhere, and is released for good", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 60 }), fc.nat(60), (events, releaseAt) => {
        const world = new World();
        const history = events.toSpliced(releaseAt, 0, { type: "released" });
        for (const event of history) {
          if (!world.allows(event)) continue;
          const wasReleased = world.state.mode === "released";
          world.apply(event);
          world.check();
          if (wasReleased) expect(world.state.mode).toBe("released");
        }
        expect(world.state.mode).toBe("released");
      }),
      { numRuns: 3_000 },
    );
  });
});
