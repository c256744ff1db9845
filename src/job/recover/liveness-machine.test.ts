import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  alarmInMs,
  begin,
  restMs,
  livenessStep,
  type LivenessEffect,
  type LivenessEvent,
  type LivenessState,
} from "./liveness-machine.ts";

const LIMITS = { contactTimeoutMs: 20_000 };
const INTERVAL_MS = 4_000;
const SWEEP_MS = 5_000;

/** A machine, and what it has begun. */
class Model {
  state: LivenessState = begin(0);
  now = 0;
  /** A heartbeat is under way since then. */
  sentAt: number | undefined;
  /** That heartbeat looks as well. */
  looks = false;
  /** How many sweeps are at work. */
  sweeps = 0;
  effects: LivenessEffect[] = [];

  handle(event: LivenessEvent): readonly LivenessEffect[] {
    const [state, effects] = livenessStep(this.state, event);
    this.state = state;
    for (const effect of effects) this.begin(effect);
    return effects;
  }

  begin(effect: LivenessEffect): void {
    this.effects.push(effect);
    if (effect === "beat" || effect === "beatAndLook") {
      expect(this.sentAt).toBeUndefined();
      this.sentAt = this.now;
      this.looks = effect === "beatAndLook";
    } else if (effect !== "loseContact") {
      this.sweeps += 1;
      // Never two at a time.
      expect(this.sweeps).toBe(1);
    }
  }

  turn(): readonly LivenessEffect[] {
    // The loop waits for the heartbeat under way.
    return this.sentAt === undefined ? this.handle({ type: "turned", now: this.now, restMs: INTERVAL_MS }) : [];
  }

  answer(hasLook = this.looks): readonly LivenessEffect[] {
    const { sentAt, now } = this;
    if (sentAt === undefined) return [];
    this.sentAt = undefined;
    return this.handle({ type: "beatAnswered", now, restMs: INTERVAL_MS, sentAt, hasLook });
  }

  fail(wasSent = true): readonly LivenessEffect[] {
    if (this.sentAt === undefined) return [];
    this.sentAt = undefined;
    return this.handle({ type: "beatFailed", now: this.now, wasSent });
  }

  end(type: "sweepDone" | "sweepFailed"): void {
    if (this.sweeps === 0) return;
    this.sweeps = 0;
    this.handle({ type, now: this.now, restMs: SWEEP_MS });
  }

  /** Up to the first sweep, which is done. */
  started(): this {
    this.turn();
    this.answer();
    this.end("sweepDone");
    this.effects = [];
    return this;
  }
}

describe("when a worker sends heartbeats and looks", () => {
  it("sends a heartbeat first, and looks by itself once that is answered or has failed", () => {
    for (const how of ["answer", "fail"] as const) {
      const model = new Model();
      expect(model.turn()).toEqual(["beat"]);
      expect(model[how]()).toEqual(["sweep"]);
    }
  });

  it("looks with the heartbeat before a look is due, and sweeps with what that brings", () => {
    const model = new Model().started();
    model.now = INTERVAL_MS;
    expect(model.turn()).toEqual(["beatAndLook"]);
    expect(model.answer()).toEqual(["sweepWithLook"]);
  });

  it("looks by itself, and watches anew, when the heartbeat was answered over another way, or has failed", () => {
    for (const end of [(model: Model) => model.answer(false), (model: Model) => model.fail()]) {
      const model = new Model().started();
      model.now = INTERVAL_MS;
      model.turn();
      expect(end(model)).toEqual(["sweepAnew"]);
    }
  });

  it("looks by itself, and goes on watching, when an id could not be registered", () => {
    const model = new Model().started();
    model.now = INTERVAL_MS;
    model.turn();
    expect(model.fail(false)).toEqual(["sweep"]);
  });

  it("looks by itself over another session, and takes no look that was under way", () => {
    const model = new Model().started();
    model.now = INTERVAL_MS;
    model.turn();
    expect(model.handle({ type: "sessionOpened" })).toEqual(["sweep"]);
    expect(model.answer()).toEqual([]);
  });

  it("does not look with heartbeats after a failed sweep, until it has looked by itself", () => {
    const model = new Model().started();
    model.now = INTERVAL_MS;
    model.turn();
    model.answer();
    model.end("sweepFailed");
    model.now += INTERVAL_MS;
    expect(model.turn()).toEqual(["beat"]);
    expect(model.handle({ type: "sessionOpened" })).toEqual([]);
    model.answer();
    model.now += SWEEP_MS - INTERVAL_MS;
    expect(model.turn()).toEqual(["sweep"]);
  });

  it("sends another heartbeat at once when one was wanted while one was under way", () => {
    const model = new Model().started();
    model.handle({ type: "beatWanted" });
    model.turn();
    model.handle({ type: "beatWanted" });
    model.answer();
    expect(restMs(model.state, model.now)).toBe(0);
  });

  it("keeps its promises whatever happens: no heartbeat late, one sweep at a time, no look missed, contact lost in time", () => {
    const action = fc.oneof(
      fc.record({ type: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 9_000 }) }),
      fc.record({
        type: fc.constantFrom("answer", "answerOtherWay", "fail", "sweepDone", "sweepFailed", "session", "wanted"),
      }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const model = new Model();
        let alarmAt = alarmInMs(model.state, 0, LIMITS);
        const turn = (): void => {
          model.turn();
          if (model.sentAt !== undefined) return;
          // Nothing is due that was not begun, and the next heartbeat comes in time.
          expect(restMs(model.state, model.now)).toBeGreaterThan(0);
          expect(model.state.beatAt).toBeLessThanOrEqual(model.now + INTERVAL_MS);
        };
        const setAlarm = (): void => void (alarmAt = model.now + alarmInMs(model.state, model.now, LIMITS));
        /** Lets time pass up to the next thing that is due. */
        const pass = (ms: number): void => {
          const until = model.now + ms;
          while (model.now < until) {
            const turnsAt = model.sentAt === undefined ? model.now + restMs(model.state, model.now) : until;
            model.now = Math.min(until, turnsAt, alarmAt);
            if (model.now === alarmAt) {
              const [effect] = model.handle({ type: "alarmRang", now: model.now, limits: LIMITS });
              const silentMs = model.now - model.state.contactAt;
              expect(silentMs).toBeGreaterThanOrEqual(LIMITS.contactTimeoutMs);
              // An answer may be so late that contact would be lost by it.
              expect(effect === undefined).toBe(model.state.contact === "excused");
              setAlarm();
            }
            turn();
          }
        };
        turn();
        for (const each of actions) {
          if (each.type === "pass") pass(each.ms);
          else if (each.type === "sweepDone" || each.type === "sweepFailed") model.end(each.type);
          else if (each.type === "session") model.handle({ type: "sessionOpened" });
          else if (each.type === "wanted") model.handle({ type: "beatWanted" });
          else if (each.type === "fail") model.fail();
          else if (model.sentAt !== undefined) {
            model.answer(each.type === "answer" && model.looks);
            setAlarm();
          }
          if (each.type !== "pass") turn();
          // A sweep that does not work has a time at which it looks, or a heartbeat that looks for it.
          const { sweep, lookAt } = model.state;
          if (sweep === "resting" || sweep === "backingOff") expect(lookAt).toBeLessThanOrEqual(model.now + SWEEP_MS);
          else expect([model.sweeps === 1, sweep]).toEqual([sweep === "working", sweep]);
          if (sweep === "joined") expect(model.looks && model.sentAt !== undefined).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("the loss of contact", () => {
  const ring = (model: Model): readonly LivenessEffect[] => {
    model.now += alarmInMs(model.state, model.now, LIMITS);
    return model.handle({ type: "alarmRang", now: model.now, limits: LIMITS });
  };

  it("comes a timeout after the last answered heartbeat was sent, and is repeated every second", () => {
    const model = new Model().started();
    const lostAt = [1, 2, 3, 4, 5].map(() => (ring(model), model.now));
    expect(lostAt).toEqual([20_000, 21_000, 22_000, 23_000, 24_000]);
    expect(model.effects).toEqual(lostAt.map(() => "loseContact"));
  });

  it("ends with an answer", () => {
    const model = new Model().started();
    ring(model);
    model.turn();
    model.answer();
    expect(model.state.contact).toBe("kept");
    expect(alarmInMs(model.state, model.now, LIMITS)).toBe(20_000);
  });

  it("waits for one more heartbeat when the process stood still", () => {
    const model = new Model().started();
    model.now = 60_000;
    expect(model.handle({ type: "alarmRang", now: model.now, limits: LIMITS })).toEqual([]);
    expect(model.turn()).toContain("beatAndLook");
    expect(ring(model)).toEqual(["loseContact"]);
    expect(model.now).toBe(62_000);
  });
});
