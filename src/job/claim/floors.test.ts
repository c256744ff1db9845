import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePositions, START, type Position } from "../../postgres/position.ts";
import { Floors, type FloorTicket } from "./floors.ts";

const at = (micros: number, id = "7"): Position => ({ at: String(micros), id });

function floorsAt(...seen: [number, Position][]): Floors {
  const floors = new Floors();
  floors.settle(floors.begin(), answerOf(...seen));
  return floors;
}

/** What a claim has seen of these priorities. */
function answerOf(...seen: [number, Position][]) {
  return { levels: seen.map(([priority, floor]) => ({ priority, floor })), due: START };
}

const prioritiesOf = (floors: Floors): number[] => floors.levels.map(({ priority }) => priority);
const floorOf = (floors: Floors, wanted: number): Position | undefined =>
  floors.levels.find(({ priority }) => priority === wanted)?.floor;

describe("Floors", () => {
  it("knows nothing at first", () => {
    const floors = new Floors();
    expect(prioritiesOf(floors)).toEqual([]);
    expect(floorOf(floors, 0)).toBeUndefined();
  });

  it("lists its priorities in ascending order, negative ones first", () => {
    expect(prioritiesOf(floorsAt([10, at(1)], [-5, at(1)], [0, at(1)]))).toEqual([-5, 0, 10]);
  });

  it("never falls because of an answer that arrives late", () => {
    const floors = floorsAt([0, at(10)]);
    const [first, second] = [floors.begin(), floors.begin()];
    floors.settle(second, answerOf([0, at(30)]));
    floors.settle(first, answerOf([0, at(20)]));
    expect(floorOf(floors, 0)).toEqual(at(30));
  });

  it("falls to before every job of an announced time, in all priorities", () => {
    const floors = floorsAt([0, at(30)], [5, at(50)], [9, at(10)]);
    floors.rewind("30");
    expect(floorOf(floors, 0)).toEqual(at(30, "0"));
    expect(floorOf(floors, 5)).toEqual(at(30, "0"));
    expect(floorOf(floors, 9)).toEqual(at(10));
  });

  it("does not let the answer of a claim sent before an announcement climb over it", () => {
    const floors = floorsAt([0, at(10)]);
    const ticket = floors.begin();
    floors.rewind("20");
    floors.rewind("25");
    floors.settle(ticket, answerOf([0, at(40)], [5, at(40)]));
    expect(floorOf(floors, 0)).toEqual(at(20, "0"));
    expect(floorOf(floors, 5)).toEqual(at(20, "0"));
  });

  it("lets a claim sent after an announcement climb", () => {
    const floors = floorsAt([0, at(10)]);
    floors.rewind("5");
    floors.settle(floors.begin(), answerOf([0, at(40)]));
    expect(floorOf(floors, 0)).toEqual(at(40));
  });

  it("goes back to where a failed claim began, also over what others have seen since", () => {
    const floors = floorsAt([0, at(10)]);
    const failing = floors.begin();
    const other = floors.begin();
    floors.settle(other, answerOf([0, at(40)], [5, at(40)]));
    floors.fail(failing);
    expect(floorOf(floors, 0)).toEqual(at(10));
    expect(floorOf(floors, 5)).toEqual(START);
  });

  it("does not let claims beside a failed one climb over what that one held", () => {
    const floors = floorsAt([0, at(10)]);
    const [failing, other] = [floors.begin(), floors.begin()];
    floors.fail(failing);
    floors.settle(other, answerOf([0, at(40)]));
    expect(floorOf(floors, 0)).toEqual(at(10));
  });

  it("forgets every priority, or what became due as well, and does not let claims under way bring them back", () => {
    const floors = new Floors();
    floors.settle(floors.begin(), { ...answerOf([0, at(10)], [5, at(20)]), due: at(30) });
    const ticket = floors.begin();
    floors.forgetLevels();
    expect([prioritiesOf(floors), floors.due]).toEqual([[], at(30)]);
    floors.settle(ticket, { ...answerOf([0, at(40)]), due: at(50) });
    expect([floorOf(floors, 0), floors.due]).toEqual([START, at(30)]);
    floors.forget();
    expect([prioritiesOf(floors), floors.due]).toEqual([[], START]);
  });

  it("keeps up to where queued jobs became due by the same rules", () => {
    const floors = new Floors();
    const seen = (due: Position) => ({ levels: [], due });
    floors.settle(floors.begin(), seen(at(30)));
    const [failing, other] = [floors.begin(), floors.begin()];
    floors.rewind("20");
    expect(floors.due).toEqual(at(20, "0"));
    floors.settle(other, seen(at(40)));
    expect(floors.due).toEqual(at(20, "0"));
    floors.settle(floors.begin(), seen(at(50)));
    floors.fail(failing);
    expect(floors.due).toEqual(at(30));
  });
});

/** A job in the index of the model. */
interface ModelJob {
  readonly key: number;
  readonly position: Position;
  announced: boolean;
  /** The claim that holds it, or true when it is claimed for good. */
  claimed: ModelClaim | true | undefined;
}

interface ModelClaim {
  readonly ticket: FloorTicket;
  readonly jobs: readonly ModelJob[];
  readonly seen: [number, Position][];
}

/** Two priorities, their jobs, and a worker that claims with floors while jobs commit in any order. */
class Model {
  readonly floors = new Floors();
  readonly jobs: ModelJob[] = [];
  readonly open: ModelClaim[] = [];

  add(key: number, micros: number): void {
    const position = { at: String(micros), id: String(this.jobs.length + 1) };
    this.jobs.push({ key, position, announced: false, claimed: undefined });
  }

  announceAll(): void {
    for (const job of this.jobs) {
      if (!job.announced) this.floors.rewind(job.position.at);
      job.announced = true;
    }
  }

  send(quantity: number): void {
    const jobs: ModelJob[] = [];
    const seen: [number, Position][] = [];
    const keys = new Set([...prioritiesOf(this.floors), ...this.jobs.map(({ key }) => key)]);
    for (const key of [...keys].sort((a, b) => a - b)) {
      if (jobs.length < quantity) seen.push([key, this.#scan(key, quantity, jobs)]);
    }
    const claim = { ticket: this.floors.begin(), jobs, seen };
    for (const job of jobs) job.claimed = claim;
    this.open.push(claim);
  }

  end(index: number, failed: boolean): void {
    const [claim] = this.open.splice(index % Math.max(this.open.length, 1), 1);
    if (!claim) return;
    if (failed) this.floors.fail(claim.ticket);
    else this.floors.settle(claim.ticket, answerOf(...claim.seen));
    for (const job of claim.jobs) {
      job.claimed = failed ? undefined : true;
      // It was found, so it has to be found again.
      job.announced = true;
    }
  }

  /** Jobs that were announced and that no later claim would find. */
  get unseen(): ModelJob[] {
    return this.jobs.filter(({ key, position, announced, claimed }) => {
      const floor = floorOf(this.floors, key);
      return announced && !claimed && floor !== undefined && comparePositions(position, floor) <= 0;
    });
  }

  get unclaimed(): number {
    return this.jobs.filter(({ claimed }) => claimed !== true).length;
  }

  #scan(key: number, quantity: number, into: ModelJob[]): Position {
    const floor = floorOf(this.floors, key) ?? START;
    const above = this.jobs
      .filter((job) => job.key === key && comparePositions(job.position, floor) > 0)
      .sort((a, b) => comparePositions(a.position, b.position));
    const free = above.filter(({ claimed }) => !claimed).slice(0, quantity - into.length);
    into.push(...free);
    const isShort = into.length < quantity;
    return (isShort ? above.at(-1) : free.at(-1))?.position ?? floor;
  }
}

const add = fc.tuple(fc.constant("add" as const), fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 30 }));
const send = fc.tuple(fc.constant("send" as const), fc.integer({ min: 1, max: 4 }), fc.constant(0));
const settle = fc.tuple(fc.constant("settle" as const), fc.nat(5), fc.constant(0));
const fail = fc.tuple(fc.constant("fail" as const), fc.nat(5), fc.constant(0));
const announce = fc.tuple(fc.constant("announce" as const), fc.constant(0), fc.constant(0));
const history = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: add },
    { weight: 4, arbitrary: send },
    { weight: 3, arbitrary: settle },
    { weight: 1, arbitrary: fail },
    { weight: 2, arbitrary: announce },
  ),
  { maxLength: 60 },
);

function play(steps: readonly (readonly [string, number, number])[], check: (model: Model) => void): Model {
  const model = new Model();
  for (const [kind, a, b] of steps) {
    if (kind === "add") model.add(a, b);
    else if (kind === "send") model.send(a);
    else if (kind === "announce") model.announceAll();
    else model.end(a, kind === "fail");
    check(model);
  }
  while (model.open.length > 0) model.end(0, false);
  return model;
}

function drain(model: Model): void {
  for (let claims = 0; claims <= model.jobs.length; claims++) {
    model.send(3);
    model.end(0, false);
  }
}

describe("whatever order jobs commit in, claims overlap, answer and fail", () => {
  it("never leaves an announced job behind a floor", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const model = play(steps, ({ unseen }) => expect(unseen).toEqual([]));
        model.announceAll();
        drain(model);
        expect(model.unclaimed).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("finds every job without a notification once it has forgotten what it saw", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const model = play(steps, () => {});
        model.floors.forget();
        drain(model);
        expect(model.unclaimed).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
