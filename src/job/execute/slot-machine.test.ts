import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  initialSlot,
  stepSlot,
  type SlotEffect,
  type SlotEvent,
  type SlotState,
  type SlotStep,
} from "./slot-machine.ts";

/** The state after these events, and the effects of the last one. */
function after(...events: readonly SlotEvent[]): SlotStep {
  return events.reduce<SlotStep>(([state], event) => stepSlot(state, event), [initialSlot, []]);
}

describe("each phase", () => {
  it.each<[string, readonly SlotEvent[], SlotEvent, SlotState["phase"], readonly SlotEffect[]]>([
    ["running: ends when the handler settles", [], "settled", "ended", ["endAttempt", "next"]],
    ["running: stops when its job times out", [], "timedOut", "stopping", ["tell", "startAbortPeriod"]],
    ["running: stops when its job is cancelled", [], "cancelled", "stopping", ["tell", "startAbortPeriod"]],
    [
      "running: stops when its job is lost, and the rest of its chain goes back",
      [],
      "lost",
      "stopping",
      ["reportLost", "returnRest", "tell", "startAbortPeriod"],
    ],
    ["running: leaves it to the worker how long a shutdown waits", [], "shutDown", "shuttingDown", ["tell"]],
    ["running: is not called when it turns out to be lost", [], "foundLost", "stopping", ["reportLost", "returnRest"]],
    ["running: has no abort period that could be over", [], "periodOver", "running", []],
    ["stopping: ends as running does", ["timedOut"], "settled", "ended", ["endAttempt", "next"]],
    ["stopping: is told once", ["timedOut"], "cancelled", "stopping", []],
    ["stopping: does not start its abort period anew", ["lost"], "timedOut", "stopping", []],
    ["stopping: may be lost as well", ["cancelled"], "lost", "stopping", ["reportLost", "returnRest"]],
    ["stopping: is lost once", ["lost"], "lost", "stopping", []],
    [
      "stopping: loses its slot when it ignores that",
      ["timedOut"],
      "periodOver",
      "detached",
      ["reportDetached", "detach", "returnRest", "vacate"],
    ],
    ["stopping: loses its slot when the worker ends", ["lost"], "abandoned", "detached", ["detach", "returnRest"]],
    ["shuttingDown: is told nothing more", ["shutDown"], "cancelled", "shuttingDown", []],
    ["shuttingDown: has a timeout all the same", ["shutDown"], "timedOut", "stopping", ["startAbortPeriod"]],
    ["shuttingDown: may be lost as well", ["shutDown"], "lost", "shuttingDown", ["reportLost", "returnRest"]],
    ["shuttingDown: loses its slot", ["shutDown"], "abandoned", "detached", ["detach", "returnRest"]],
    ["shuttingDown: ends as running does", ["shutDown"], "settled", "ended", ["endAttempt", "next"]],
    ["detached: settles late", ["shutDown", "abandoned"], "settled", "ended", ["settleLate", "vacate"]],
    ["detached: cannot be lost any more", ["shutDown", "abandoned"], "lost", "detached", []],
  ])("%s", (_, history, event, phase, effects) => {
    const [state, done] = after(...history, event);
    expect(state.phase).toBe(phase);
    expect(done).toEqual(effects);
  });
});

/** What surrounds the machine: the handler, the slot, the timer and the chain that its effects stand for. */
class World {
  state: SlotState = initialSlot;
  isSettled = false;
  hasSlot = true;
  timer: "timeout" | "abortPeriod" | undefined = "timeout";
  rest: "waits" | "goes on" | "returned" = "waits";
  readonly told: SlotEffect[] = [];

  /** Whether this can happen now. */
  allows(event: SlotEvent): boolean {
    switch (event) {
      case "settled":
        return !this.isSettled;
      case "timedOut":
        return this.timer === "timeout";
      case "periodOver":
        return this.timer === "abortPeriod";
      case "foundLost":
        // It is found out by the same call that settles.
        return this.state.phase === "running";
      default:
        return true;
    }
  }

  apply(event: SlotEvent): void {
    if (event === "settled") this.isSettled = true;
    if (event === "timedOut" || event === "periodOver") this.timer = undefined;
    const [state, effects] = stepSlot(this.state, event);
    this.state = state;
    for (const effect of effects) this.#carryOut(effect);
    if (event === "foundLost") this.apply("settled");
  }

  #carryOut(effect: SlotEffect): void {
    this.told.push(effect);
    switch (effect) {
      case "tell":
      case "settleLate":
      case "reportLost":
        return;
      case "startAbortPeriod":
        this.timer = "abortPeriod";
        return;
      case "returnRest":
        expect(this.rest, "jobs of its chain that run").not.toBe("goes on");
        this.rest = "returned";
        return;
      case "endAttempt":
      case "detach":
        expect(this.hasSlot, "an attempt that ends twice").toBe(true);
        expect(this.isSettled).toBe(effect === "endAttempt");
        this.hasSlot = false;
        this.timer = undefined;
        return;
      case "next":
        expect(this.isSettled, "a next job beside this one").toBe(true);
        if (this.rest === "waits") this.rest = "goes on";
        return;
      case "reportDetached":
      case "vacate":
    }
  }

  check(): void {
    const { phase, isLost } = this.state;
    const count = (effect: SlotEffect): number => this.told.filter((each) => each === effect).length;
    expect(this.hasSlot, "the slot is taken exactly in these phases").toBe(
      phase === "running" || phase === "stopping" || phase === "shuttingDown",
    );
    expect(phase === "ended", "ended exactly when the handler has settled").toBe(this.isSettled);
    expect(this.timer, "a slot that nothing could free").not.toBe(phase === "stopping" ? "timeout" : "abortPeriod");
    if (phase === "stopping") expect(this.timer).toBe("abortPeriod");
    if (!this.hasSlot) expect(this.timer, "a timer without a slot").toBeUndefined();
    expect(count("tell"), "the handler is told once").toBeLessThanOrEqual(1);
    expect(count("reportLost")).toBe(isLost ? 1 : 0);
    if (isLost || phase === "detached") expect(this.rest, "a lost chain goes on").toBe("returned");
    expect(count("endAttempt") + count("detach"), "one attempt has one end").toBe(this.hasSlot ? 0 : 1);
    expect(count("settleLate"), "the queue of a detached handler is freed once").toBe(
      phase === "ended" ? count("detach") : 0,
    );
  }
}

describe("whatever happens, in whatever order", () => {
  it("an attempt ends once, a slot is freed once, and nothing of a lost chain starts", () => {
    const events = fc.constantFrom<SlotEvent>(
      "settled",
      "timedOut",
      "cancelled",
      "lost",
      "foundLost",
      "shutDown",
      "periodOver",
      "abandoned",
    );
    fc.assert(
      fc.property(fc.array(events, { maxLength: 30 }), (history) => {
        const world = new World();
        for (const event of history) {
          if (!world.allows(event)) continue;
          world.apply(event);
          world.check();
        }
        // Whatever came before, a worker that ends has all slots, and a handler that settles all queues.
        if (world.hasSlot) world.apply("abandoned");
        if (!world.isSettled) world.apply("settled");
        world.check();
        expect(world.state.phase).toBe("ended");
      }),
      { numRuns: 1_000 },
    );
  });
});
